"""Models on servers of one's own: each server down or busy for itself, without use of attempts."""

from collections.abc import Callable
from typing import Any

import pytest
from queue_calls import GENERATION, OTHER, Queue

from lib.database import QueryError, StatementFailed, load, translated

HOME, SHED = "home/sdxl", "shed/flux"
PLACES = {HOME: "http://gpu.lan:5000", SHED: "http://10.0.0.7:5000"}
SCHEMA = '{"prompt": {"type": "string"}}'
ADD = "select save_model_schema('Ann', %s, 'Name', null, %s, 'uri', '{}', %s, %s)"
DOWN = {"code": "unreachable"}


@pytest.fixture(autouse=True)
def servers(queue: Queue) -> None:
    for model, url in PLACES.items():
        queue.rows(ADD, model, SCHEMA, "cog", url)


@pytest.fixture
def down(queue: Queue) -> Callable[..., Any]:
    """Lets five jobs fail, of a model if one is given, so that a breaker is open."""

    def fail_five(**model: str) -> None:
        for _ in range(5):
            queue.fail(queue.claimed(max_attempts=1, **model), **DOWN)

    return fail_five


def open_breakers(queue: Queue) -> list[str]:
    rows = queue.rows("select provider from provider_breakers where open_until is not null")
    return [row["provider"] for row in rows]


def busy(queue: Queue, job_id: Any) -> str:
    details = '{"code": "provider_busy", "retry_after_seconds": 2}'
    return queue.one("select complete_job(%s, false, 'Busy.', %s)", job_id, details)


def hold(queue: Queue, model: str) -> Any:
    return queue.one(
        "select extract(epoch from held_until - clock_timestamp())::float from model_holds"
        " where model_id = %s",
        model,
    )


def test_a_dead_server_stops_only_the_jobs_of_its_model(queue, down):
    down(model_id=HOME)
    assert open_breakers(queue) == [f"cog at {PLACES[HOME]}"]
    waiting = queue.enqueue(model_id=HOME, priority=9)
    others = [queue.enqueue(), queue.enqueue(model_id=SHED), queue.enqueue("x", model_id=HOME)]
    assert set(queue.claim(limit=9)) == set(others)
    assert queue.status(waiting) == "pending"


def test_while_replicate_is_down_own_servers_go_on(queue, down):
    down()
    assert open_breakers(queue) == ["replicate"]
    queue.enqueue(priority=9)
    at_home = queue.enqueue(model_id=HOME)
    assert queue.claim(limit=9) == [at_home]
    queue.complete(at_home)
    assert open_breakers(queue) == ["replicate"]


def test_a_server_is_probed_with_a_job_of_its_own_model(queue, down):
    down()
    down(model_id=HOME)
    first, second = queue.enqueue(model_id=HOME), queue.enqueue(model_id=HOME)
    queue.db.execute(
        "update provider_breakers set open_until = clock_timestamp() where provider like 'cog%'"
    )
    assert queue.claim(limit=9) == [first]
    assert queue.claim(limit=9, worker=OTHER) == []
    queue.rows("select * from complete_jobs(array[%s]::uuid[], '{1}', '{null}')", first)
    assert open_breakers(queue) == ["replicate"]
    assert queue.claim(limit=9) == [second]


def test_a_single_generation_of_a_dead_server_is_not_claimed(queue, down):
    down(model_id=HOME)
    queue.enqueue(model_id=HOME, generation_id=GENERATION)
    with pytest.raises(QueryError, match="cannot run now"), translated():
        queue.rows("select * from claim_generation(%s)", GENERATION)


def test_the_pages_count_the_jobs_of_a_dead_server_as_held_back(queue, down):
    down(model_id=HOME)
    queue.enqueue(model_id=HOME)
    queue.enqueue(model_id=SHED)
    state = queue.one("select due, pending, down from queue_state")
    assert (state["due"], state["pending"]) == (1, 2)
    assert [each["provider"] for each in state["down"]] == [f"cog at {PLACES[HOME]}"]


