"""The queries of the page Generate, and what the functions of test runs do."""

import json
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from lib.database import load
from lib.database.pool import Connection
from lib.ops.test_runs.phases import overdue, phase, queue_position

generate = load("generate")
test_runs = load("test_runs")
SCHNELL, DEV = "black-forest-labs/flux-schnell", "black-forest-labs/flux-dev"
START = "select public.start_test_generations(%s, %s, %s, %s, %s, %s, %s)"


def begin(db: Connection, jobs: int, models: tuple[str, ...] = (SCHNELL,)) -> UUID:
    id = uuid4()
    test_runs.start_run(
        db, id=id, actor="me", prompt="fox", models=list(models), settings="{}", jobs=jobs
    )
    return id


def start(
    db: Connection,
    run: UUID,
    jobs: int,
    per_second: float | None = None,
    *,
    model: str = SCHNELL,
    key: str | None = None,
    **parameters: Any,
) -> dict[str, Any]:
    asked = (run, "fox", model, json.dumps(parameters), key, jobs, per_second)
    answer: dict[str, Any] = db.execute(START, asked).fetchone()["start_test_generations"]
    return answer


def count(db: Connection, table: str) -> int:
    return int(
        db.execute(
            psycopg.sql.SQL("select count(*) from {}").format(
                psycopg.sql.Identifier("public", table)
            )
        ).fetchone()["count"]
    )


def claim(db: Connection) -> dict[str, Any]:
    [job] = db.execute("select * from public.claim_next_job()").fetchall()
    db.execute("select public.begin_generation(%s, %s)", (job["id"], job["attempts"]))
    return job


def complete(db: Connection, job: dict[str, Any], success: bool = True) -> None:
    db.execute(
        "select public.complete_job(%s, %s, 'broke', '{\"permanent\": true}', %s, %s)",
        (
            job["id"],
            success,
            job["attempts"],
            json.dumps({"storage_path": f"{job['id']}.png", "thumbnail_path": f"{job['id']}.webp"}),
        ),
    )


def test_jobs_go_through_their_phases(db: Connection) -> None:
    run = begin(db, 4)
    start(db, run, 3)
    start(db, run, 1, model=DEV)
    waiting = generate.jobs(db, run=run)
    assert [job["place"] for job in waiting] == [1, 2, 3, 4]
    assert [phase(job) for job in waiting] == ["Pending"] * 4
    assert [job["ahead"] for job in waiting] == [0, 1, 2, 3]
    assert queue_position(waiting[0]) == "next in line"
    job = claim(db)
    assert [phase(j) for j in generate.jobs(db, run=run)] == ["Starting"] + ["Pending"] * 3
    db.execute("select public.record_prediction(%s, 1, 'p')", (job["id"],))
    [first, second, *_] = generate.jobs(db, run=run)
    assert (phase(first), second["ahead"]) == ("Running", 0)
    assert overdue(first | {"run_seconds": 31}, 10)
    assert not overdue(first, 10)
    db.execute("select public.record_progress(%s, 1, 95)", (job["id"],))
    assert phase(generate.jobs(db, run=run)[0]) == "Storing"
    complete(db, job)
    complete(db, claim(db), success=False)
    db.execute("select public.cancel_jobs('me', array[%s])", (waiting[2]["job_id"],))
    ended = generate.jobs(db, run=run)
    assert [phase(j) for j in ended] == ["Completed", "Failed", "Cancelled", "Pending"]
    assert (ended[1]["error_message"], ended[2]["run_seconds"]) == ("broke", None)
    for done in ended[:2]:
        truth = db.execute(
            "select extract(epoch from started_at - scheduled_at) as wait from public.job_queue"
            " where id = %s",
            (done["job_id"],),
        ).fetchone()
        assert done["wait_seconds"] == pytest.approx(float(truth["wait"]), abs=0.05)
        assert done["total_seconds"] == pytest.approx(
            done["wait_seconds"] + done["run_seconds"], abs=0.05
        )
    [history] = generate.history(db, most=10, skip=0)
    shown = {
        name: history[name] for name in ("started", "live", "completed", "failed", "cancelled")
    }
    assert shown == {"started": 4, "live": 1, "completed": 1, "failed": 1, "cancelled": 1}
    assert history["run_mean"] == pytest.approx(ended[0]["run_seconds"], abs=0.01)


