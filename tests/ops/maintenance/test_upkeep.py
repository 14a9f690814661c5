"""What is due, what has grown and swollen, and what is done about it, as the page says it."""

from datetime import UTC, datetime, timedelta

import pytest

from lib.database import QueryError, load, open_pool, translated
from lib.ops.maintenance import space
from lib.ops.maintenance.growth import Growth, forecast, growth
from lib.ops.maintenance.space import bloated, run_in_background, vacuum_due
from lib.ops.maintenance.tasks import TASKS, record, task_states

queries = load("maintenance")
NAMES = [task.name for task in TASKS]
SDXL = ("stability-ai/sdxl", "SDXL", None)


@pytest.fixture
def pool(database):
    with open_pool(database) as pool:
        yield pool


def done(db):
    return {row["task"]: row for row in queries.done(db, tasks=NAMES)}


def row(db, query, name):
    return next(row for row in getattr(queries, query)(db) if row["name"] == name)


def test_a_task_is_due_until_it_is_done_and_again_after_its_rhythm(db, pool):
    assert all(state.overdue for state in task_states(done(db)))
    record(pool, "me", "failures", "two kinds of errors")
    record(pool, "you", "limits")
    found = {state.task.name: state for state in task_states(done(db))}
    assert len(found) == len(TASKS)
    assert {name for name, state in found.items() if not state.overdue} == {"failures", "limits"}
    assert (found["failures"].actor, found["failures"].note) == ("me", "two kinds of errors")
    tomorrow = task_states(done(db), datetime.now(UTC) + timedelta(days=1, minutes=1))
    assert [state.task.name for state in tomorrow if not state.overdue] == ["limits"]
    assert tomorrow[-1].task.name == "limits"


def test_dead_rows_are_seen_and_vacuumed_without_stopping_the_queue(db, database, filled):
    db.execute("alter table job_queue set (autovacuum_enabled = false)")
    db.execute("vacuum analyze job_queue")
    assert not vacuum_due(row(db, "tables", "job_queue"))
    db.execute("update job_queue set priority = 1")
    db.execute("update job_queue set priority = 2")
    db.execute("select pg_stat_force_next_flush()")
    before = row(db, "tables", "job_queue")
    assert before["dead"] >= 6000
    assert before["due_at"] == pytest.approx(1030, abs=10)
    assert vacuum_due(before)
    run_in_background(database, "me", "space", "vacuum", "job_queue", lambda: None).join(30)
    after = row(db, "tables", "job_queue")
    assert after["dead"] == 0
    assert after["vacuumed_at"] > before["vacuumed_at"]
    assert not vacuum_due(after)
    assert done(db)["space"]["note"] == "vacuum job_queue"


def test_a_swollen_index_is_seen_and_built_anew(db, database, filled, monkeypatch):
    monkeypatch.setattr(space, "MIN_BLOAT_BYTES", 0)
    db.execute("alter table job_queue set (autovacuum_enabled = false)")
    db.execute("reindex table job_queue")
    db.execute("analyze job_queue")
    name = "job_queue_finished_idx"
    fresh = row(db, "indexes", name)
    assert 0.5 < fresh["bytes"] / fresh["expected_bytes"] < 1.5
    assert not bloated(fresh)
    for _ in range(6):
        db.execute("update job_queue set completed_at = completed_at + interval '1 second'")
    swollen = row(db, "indexes", name)
    assert bloated(swollen)
    run_in_background(database, "me", "indexes", "reindex", name, lambda: None).join(30)
    rebuilt = row(db, "indexes", name)
    assert rebuilt["bytes"] < swollen["bytes"] / 2
    assert rebuilt["valid"]
    assert (done(db)["indexes"]["actor"], done(db)["indexes"]["note"]) == ("me", f"reindex {name}")


@pytest.mark.parametrize("kind", ["vacuum", "reindex"])
def test_only_what_is_ours_is_worked_on(database, kind):
    with pytest.raises(LookupError):
        run_in_background(database, "me", "space", kind, "users; drop table models", lambda: None)


def test_what_a_purge_would_delete_is_what_it_deletes(filled):
    old = timedelta(days=10)
    said = queries.purgeable(filled, older_than=old)
    assert (said["kept"], said["later"]) == (3000, 0)
    purged = queries.purge_finished_jobs(filled, actor="me", older_than=old, most=10_000, run=None)
    assert purged["purged"] == said["jobs"] > 1900
    while filled.execute("select refresh_rollup() as more").fetchone()["more"]:
        pass
    after = queries.purgeable(filled, older_than=old)
    assert (after["jobs"], after["kept"]) == (0, 3000 - said["jobs"])
    [run] = queries.purges(filled)
    assert (run["actor"], run["jobs"], run["outcome"]) == ("me", said["jobs"], "finished")
    assert queries.purge_done(filled)["jobs"] == said["jobs"]
    assert queries.purge_now(filled) is None


def test_what_the_history_lacks_is_purged_later(filled):
    old = timedelta(days=10)
    said = queries.purgeable(filled, older_than=old)
    filled.execute("update rollup_state set totals_until = '-infinity'")
    assert queries.purgeable(filled, older_than=old) == said | {"jobs": 0, "later": said["jobs"]}
    purged = queries.purge_finished_jobs(filled, actor="me", older_than=old, most=10_000, run=None)
    assert purged["purged"] == 0