def test_while_replicate_is_down_the_jobs_of_own_servers_count_as_due(queue, down):
    down()
    queue.enqueue(due="-2 hours")
    queue.enqueue(model_id=HOME, due="-1 hour")
    state = queue.one("select due, oldest_due_seconds from queue_state")
    assert (state["due"], round(state["oldest_due_seconds"])) == (1, 3600)
    [replicate] = load("troubleshooting").pending(queue.db)["down"]
    assert replicate["jobs"] == 1
    waiting = queue.rows("select value from measure_waiting() where rule = 'oldest_pending'")
    assert [round(row["value"]) for row in waiting] == [3600]


def test_a_server_that_no_model_names_any_more_is_not_down(queue, down):
    down(model_id=HOME)
    queue.rows(ADD, "home/copy", SCHEMA, "cog", PLACES[HOME])
    queue.rows(ADD, HOME, SCHEMA, "cog", "http://gpu-2.lan:5000")
    assert open_breakers(queue) == [f"cog at {PLACES[HOME]}"]
    queue.rows(ADD, "home/copy", SCHEMA, "cog", "http://gpu-2.lan:5000")
    assert queue.rows("select * from provider_breakers") == []


def test_a_busy_server_costs_no_attempt_no_place_and_no_error(queue):
    first, second = queue.enqueue(model_id=HOME), queue.enqueue(model_id=HOME)
    other = queue.enqueue()
    assert queue.claim() == [first]
    before = queue.job(first)
    assert busy(queue, first) == "pending"
    job = queue.job(first)
    assert job["max_attempts"] - job["attempts"] == before["max_attempts"] - 0
    assert (job["scheduled_at"], job["error_message"], job["error_details"]) == (
        before["scheduled_at"],
        None,
        None,
    )
    assert 1 < hold(queue, HOME) <= 2
    assert queue.claim(limit=9) == [other]
    queue.db.execute("update model_holds set held_until = clock_timestamp()")
    assert queue.claim(limit=9) == [first]
    assert queue.status(second) == "pending"


def test_a_job_that_names_no_model_counts_for_the_server_of_its_generation(queue):
    queue.rows(
        "insert into image_generations (id, prompt, model_id) values (%s, 'p', %s) returning id",
        *(GENERATION, HOME),
    )
    job_id = queue.claimed(generation_id=GENERATION)
    assert queue.begin(job_id)[0]["provider_url"] == PLACES[HOME]
    busy(queue, job_id)
    assert 1 < hold(queue, HOME) <= 2


def test_an_alert_tells_that_jobs_wait_long_for_a_server_that_stays_busy(queue):
    job_id = queue.enqueue(model_id=HOME, due="-1 hour")
    assert queue.claim() == [job_id]
    busy(queue, job_id)
    waiting = queue.rows("select value from measure_waiting() where rule = 'oldest_pending'")
    assert [round(row["value"]) for row in waiting] == [3600]


def test_an_error_after_many_busy_answers_waits_as_after_the_first(queue):
    job_id = queue.enqueue(model_id=HOME)
    for _ in range(40):
        assert queue.claim() == [job_id]
        busy(queue, job_id)
        queue.db.execute("delete from model_holds")
    assert queue.claim() == [job_id]
    assert queue.fail(job_id, code="creation_unknown") == "pending"
    assert queue.wait_of(job_id) <= 12.5
    job = queue.job(job_id)
    assert job["max_attempts"] - job["attempts"] == 3


@pytest.mark.parametrize("end", ["complete_job", "complete_jobs", "fail"])
def test_the_end_of_a_job_lets_the_next_one_at_the_busy_server(queue, end):
    running, waiting = queue.enqueue(model_id=HOME), queue.enqueue(model_id=HOME)
    assert queue.claim(limit=2) == [running, waiting]
    busy(queue, waiting)
    assert queue.claim() == []
    if end == "complete_job":
        queue.complete(running)
    elif end == "complete_jobs":
        queue.rows("select * from complete_jobs(array[%s]::uuid[], '{1}', '{null}')", running)
    else:
        queue.fail(running, code="prediction_failed", permanent=True)
    assert queue.claim() == [waiting]