def test_a_job_that_is_tried_again_waits_anew(db: Connection) -> None:
    run = begin(db, 1)
    start(db, run, 1)
    job = claim(db)
    db.execute("select public.complete_job(%s, false, 'broke', null, 1)", (job["id"],))
    [again] = generate.jobs(db, run=run)
    assert (phase(again), again["run_seconds"], again["attempts"]) == ("Scheduled", None, 1)
    assert queue_position(again).endswith("attempt 2")


def test_other_jobs_that_come_first_are_counted(db: Connection) -> None:
    run = begin(db, 1)
    start(db, run, 1)
    db.execute("select public.enqueue_job('x', '{}', 5)")
    db.execute("select public.enqueue_job('x', '{}', 9, now() + interval '1 hour')")
    db.execute("select public.enqueue_job('x', '{}')")
    assert generate.jobs(db, run=run)[0]["ahead"] == 1


def test_a_rate_limited_job_says_so_and_is_not_in_front_of_others(db: Connection) -> None:
    run = begin(db, 2)
    start(db, run, 1)
    start(db, run, 1, model=DEV)
    db.execute(
        "insert into model_holds (model_id, held_until) values (%s, now() + interval '1 minute')",
        (SCHNELL,),
    )
    held, free = generate.jobs(db, run=run)
    assert (queue_position(held), queue_position(free)) == ("rate-limited", "next in line")


def test_a_purged_job_leaves_its_outcome(db: Connection) -> None:
    run = begin(db, 1)
    start(db, run, 1)
    complete(db, claim(db))
    db.execute("delete from public.job_queue")
    [job] = generate.jobs(db, run=run)
    assert (phase(job), job["attempts"]) == ("Completed", None)


def test_a_load_test_is_spread_over_time_and_seeds_go_up(db: Connection) -> None:
    run = begin(db, 6)
    start(db, run, 5, 2.0, seed=4294967294)
    start(db, run, 1)
    jobs = generate.jobs(db, run=run)
    due = [job["due_in_seconds"] for job in jobs]
    assert [round(later - due[0], 1) for later in due[:5]] == [0, 0.5, 1, 1.5, 2]
    assert [job["parameters"].get("seed") for job in jobs] == [
        4294967294,
        4294967295,
        0,
        1,
        2,
        None,
    ]
    scheduled = db.execute(
        "select count(*) from public.job_queue q join public.test_run_jobs t on t.job_id = q.id"
        " where q.scheduled_at = t.due_at"
    ).fetchone()
    assert scheduled["count"] == 6
    limits = db.execute("select public.get_user_limits(null) as limits").fetchone()["limits"]
    assert limits["daily_used"] == 0


def test_a_repeated_request_starts_nothing_new(db: Connection) -> None:
    run = begin(db, 3)
    assert start(db, run, 3, key="a") == start(db, run, 3, key="a")
    assert count(db, "job_queue") == count(db, "test_run_jobs") == 3


@pytest.mark.parametrize(
    ("jobs", "per_second", "model", "sqlstate"),
    [(0, None, SCHNELL, "22023"), (501, None, SCHNELL, "22023"), (1, 0, SCHNELL, "22023"),
     (2, None, "nobody/nothing", "DR404")],
)  # fmt: skip
def test_what_cannot_be_started_starts_nothing(
    db: Connection, jobs: int, per_second: float | None, model: str, sqlstate: str
) -> None:
    run = begin(db, 2)
    with pytest.raises(psycopg.Error) as refused:
        start(db, run, jobs, per_second, model=model)
    assert refused.value.sqlstate == sqlstate
    with pytest.raises(psycopg.Error, match="no test run"):
        start(db, uuid4(), 1)
    assert count(db, "job_queue") == count(db, "image_generations") == 0
    test_runs.withdraw_run(db, actor="me", id=run)
    assert count(db, "test_runs") == 0