def test_growth_is_the_line_through_whole_weeks():
    week = [100, 100, 100, 100, 100, 30, 30]
    steady = growth(week * 5)
    assert steady.jobs_per_day == pytest.approx(80)
    assert steady.growth_per_day == pytest.approx(0)
    rising = growth([7 * day for day in range(28)])
    assert rising.growth_per_day == pytest.approx(7)
    assert rising.jobs_per_day == pytest.approx(7 * 27)
    assert rising.on_day(1) == pytest.approx(7 * 28)
    assert growth([100] * 6) is None
    assert growth([100] * 9) == Growth(100, 0)
    assert growth([7 * day for day in range(28, 0, -1)]).on_day(365) == 0


def test_a_forecast_adds_what_comes_and_takes_what_is_purged():
    ten = Growth(10, 0)
    assert forecast([10] * 30, ten, 300, 3, None) == [310, 320, 330]
    assert forecast([10] * 30, ten, 300, 3, 30) == [300, 300, 300]
    # What is kept beyond the age goes tomorrow.
    assert forecast([10] * 30, ten, 300, 2, 7) == [70, 70]
    # A queue that is younger than the age grows until it is as old.
    assert forecast([10] * 7, ten, 70, 4, 9) == [80, 90, 90, 90]


def test_who_is_near_a_limit(db):
    db.execute("insert into auth.users (id) select md5(n::text)::uuid from generate_series(1, 3) n")
    add = (
        "insert into image_generations (user_id, prompt, model_id, created_at)"
        " select md5(%s::text)::uuid, 'p', 'm', now() - %s from generate_series(1, %s)"
    )
    db.execute(add, [1, timedelta(minutes=5), 20])
    db.execute(add, [2, timedelta(hours=5), 85])
    db.execute(add, [3, timedelta(hours=5), 85])
    db.execute("insert into user_limits (user_id, daily_limit) values (md5('3')::uuid, 500)")
    rows = queries.near_limits(db, share=0.8)
    assert [(row["used"], row["hourly_used"], row["daily_used"]) for row in rows] == [
        (1.0, 20, 20),
        (0.85, 0, 85),
    ]
    assert {(row["hourly_limit"], row["daily_limit"], row["own"]) for row in rows} == {
        (20, 100, False)
    }
    assert queries.asking(db) == 3


def set_model(db, *values, operator_only=(), deadline=None):
    with translated():
        db.execute(
            "select set_model('me', %s, %s, %s, %s::jsonb, %s::numeric, %s, %s::text[], %s::int)",
            [*values, list(operator_only), deadline],
        )


def test_a_model_is_changed_and_recorded_with_what_was_before(db):
    set_model(
        db, *SDXL, '{"guidance_scale": 9}', 0.01, False, operator_only=["scheduler"], deadline=90
    )
    [change] = queries.model_changes(db)
    assert (change["model_id"], change["actor"]) == ("stability-ai/sdxl", "me")
    assert change["before"]["enabled"] is True
    assert change["before"]["default_parameters"]["num_inference_steps"] == 30
    assert change["after"] == {
        "display_name": "SDXL",
        "version": None,
        "default_parameters": {"guidance_scale": 9},
        "price_per_image": 0.01,
        "enabled": False,
        "operator_fields": ["scheduler"],
        "deadline_seconds": 90,
    }
    with pytest.raises(QueryError, match="no enabled model"), translated():
        db.execute("select start_generation(null, 'a fox', 'stability-ai/sdxl')")
    set_model(db, "new/model", " New ", None, "{}", None, True)
    change = queries.model_changes(db)[0]
    assert (change["before"], change["after"]["display_name"]) == (None, "New")
    db.execute("select start_generation(null, 'a fox', 'new/model')")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (("sdxl", "SDXL", None, "{}", 0, True), "owner/name"),
        (("a/b c", "SDXL", None, "{}", 0, True), "owner/name"),
        (("a/b", " ", None, "{}", 0, True), "display name is empty"),
        (("a/b", "B", "latest", "{}", 0, True), "not a Replicate version id"),
        (("a/b", "B", None, "[]", 0, True), "must be a JSON object"),
        (("a/b", "B", None, "{}", -1, True), "not below 0"),
        (
            (*SDXL, '{"guidance_scale": 51}', 0, True),
            "guidance_scale: 51 is above .* allowed: a number from 1 to 50",
        ),
        ((*SDXL, '{"num_inference_steps": 1.5}', 0, True), "1.5 is not a whole number"),
        ((*SDXL, '{"num_inference_steps": "30"}', 0, True), "is not a whole number"),
        ((*SDXL, '{"scheduler": "Mine"}', 0, True), "scheduler: .* allowed: one of DDIM"),
        ((*SDXL, '{"negative_prompt": 1}', 0, True), "negative_prompt: 1 is not text"),
    ],
)
def test_what_does_not_fit_a_model_is_refused(db, values, message):
    with pytest.raises(QueryError, match=message):
        set_model(db, *values)
    with pytest.raises(QueryError, match="deadline above 0"):
        set_model(db, *SDXL, "{}", 0, True, deadline=0)
    assert queries.model_changes(db) == []


def test_without_pg_cron_there_is_no_history_of_it(db):
    assert queries.cron_history_rows(db) is None
    assert db.execute("select purge_cron_history('me', '7 days') as n").fetchone()["n"] == 0
