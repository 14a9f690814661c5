"""A provider that is down is left alone and probed with one job at a time."""

import psycopg
import pytest
from queue_calls import GENERATION, OTHER

DOWN = {"code": "unreachable"}


@pytest.fixture
def breaker(queue):
    """The breaker of the provider, as (failures, openings, seconds it stays open)."""

    def read():
        row = queue.one(
            "select failures, openings, extract(epoch from open_until - clock_timestamp())::float"
            " as seconds from provider_breakers where provider = 'replicate'"
        )
        return row["failures"], row["openings"], row["seconds"]

    return read


@pytest.fixture
def open_breaker(queue):
    """Lets five jobs fail, so that the breaker is open."""

    def fail_five():
        for _ in range(5):
            queue.fail(queue.claimed(max_attempts=1), **DOWN)

    return fail_five


def wait_over(queue):
    queue.db.execute("update provider_breakers set open_until = clock_timestamp()")


def test_five_failures_in_a_row_open_it(queue, breaker):
    jobs = [queue.claimed() for _ in range(5)]
    for n, job_id in enumerate(jobs[:4], start=1):
        queue.fail(job_id, **DOWN)
        assert breaker() == (n, 0, None)
    waiting = queue.enqueue()
    assert queue.claim() == [waiting]
    queue.fail(jobs[4], **DOWN)
    failures, openings, seconds = breaker()
    assert (failures, openings) == (0, 1)
    assert seconds == pytest.approx(30, abs=5)


@pytest.mark.parametrize("code", ["unreachable", "provider_error", "unauthorized", "no_credit"])
def test_what_counts_as_a_failure_of_the_provider(queue, breaker, code):
    queue.fail(queue.claimed(), code=code)
    assert breaker()[0] == 1


def test_other_errors_and_other_types_do_not_count(queue):
    queue.fail(queue.claimed(), code="timeout")
    queue.fail(queue.claimed())
    queue.fail(queue.claimed("x"), **DOWN)
    assert queue.rows("select * from provider_breakers") == []


def test_while_open_only_jobs_of_others_are_claimed(queue, open_breaker):
    open_breaker()
    queue.enqueue(priority=9)
    other = queue.enqueue("x")
    assert queue.claim(limit=9) == [other]
    assert queue.claim(limit=9, types=["generate-image"]) == []


def test_while_open_a_single_generation_is_not_claimed_either(queue, open_breaker):
    open_breaker()
    queue.enqueue(generation_id=GENERATION)
    with pytest.raises(psycopg.Error, match="cannot run now") as refused:
        queue.rows("select * from claim_generation(%s)", GENERATION)
    assert refused.value.sqlstate == "DR409"


@pytest.mark.parametrize("end", ["complete_job", "complete_jobs", "invalid_input"])
def test_an_answer_of_the_provider_resets_the_count(queue, breaker, end):
    for _ in range(4):
        queue.fail(queue.claimed(), **DOWN)
    answered = queue.claimed()
    if end == "complete_job":
        queue.complete(answered)
    elif end == "complete_jobs":
        queue.rows("select * from complete_jobs(array[%s]::uuid[], '{1}', '{null}')", answered)
    else:
        queue.fail(answered, code=end)
    for _ in range(4):
        queue.fail(queue.claimed(), **DOWN)
    assert breaker() == (4, 0, None)


def test_after_the_wait_one_job_probes(queue, open_breaker):
    open_breaker()
    first, _ = queue.enqueue(), queue.enqueue()
    other = queue.enqueue("x")
    wait_over(queue)
    assert queue.claim(limit=9) == [first]
    assert queue.claim(limit=9, worker=OTHER) == [other]
    assert queue.claim(limit=9, worker=OTHER) == []


def test_claims_at_once_probe_with_one_job(queue, second, open_breaker):
    open_breaker()
    probe, _ = queue.enqueue(), queue.enqueue()
    wait_over(queue)
    second.db.execute("set lock_timeout = '1s'")
    with queue.db.transaction():
        assert queue.claim(limit=9) == [probe]
        assert second.claim(limit=9, worker=OTHER) == []
    assert second.claim(limit=9, worker=OTHER) == []