def test_a_deleted_run_takes_all_that_is_its_own(db: Connection) -> None:
    other = begin(db, 1)
    start(db, other, 1, key="b")
    kept = [count(db, table) for table in ("job_queue", "image_generations", "idempotency_keys")]
    run = begin(db, 3)
    db.execute("update public.job_queue set scheduled_at = now() + interval '1 hour'")
    start(db, run, 3, key="a")
    done = claim(db)
    complete(db, done)
    claim(db)
    db.execute("select public.refresh_rollup()")
    db.execute(
        "insert into outputs (generation_id, index, url, storage_path, media_type, bytes)"
        " select generation_of(payload), n, 'u', id || '-' || n || '.png', 'image/png', 1"
        " from job_queue, generate_series(0, 1) n where id = %s",
        [done["id"]],
    )
    deleted = test_runs.delete_run(db, actor="me", run=run)
    names = ("-0.png", "-1.png", ".png", ".webp")
    assert sorted(deleted["storage_paths"]) == [f"{done['id']}{name}" for name in names]
    assert deleted["generations"] == 3
    assert count(db, "outputs") == 0
    left = [count(db, table) for table in ("job_queue", "image_generations", "idempotency_keys")]
    assert (left, count(db, "job_leases"), count(db, "test_runs")) == (kept, 0, 1)
    audit = db.execute("select action, affected from public.audit_log order by id").fetchall()
    assert [(row["action"], row["affected"]) for row in audit] == [
        ("start_test_run", 1),
        ("start_test_run", 3),
        ("cancel_jobs", 2),
        ("delete_test_run", 3),
    ]
    assert generate.run(db, run=run) is None
    # The rollup no longer counts it either.
    db.execute("select public.refresh_rollup()")
    assert db.execute("select * from public.verify_rollup()").fetchall() == []
    assert db.execute(
        "select sum(jobs) as jobs from public.job_stats(now() - interval '1 day', now(), 'all')"
    ).fetchone() == {"jobs": None}
    with pytest.raises(psycopg.Error) as refused:
        test_runs.delete_run(db, actor="me", run=run)
    assert refused.value.sqlstate == "DR404"


def test_usual_is_the_median_of_completed_jobs(db: Connection) -> None:
    assert generate.usual(db) == []
    run = begin(db, 3)
    start(db, run, 3)
    for seconds in (1, 2, 9):
        job = claim(db)
        complete(db, job)
        db.execute(
            "update public.job_queue set started_at = completed_at - make_interval(secs => %s)"
            " where id = %s",
            (seconds, job["id"]),
        )
    [usual] = generate.usual(db)
    assert (usual["model_id"], usual["run_p50"]) == (SCHNELL, pytest.approx(2, rel=0.05))


def test_models_say_what_they_take(db: Connection) -> None:
    rows = generate.models(db)
    assert len(rows) >= 20
    kinds = {"integer", "number", "boolean", "choice", "text", "file", "files"}
    for row in rows:
        # Those whose price nobody publishes have none.
        assert (row["price_per_image"] or 1) > 0
        assert {said["kind"] for said in row["parameter_schema"]} <= kinds
        assert row["takes_prompt"] or row["image_input"] == "image"
    by_id = {row["id"]: row for row in rows}
    kontext, topaz = by_id["black-forest-labs/flux-kontext-pro"], by_id["topazlabs/image-upscale"]
    assert (kontext["image_input"], kontext["matches_input"]) == ("input_image", True)
    assert (topaz["takes_prompt"], topaz["takes_seed"], topaz["sizes"]) == (False, False, [])


def test_history_is_paged_newest_first(db: Connection) -> None:
    runs = [begin(db, 1) for _ in range(3)]
    assert generate.run_count(db) == 3
    assert [row["id"] for row in generate.history(db, most=2, skip=0)] == [runs[2], runs[1]]
    assert [row["id"] for row in generate.history(db, most=2, skip=2)] == [runs[0]]
