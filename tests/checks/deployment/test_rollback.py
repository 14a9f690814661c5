"""A rollback: what is stopped is known, nothing is lost, and the way forth puts it all back."""

import pytest

from lib.database import QueryError, connect, load
from lib.database.queries import QUERIES
from lib.ops.rollback import RESUME_STEPS, ROLLBACK_STEPS, end, record_notice, start
from lib.queue.operator_actions import set_async_rollout

STATE = "select * from public.rollbacks"
JOBS = (
    "insert into public.job_queue (job_type, status, attempts, started_at)"
    " select 'a', %s, 1, now() from generate_series(1, %s)"
)
LITERALS = {
    ":before_id": "'ffffffff-ffff-ffff-ffff-ffffffffffff'",
    ":before": "'infinity'",
    ":most": "5000",
}


@pytest.fixture
def plan(deployed):
    """Takes a step by its name, and gives what it reported with the progress it told."""

    class Plan:
        pool, db = deployed.pool, deployed.db

        def state(self):
            with self.pool.connection() as connection:
                return load("rollback").state(connection)

        def step(self, name):
            return next(step for step in (*ROLLBACK_STEPS, *RESUME_STEPS) if step.name == name)

        def stands(self, steps):
            state = self.state()
            return {step.name: step.status(state) for step in steps}

        def take(self, name, state=None):
            told = []
            report = self.step(name).run(self.pool, "Kim", state or self.state(), told.append)
            return report, told

        def count(self, status):
            [row] = self.db.execute(
                "select count(*) from public.job_queue where status = %s", [status]
            ).fetchall()
            return row["count"]

    return Plan()


def test_back_and_forth_again(plan):
    set_async_rollout(plan.pool, "Robin", 40)
    plan.db.execute(JOBS, ["pending", 1200])
    plan.db.execute(JOBS, ["processing", 3])
    start(plan.pool, "Kim", "Images are wrong")
    assert plan.stands(ROLLBACK_STEPS) == {
        "pause": "open",
        "synchronous": "open",
        "stop-cron": "unneeded",
        "cancel-waiting": "open",
        "cancel-running": "open",
    }
    plan.take("pause")
    assert plan.db.execute("select id from public.claim_jobs(10)").fetchall() == []
    assert "40% were on the queue" in plan.take("synchronous")[0]
    report, told = plan.take("cancel-waiting")
    assert report == "1,200 jobs cancelled."
    assert told[0] < told[-1] == 1.0
    assert len(told) == 3
    assert plan.take("cancel-running") == ("3 jobs cancelled.", [1.0])
    assert set(plan.stands(ROLLBACK_STEPS).values()) <= {"done", "unneeded"}
    record_notice(plan.pool, "Kim", plan.state()["id"], "Support", "Back in an hour")
    assert plan.state()["told"] == 1

    assert plan.stands(RESUME_STEPS) == {
        "resume": "open",
        "restart-cron": "unneeded",
        "put-back": "open",
        "restore": "open",
    }
    plan.take("resume")
    assert plan.take("put-back")[0] == "1,203 jobs put back on the queue."
    assert plan.count("pending") == 1203
    assert "40% of users" in plan.take("restore")[0]
    assert set(plan.stands(RESUME_STEPS).values()) <= {"done", "unneeded"}
    end(plan.pool, "Kim", plan.state()["id"])
    assert plan.state()["id"] is None
    [closed] = plan.db.execute(STATE).fetchall()
    assert (closed["reason"], closed["ended_by"]) == ("Images are wrong", "Kim")


def test_everything_is_in_the_audit_log_with_who_did_it(plan):
    set_async_rollout(plan.pool, "Robin", 40)
    plan.db.execute(JOBS, ["pending", 2])
    start(plan.pool, "Kim", "Wrong")
    for name in ("pause", "synchronous", "cancel-waiting", "resume", "put-back", "restore"):
        plan.take(name)
    record_notice(plan.pool, "Kim", plan.state()["id"], "Support", "Soon")
    end(plan.pool, "Kim", plan.state()["id"])
    logged = plan.db.execute(
        "select actor, action, affected, details from public.audit_log order by id"
    ).fetchall()
    assert [row["action"] for row in logged] == [
        "set_async_rollout",
        "start_rollback",
        "pause_queue",
        "set_async_rollout",
        "cancel_jobs",
        "resume_queue",
        "retry_jobs",
        "set_async_rollout",
        "note_notified",
        "end_rollback",
    ]
    assert {row["actor"] for row in logged[1:]} == {"Kim"}
    assert logged[3]["details"] == {"before": 40, "after": 0}
    assert logged[7]["details"] == {"before": 0, "after": 40}
    assert logged[4]["affected"] == logged[6]["affected"] == 2
    assert logged[8]["details"]["who"] == "Support"