def test_the_end_of_a_job_does_not_end_a_rate_limit(queue):
    running, limited = queue.enqueue(model_id=HOME), queue.enqueue(model_id=HOME)
    assert queue.claim(limit=2) == [running, limited]
    queue.fail(limited, code="rate_limited", retry_after_seconds=30)
    queue.complete(running)
    assert hold(queue, HOME) > 25


@pytest.mark.parametrize(
    ("provider", "url", "words"),
    [
        ("cog", None, "needs the address"),
        ("replicate", "http://gpu.lan", "needs the address"),
        ("comfy", None, "choose replicate or cog"),
        ("cog", "ftp://gpu.lan", "invalid server address"),
        ("cog", "http://ann:secret@gpu.lan", "without a user"),
        ("cog", "http://gpu.lan:5000/?key=secret", "without a user"),
        ("cog", "http://", "invalid server address"),
        ("cog", "http://gpu.lan\nx", "invalid server address"),
    ],
)
def test_an_address_that_is_none_of_a_server_is_refused(queue, provider, url, words):
    with pytest.raises(QueryError, match=words) as refused, translated():
        queue.rows(ADD, "new/model", SCHEMA, provider, url)
    assert refused.value.sqlstate == "22023"
    assert "secret" not in refused.value.message


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:5000", "https://[fd00::7]:5000", "https://gpu.example/cog"]
)
def test_an_address_in_ones_own_network_is_kept_and_audited(queue, url):
    queue.rows(ADD, "new/model", SCHEMA, "cog", url)
    assert queue.one("select url from model_servers where model_id = 'new/model'") == url
    entry = queue.one("select details -> 'after' as after from audit_log order by at desc limit 1")
    assert (entry["provider"], entry["provider_url"]) == ("cog", url)


@pytest.mark.parametrize("role", ["anon", "authenticated"])
def test_users_read_the_models_but_no_address_of_a_server(queue, role):
    queue.db.execute(f"set role {role}")
    models = {row["id"]: row for row in queue.rows("select * from models")}
    with pytest.raises(StatementFailed, match="permission"), translated():
        queue.rows("select * from model_servers")
    queue.db.execute("reset role")
    assert models.keys() >= PLACES.keys()
    assert not [text for text in map(str, models.values()) if "lan:" in text or "10.0" in text]


def test_what_replicate_runs_for_a_model_that_moved_to_an_own_server_is_followed(queue):
    job_id = queue.claimed(generation_id=GENERATION, model_id="black-forest-labs/flux-dev")
    [intent] = queue.begin(job_id, attempt=1)
    queue.one("select record_prediction(%s, 1, 'p1', %s)", job_id, intent["prediction"])
    queue.make_silent(job_id)
    queue.reset()
    queue.rows(ADD, "black-forest-labs/flux-dev", SCHEMA, "cog", PLACES[HOME])
    assert queue.claim(worker=OTHER) == [job_id]
    [again] = queue.begin(job_id, attempt=2)
    assert (again["provider"], again["provider_id"]) == ("replicate", "p1")
    assert len(queue.rows("select from predictions")) == 1
    # Once that has failed and is replaced, the next attempt goes to the own server.
    queue.db.execute("update predictions set status = 'failed'")
    queue.db.execute("update image_generations set prediction_id = null")
    queue.make_silent(job_id)
    queue.reset()
    assert queue.claim() == [job_id]
    [moved] = queue.begin(job_id, attempt=3)
    assert (moved["provider"], moved["provider_url"]) == ("cog", PLACES[HOME])


def test_a_prediction_that_was_not_cancelled_is_unknown(queue):
    job_id = queue.claimed(generation_id=GENERATION, prompt="a fox")
    [intent] = queue.begin(job_id, attempt=1)
    queue.one("select record_prediction(%s, 1, 'p1', %s)", job_id, intent["prediction"])
    queue.cancel(job_id)
    assert len(queue.rows("select unwanted_predictions(%s)", job_id)) == 1
    queue.rows("select note_uncancelled('cog', 'p1')")
    assert queue.one("select status from predictions") == "canceled"
    queue.rows("select note_uncancelled('replicate', 'p1')")
    assert queue.one("select status from predictions") == "unknown"
