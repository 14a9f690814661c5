"""Purged jobs go, their figures and images stay; a run is many batches and one record."""

import json
from datetime import timedelta

import pytest
from history import FOREVER, History, compare, compare_health, readers

from lib.database import QueryError, connect, translated

USER = "00000000-0000-0000-0000-000000000001"
PURGE = "select * from purge_finished_jobs(%s, %s, %s)"


@pytest.fixture
def week(history: History) -> History:
    """A job of each ending every four hours for a week, of one user and one model."""
    for _ in range(42):
        for _ in range(3):
            history.enqueue(user=USER, model_id="m")
        done, failed, cancelled = history.claim(3)
        history.now += timedelta(seconds=12)
        history.complete(done)
        history.fail(failed, "no luck at 12:30")
        history.cancel([cancelled])
        history.now += timedelta(hours=4)
    return history


@pytest.fixture
def folded(week: History) -> History:
    """The same, folded."""
    week.refresh()
    return week


def audit(history: History) -> list[dict[str, object]]:
    return history.db.execute(
        "select actor, affected, details from audit_log where action = 'purge_finished_jobs'"
        " order by id"
    ).fetchall()


def figures(history: History) -> list[object]:
    """All that the readers say of all times."""
    names = ("job_stats", "arrival_stats", "failure_stats")
    stats = [getattr(readers, name)(history.db, bucket="hour", **FOREVER) for name in names]
    paths = (
        "select bucket, path, model_id, outcome, sum(generations), sum(total_us)"
        " from path_stats('-infinity', 'infinity', 'hour') group by 1, 2, 3, 4 order by 1, 2, 3, 4"
    )
    health = "select * from queue_health order by 1, 2"
    return [*map(list, stats), *(history.db.execute(q).fetchall() for q in (paths, health))]


def test_figures_stay(folded):
    before = figures(folded)
    assert folded.purge(folded.now - timedelta(days=3)) == 72
    assert folded.value("select count(*) from job_queue") == 54
    assert figures(folded) == before
    assert compare(folded.db, FOREVER) == 126
    compare_health(folded.db)
    folded.refresh()
    assert figures(folded) == before
    assert compare(folded.db, FOREVER, "day") == 126
    assert folded.db.execute("select * from verify_rollup()").fetchall() == []
    folded.rebuild()
    assert compare(folded.db, FOREVER, "all") == 126


def test_what_is_not_folded_stays(week):
    assert week.purge(week.now - timedelta(days=3)) == 0
    # From here on the rollups end in the middle of the week.
    end, week.now = week.now, week.now - timedelta(days=5)
    week.refresh()
    week.now = end
    purged = week.purge(week.now - timedelta(days=1))
    assert 0 < purged < 72
    assert compare(week.db, FOREVER) == 126
    assert week.value(
        "select min(completed_at) >= date_trunc('hour', folded_until - interval"
        " '1 hour', 'UTC') from job_queue, rollup_state group by folded_until"
    )


def test_goes_in_batches_from_the_oldest(folded):
    before = folded.now - timedelta(days=3)
    assert [folded.purge(before, 50) for _ in range(3)] == [50, 22, 0]
    folded.refresh()
    assert compare(folded.db, FOREVER) == 126


def test_leaves_live_jobs_and_the_last_day_alone(folded):
    waiting, running = folded.enqueue(), folded.enqueue()
    folded.db.execute("update job_queue set priority = 1 where id = %s", [running])
    folded.claim()
    ended = folded.value("select id from job_queue where status = 'completed' limit 1")
    folded.db.execute("update job_queue set completed_at = now() where id = %s", [ended])
    assert folded.purge(folded.now) == 125
    assert set(folded.ids("select id from job_queue")) == {waiting, running, ended}


def test_a_job_that_someone_holds_is_left_for_later(folded, database):
    oldest = "select id from job_queue order by completed_at limit 1"
    with connect(database) as other, other.transaction():
        other.execute(oldest + " for update")
        assert folded.purge(folded.now) == 125
    assert folded.purge(folded.now) == 1


def test_images_and_what_hangs_on_them_stay(folded):
    folded.db.execute(
        "insert into image_generations (id, prompt, model_id, status, image_url)"
        " values (%s, 'a fox', 'm', 'completed', 'http://images.example/fox.png')",
        [USER],
    )
    payload = json.dumps({"generation_id": USER})
    oldest = "select id from job_queue order by completed_at limit 1"
    [job] = folded.ids(oldest)
    folded.db.execute("update job_queue set payload = %s where id = %s", [payload, job])
    assert folded.purge(folded.now) == 126
    assert folded.value("select image_url from image_generations") is not None


def test_the_service_role_purges(folded):
    with folded.db.transaction():
        folded.db.execute("set local role service_role")
        purge = "select purged from purge_finished_jobs('operator', interval '1 day')"
        assert folded.value(purge) == 126


def test_a_run_is_recorded_once_with_its_totals(folded):
    batches = [folded.db.execute(PURGE, ["me", timedelta(days=9), 50]).fetchone() for _ in range(3)]
    assert [batch["purged"] for batch in batches] == [50, 50, 26]
    assert [batch["total"] for batch in batches] == [50, 100, 126]
    assert [batch["ended"] for batch in batches] == [False, False, True]
    assert len({batch["run"] for batch in batches}) == 1
    [record] = audit(folded)
    assert (record["actor"], record["affected"]) == ("me", 126)
    assert (record["details"]["outcome"], record["details"]["batches"]) == ("finished", 3)
    assert folded.purge(folded.now) == 0
    assert len(audit(folded)) == 1


def test_a_stopped_run_deletes_nothing_more(folded):
    run = folded.db.execute(PURGE, ["me", timedelta(days=9), 50]).fetchone()["run"]
    with pytest.raises(QueryError, match="is already purging"), translated():
        folded.db.execute(PURGE, ["you", timedelta(days=9), 50])
    assert folded.value("select stop_purge('you')") is True
    assert folded.value("select stop_purge('you')") is False
    late = folded.db.execute(
        "select * from purge_finished_jobs('me', %s, 50, %s)", [timedelta(days=9), run]
    ).fetchone()
    assert (late["purged"], late["total"], late["ended"]) == (0, 50, True)
    [record] = audit(folded)
    assert (record["actor"], record["affected"]) == ("me", 50)
    assert (record["details"]["outcome"], record["details"]["ended_by"]) == ("stopped", "you")


def test_a_run_that_nobody_goes_on_with_is_recorded_by_the_next(folded):
    folded.db.execute(PURGE, ["me", timedelta(days=9), 50])
    folded.db.execute("update purge_runs set last_batch_at = now() - interval '11 minutes'")
    folded.db.execute(PURGE, ["you", timedelta(days=8), 1000])
    first, second = audit(folded)
    assert (first["actor"], first["affected"]) == ("me", 50)
    assert first["details"]["outcome"] == "interrupted"
    assert (second["actor"], second["affected"]) == ("you", 76)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("' ', interval '9 days'", "name the person or program"),
        ("'operator', null", "choose at least 1 day"),
        ("'operator', interval '23 hours'", "choose at least 1 day"),
        ("'operator', interval '9 days', 0", "choose 1 to 10000"),
    ],
)
def test_bad_arguments_are_refused(history, arguments, message):
    with pytest.raises(QueryError, match=message), translated():
        history.value(f"select purge_finished_jobs({arguments})")