def test_without_a_due_job_of_its_own_nothing_probes_and_others_go_on(queue, open_breaker, breaker):
    open_breaker()
    wait_over(queue)
    queue.enqueue(due="1 hour")
    other = queue.enqueue("x")
    assert queue.claim(limit=9) == [other]
    later = queue.enqueue()
    assert queue.claim(limit=9, types=["x"]) == []
    assert queue.claim(limit=9) == [later]
    assert breaker()[2] == pytest.approx(60, abs=5)


def test_a_paused_type_is_not_probed(queue, open_breaker):
    open_breaker()
    job_id = queue.enqueue()
    wait_over(queue)
    queue.rows("select pause_queue('operator', 'generate-image')")
    assert queue.claim() == []
    queue.rows("select resume_queue('operator', 'generate-image')")
    assert queue.claim() == [job_id]


def test_a_probe_that_succeeds_closes_it(queue, open_breaker, breaker):
    open_breaker()
    jobs = [queue.enqueue() for _ in range(3)]
    wait_over(queue)
    (probe,) = queue.claim(limit=9)
    queue.complete(probe, attempt=1)
    assert breaker() == (0, 0, None)
    assert queue.claim(limit=9) == jobs[1:]


def test_a_probe_that_fails_doubles_the_wait_up_to_five_minutes(queue, open_breaker, breaker):
    open_breaker()
    for openings, seconds in [(2, 60), (3, 120), (4, 240), (5, 300), (6, 300)]:
        wait_over(queue)
        probe = queue.enqueue(max_attempts=1)
        assert queue.claim(limit=9) == [probe]
        queue.fail(probe, **DOWN)
        assert breaker() == (0, openings, pytest.approx(seconds, abs=5))
        queue.enqueue()
        assert queue.claim(limit=9) == []
        queue.db.execute("update job_queue set status = 'cancelled' where status = 'pending'")


def test_a_probe_that_fails_costs_no_attempt(queue, open_breaker):
    open_breaker()
    probe = queue.enqueue(max_attempts=1)
    for _ in range(3):
        wait_over(queue)
        queue.make_due(probe)
        assert queue.claim() == [probe]
        assert queue.fail(probe, **DOWN) == "pending"
    wait_over(queue)
    queue.make_due(probe)
    assert queue.claim() == [probe]
    assert queue.fail(probe, code="prediction_failed") == "failed"


def test_a_probe_whose_worker_died_is_followed_by_another(queue, open_breaker):
    open_breaker()
    jobs = [queue.enqueue() for _ in range(2)]
    wait_over(queue)
    assert queue.claim(limit=9) == jobs[:1]
    wait_over(queue)
    assert queue.claim(limit=9) == jobs[1:]


def test_failures_of_jobs_claimed_before_the_opening_do_not_lengthen_it(
    queue, open_breaker, breaker
):
    earlier = [queue.claimed() for _ in range(6)]
    open_breaker()
    for job_id in earlier:
        queue.fail(job_id, **DOWN)
    failures, openings, seconds = breaker()
    assert (failures, openings) == (0, 1)
    assert seconds <= 30


def test_a_job_that_the_database_refuses_does_not_block_the_probe(queue, open_breaker):
    open_breaker()
    refused, second = queue.enqueue(), queue.enqueue()
    queue.db.execute(
        "create function refuse() returns trigger language plpgsql as"
        " $$ begin raise exception 'refused'; end $$;"
        "create trigger refuse before update on job_queue for each row"
        f" when (old.id = '{refused}') execute function refuse();"
    )
    wait_over(queue)
    with pytest.raises(psycopg.Error, match="refused"), queue.db.transaction():
        queue.claim()
    queue.db.execute("select claim_jobs_singly(5)")
    assert queue.rows("select job_id from set_aside_jobs") == [{"job_id": refused}]
    assert queue.claim() == [second]
    assert queue.one("select probing from provider_breakers")


@pytest.mark.parametrize(("minutes", "still_open"), [(59, True), (61, False)])
def test_a_breaker_without_jobs_to_probe_with_closes_after_an_hour(
    queue, open_breaker, minutes, still_open
):
    open_breaker()
    queue.db.execute(
        "update provider_breakers set open_until = now() - make_interval(mins => %s)", [minutes]
    )
    assert queue.claim() == []
    is_open = queue.one("select open_until is not null from provider_breakers")
    assert is_open == still_open
