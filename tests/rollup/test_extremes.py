"""Rows, names and clocks at their extremes: what can be folded is folded."""

import json
import random
import string

import pytest

REFRESH = "select refresh_rollup()"
SETTLED = "select * from verify_rollup()"


def test_a_job_that_cannot_be_folded_is_set_aside(db):
    """A row that came past the triggers, as from a restored backup."""
    db.execute("select enqueue_job('a', '{}') from generate_series(1, 30)")
    db.execute("select complete_job(id) from claim_jobs(30)")
    db.execute("alter table job_queue disable trigger job_queue_bounds")
    bad = db.execute(
        "insert into job_queue (job_type, status, started_at, completed_at)"
        " values ('a', 'completed', '-infinity', now()) returning id"
    ).fetchone()["id"]
    db.execute("alter table job_queue enable trigger job_queue_bounds")
    for _ in range(2):
        db.execute(REFRESH)
    counted = "select coalesce(sum(jobs), 0)::int as jobs from job_rollup"
    assert db.execute(counted).fetchone()["jobs"] == 30
    [aside] = db.execute("select * from set_aside_jobs").fetchall()
    assert (aside["job_id"], aside["step"]) == (bad, "history")
    assert "infin" in aside["error"]
    assert db.execute(SETTLED).fetchall() == []
    db.execute("update job_queue set started_at = completed_at where id = %s", [bad])
    db.execute("select retry_set_aside_jobs('0')")
    db.execute(REFRESH)
    assert db.execute(counted).fetchone()["jobs"] == 31


@pytest.mark.parametrize(
    ("column", "value"), [("job_type", "x"), ("model", "m"), ("code", "c"), ("model", "😀")]
)
def test_names_longer_than_an_index_entry_are_cut(db, column, value):
    job = {"job_type": "a", "model": "", "code": ""} | {column: random_text(value, 4000)}
    db.execute(
        "insert into job_queue (job_type, payload, status, completed_at, started_at, error_message,"
        " error_details) values (%s, %s, 'failed', now(), now(), %s, %s)",
        [
            job["job_type"],
            json.dumps({"model_id": job["model"]}),
            random_text("e", 4000) + job["model"],
            json.dumps({"code": job["code"]}),
        ],
    )
    for _ in range(2):
        db.execute(REFRESH)
    [failure] = db.execute("select * from failure_rollup").fetchall()
    assert len(failure["job_type"]) <= 200
    assert len(failure["model_id"]) <= 200
    assert len(failure["error_code"]) <= 60
    # The page finds the job of the group by the same key.
    same = (
        "select failure_key(error_message, error_details ->> 'code', payload ->> 'model_id')"
        " = error_key(error_group, error_code) as same from job_queue, failure_rollup"
    )
    assert db.execute(same).fetchone() == {"same": True}


def random_text(prefix: str, length: int) -> str:
    """Text that cannot be compressed into an index entry."""
    draw = random.Random(1)
    if prefix == "😀":
        return "".join(chr(draw.randrange(0x1F300, 0x1F600)) for _ in range(length))
    return prefix + "".join(draw.choices(string.ascii_letters + string.digits, k=length))


def test_thousands_of_waits_since_1970_are_summed_up(db):
    db.execute(
        "select enqueue_job('a', '{}', p_scheduled_at => 'epoch') from generate_series(1, 8000)"
    )
    db.execute("select complete_job(id) from claim_jobs(8000)")
    for _ in range(2):
        db.execute(REFRESH)
    found = db.execute("select waits, wait_us from job_rollup").fetchone()
    assert found["waits"] == 8000
    assert found["wait_us"] > 2**63


def test_what_ends_after_the_clock_was_set_back_is_counted(db):
    def end(jobs: int) -> None:
        db.execute("select enqueue_job('a', '{}') from generate_series(1, %s)", [jobs])
        db.execute("select complete_job(id) from claim_jobs(100)")

    counted = "select sum(count)::int as jobs from queue_health where status = 'completed'"
    db.execute(REFRESH)
    end(20)
    db.execute("update job_queue set completed_at = now() + interval '1 hour'")
    db.execute("update rollup_state set checkpoint_at = now() + interval '61 minutes'")
    db.execute(REFRESH)
    assert db.execute("select folded_until > now() as ahead from rollup_state").fetchone()["ahead"]
    end(7)
    db.execute(REFRESH)
    assert db.execute(counted).fetchone()["jobs"] == 27
    assert db.execute(SETTLED).fetchall() == []
    end(3)
    db.execute(REFRESH)
    assert db.execute(counted).fetchone()["jobs"] == 30


def test_the_queue_is_sampled_once_a_minute(db):
    db.execute("select enqueue_job('a', '{}') from generate_series(1, 5)")
    db.execute("select enqueue_job('a', '{}', p_scheduled_at => now() + interval '1 hour')")
    db.execute("select claim_jobs(2)")
    db.execute("insert into queue_samples values (now() - interval '91 days', 1, 1, 1)")
    with db.transaction():  # In one minute.
        taken = [db.execute("select sample_queue() as s").fetchone()["s"] for _ in range(2)]
    assert taken == [True, False]
    [sample] = db.execute("select pending, due, processing from queue_samples").fetchall()
    assert sample == {"pending": 4, "due": 3, "processing": 2}
