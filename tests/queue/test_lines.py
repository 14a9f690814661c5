"""Claims find jobs by line, of one priority, type and model, and read few jobs of few lines."""

import itertools
import secrets
from concurrent.futures import ThreadPoolExecutor

import pytest
from queue_calls import OTHER, Queue

from lib.database import connect

ADD = """
    insert into job_queue (job_type, priority, scheduled_at, created_at, payload)
    select {job_type}, {priority}, now() + {due}, now() - (n * 7919) %% 100003 * interval '1 ms',
           jsonb_strip_nulls(jsonb_build_object('model_id', {model}))
    from generate_series(1, {jobs}) n
"""
DUE = """
    select id from job_queue where status = 'pending' and scheduled_at <= now()
    order by priority desc, scheduled_at, created_at
"""
LAST_LINE = """
    select id from job_queue where status = 'pending'
    order by line_of(priority, job_type, payload) desc limit 1
"""
TOMORROW = "interval '1 day' + n * interval '1 ms'"
MANY_MODELS = "'model ' || n %% 1000"
LOOKS = 100
"""Lines that a claim looks at from the first one on, and as many again of the others."""


@pytest.fixture
def add(queue):
    """Adds so many jobs; the values of their columns are SQL in which n is a job's number."""

    def add(jobs, *, job_type="'x'", priority="0", due="interval '-1 min'", model="null::text"):
        columns = {"job_type": job_type, "priority": priority, "due": due, "model": model}
        queue.db.execute(ADD.format(jobs=jobs, **columns).encode(), [])

    return add


def blocks(queue, statement):
    """The blocks that a statement touches once its plans are made; nothing that it does stays."""
    for told in (statement, f"explain (analyze, buffers, format json) {statement}"):
        with queue.db.transaction(force_rollback=True):
            (row,) = queue.db.execute(told.encode()).fetchall()
    plan = row["QUERY PLAN"][0]["Plan"]
    return plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]


def ids(queue, statement):
    return [row["id"] for row in queue.db.execute(statement.encode())]


def test_one_order_over_all_types_and_models(queue, add):
    add(
        400,
        job_type="(array['x', 'y'])[1 + n %% 2]",
        priority="n * 7 %% 4 - 1",
        model="(array['a', 'b', 'c', null])[1 + n * 3 %% 4]",
        due="n * 37 %% 50 * interval '-1 s'",
    )
    add(50, due=TOMORROW, priority="n %% 6", model="(array['a', 'd'])[1 + n %% 2]")
    expected = ids(queue, DUE)
    claimed = []
    for limit in itertools.cycle([1, 2, 7, 30]):
        found = queue.claim(limit=limit)
        claimed += found
        if len(found) < limit:
            break
    assert claimed == expected
    assert len(claimed) == 400
    assert queue.claim() == []


FEW, MANY = 100, 2_000
CROWDS = {
    "held": (FEW, {"jobs": 20_000, "model": "'tired'"}),
    "of a paused type": (FEW, {"jobs": 20_000, "job_type": "'paused'", "model": MANY_MODELS}),
    "of a type not asked for": (FEW, {"jobs": 20_000, "job_type": "'y'", "model": MANY_MODELS}),
    "of tomorrow": (FEW, {"jobs": 60_000, "due": TOMORROW, "priority": "100"}),
    "of other priorities": (FEW, {"jobs": 10_000, "priority": "n"}),
    "of other priorities, tomorrow": (MANY, {"jobs": 9_999, "priority": "n", "due": TOMORROW}),
    "of many models": (MANY, {"jobs": 20_000, "model": MANY_MODELS}),
    "of many held models": (MANY, {"jobs": 20_000, "model": "'tired ' || n %% 1000"}),
}


@pytest.mark.parametrize("crowd", CROWDS)
def test_a_crowd_of_jobs_costs_a_claim_little(queue, add, crowd):
    most, jobs = CROWDS[crowd]
    add(**jobs)
    add(100)
    queue.rows("select pause_queue('operator', 'paused')")
    queue.db.execute(
        "insert into model_holds select distinct payload ->> 'model_id', now() + interval '1 hour'"
        " from job_queue where payload ->> 'model_id' like 'tired%'"
    )
    queue.db.execute("analyze job_queue")
    # Some 20 blocks more for each job that is claimed.
    assert blocks(queue, "select count(*) from claim_jobs(1, '{x,paused}')") < most
    assert blocks(queue, "select count(*) from claim_jobs(50, '{x,paused}')") < 3 * most + 50 * 25
    assert blocks(queue, "select oldest_due('{paused}')") < 4 * MANY