def test_what_changed_since_it_was_counted_is_left_alone(plan):
    plan.db.execute(JOBS, ["pending", 2])
    start(plan.pool, "Kim", "Wrong")
    counted = plan.state()
    assert len(plan.db.execute("select * from public.claim_jobs(1)").fetchall()) == 1
    plan.db.execute(JOBS, ["pending", 1])
    assert plan.take("cancel-waiting", counted)[0] == "1 job cancelled."
    assert (plan.count("processing"), plan.count("pending")) == (1, 1)


def test_a_job_that_somebody_holds_is_not_waited_for(plan, database):
    plan.db.execute(JOBS, ["pending", 2])
    start(plan.pool, "Kim", "Wrong")
    with connect(database) as other, other.transaction():
        other.execute("select from public.job_queue limit 1 for update")
        assert plan.take("cancel-waiting")[0] == "1 job cancelled."
    assert plan.count("pending") == 1


def test_put_back_leaves_alone_what_was_retried_or_purged(plan):
    plan.db.execute(JOBS, ["pending", 3])
    start(plan.pool, "Kim", "Wrong")
    plan.take("cancel-waiting")
    ids = [row["id"] for row in plan.db.execute("select id from public.job_queue order by id")]
    plan.db.execute("select public.retry_jobs('Robin', %s::uuid[])", [ids[:1]])
    plan.db.execute("delete from public.job_queue where id = %s", [ids[1]])
    assert plan.take("put-back")[0] == "1 job put back on the queue. 2 jobs not affected."
    assert plan.take("put-back")[0] == "0 jobs put back on the queue."
    assert plan.count("pending") == 2


def test_one_rollback_at_a_time_and_with_a_reason(plan):
    with pytest.raises(QueryError, match="enter a reason"):
        start(plan.pool, "Kim", "  ")
    start(plan.pool, "Kim", "Wrong")
    with pytest.raises(QueryError, match="already in progress") as refused:
        start(plan.pool, "Robin", "Worse")
    assert refused.value.sqlstate == "DR409"
    [row] = plan.db.execute(STATE).fetchall()
    assert row["started_by"] == "Kim"


@pytest.mark.parametrize(
    "name", ["synchronous", "stop-cron", "cancel-waiting", "put-back", "restore", "restart-cron"]
)
def test_after_its_end_no_step_does_anything(plan, name):
    plan.db.execute(JOBS, ["pending", 1])
    set_async_rollout(plan.pool, "Robin", 40)
    start(plan.pool, "Kim", "Wrong")
    state = plan.state()
    end(plan.pool, "Robin", state["id"])
    with pytest.raises(QueryError, match="has ended") as refused:
        plan.take(name, state)
    assert refused.value.sqlstate == "DR409"
    assert plan.count("pending") == 1
    assert plan.state()["percentage"] == 40


def test_percentage_that_changed_meanwhile_is_the_one_that_comes_back(plan):
    start(plan.pool, "Kim", "Wrong")
    set_async_rollout(plan.pool, "Robin", 25)
    plan.take("synchronous")
    plan.take("synchronous")  # Twice: the percentage of before is not forgotten.
    assert "25%" in plan.take("restore")[0]


@pytest.mark.parametrize("name", ["state^", "failed"])
def test_nothing_reads_the_whole_queue(plan, name):
    plan.db.execute(
        "insert into public.job_queue (job_type, status, attempts, started_at, completed_at)"
        " select 'a', 'completed', 1, now(), now() from generate_series(1, 20000)"
    )
    plan.db.execute("analyze public.job_queue")
    text = (QUERIES / "rollback.sql").read_text()
    query = text.split(f"-- name: {name}\n")[1].split("-- name:")[0]
    for parameter, value in LITERALS.items():
        query = query.replace(parameter, value)
    lines = plan.db.execute(f"explain {query}".encode()).fetchall()
    shown = "\n".join(line["QUERY PLAN"] for line in lines)
    assert "Index Scan" in shown
    assert "Seq Scan on job_queue" not in shown