@pytest.mark.parametrize("crowd", ["held", "of a paused type", "of a type not asked for"])
def test_a_crowd_that_cannot_be_claimed_holds_up_nobody(queue, add, crowd):
    _, jobs = CROWDS[crowd]
    add(**jobs | {"jobs": 3_000, "priority": "9"})
    add(2)
    expected = ids(queue, DUE)[-2:]
    queue.rows("select pause_queue('operator', 'paused')")
    queue.db.execute("insert into model_holds values ('tired', now() + interval '1 hour')")
    assert queue.claim(limit=9, types=["x", "paused"]) == expected


def test_no_line_of_many_starves(queue, second, add):
    add(3_000, model="'model ' || n %% 600")
    last = queue.one(LAST_LINE)
    queue.db.execute("update job_queue set scheduled_at = '2020-01-01' where id = %s", [last])
    claims = [queue.claim()[0] for _ in range(600 // LOOKS)]
    assert last in claims
    assert len(set(claims)) == len(claims)
    # Another connection goes its own round, and each finds work until all is done.
    rest = [job_id for one in (queue, second) for job_id in iter_claims(one, 1_700)]
    assert len({*claims, *rest}) == 3_000


def iter_claims(queue, most):
    while most > 0 and (found := queue.claim(limit=min(most, 50))):
        most -= len(found)
        yield from found


def test_a_due_job_behind_many_priorities_is_found(queue, add):
    add(1_000, priority="n", due=TOMORROW)
    job_id = queue.enqueue("x", priority=-5)
    claims = [queue.claim() for _ in range(1_000 // LOOKS)]
    assert claims == [[]] * (len(claims) - 1) + [[job_id]]
    urgent = queue.enqueue("x", priority=5_000)
    assert queue.claim() == [urgent]


def test_a_higher_priority_is_claimed_first_among_many_lines(queue, add):
    add(600, model="'model ' || n")
    urgent = [queue.enqueue("x", priority=1, model_id=f"model {n}") for n in range(5)]
    assert queue.claim(limit=5) == urgent


def test_claims_at_once_share_no_job_of_several_lines_and_do_not_wait(queue, second, add):
    add(9, model="(array['a', 'b', 'c'])[1 + n %% 3]", priority="n %% 2")
    expected = ids(queue, DUE)
    second.db.execute("set lock_timeout = '1s'")
    with queue.db.transaction():
        assert queue.claim(limit=4) == expected[:4]
        assert second.claim(limit=9, worker=OTHER) == expected[4:]


def test_a_claim_goes_on_below_what_others_hold(queue, second):
    queue.enqueue("x", priority=5, model_id="a")
    low = queue.enqueue("x", model_id="b")
    second.db.execute("set lock_timeout = '1s'")
    with queue.db.transaction():
        queue.claim()
        assert second.claim(worker=OTHER) == [low]


def test_many_claimers_get_each_job_once(database, queue, add):
    add(1_000, model="'model ' || n %% 20", priority="n %% 3")

    def work(_):
        with connect(database) as db:
            return list(iter_claims(Queue(db), 1_000))

    with ThreadPoolExecutor(4) as threads:
        claimed = [job_id for share in threads.map(work, range(4)) for job_id in share]
    assert sorted(claimed) == sorted(ids(queue, "select id from job_queue"))


def test_any_type_and_model_can_be_claimed(queue):
    names = [secrets.token_hex(50_000), "ä" * 9_000, "\x01", "' -- %s", "🦊"]
    for name in names:
        queue.db.execute("insert into job_queue (job_type) values (%s)", [name])
    for model in (*names, None, 7, -1.5e300, True, {"a": []}, []):
        queue.enqueue(model_id=model)
    expected = ids(queue, DUE)
    assert queue.claim(limit=99) == expected
    assert ids(queue, DUE) == []
