"""What monitors are told: /metrics to who may read it, /healthz to everybody."""

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.applications import Starlette

from lib.api.metrics import routes
from lib.database import load, open_async_pool
from lib.settings import parse


@pytest.fixture
async def pool(database):
    pool = await open_async_pool(database, wait=1, application_name="darkroom worker")
    # One that connects a moment later would escape being cut.
    await pool.wait()
    yield pool
    await pool.close()


@pytest.fixture
def asking(pool):
    """A client of the routes, from an address, with settings."""

    def asking(client="127.0.0.1", ready=True, worker_ended=False, role=False, **settings):
        found = routes(
            lambda: pool if ready else None,
            lambda: worker_ended,
            parse(settings),
            has_role=lambda _: role,
        )
        app = Starlette(routes=found)
        transport = httpx.ASGITransport(app, client=(client, 1))
        return httpx.AsyncClient(transport=transport, base_url="http://localhost")

    return asking


async def scraped(client):
    answer = (await client.get("/metrics")).raise_for_status()
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


async def test_metrics_tell_what_there_is(db, queue, asking):
    queue.complete(8, waited=30)
    queue.fail(2)
    queue.enqueue(3, waited=40)
    queue.claim()
    queue.one("select public.pause_queue('me', 'other')")
    queue.one("select public.record_provider_failure('replicate', 'No.')")
    db.execute("select public.evaluate_alerts()")
    found = await scraped(asking())
    assert found["darkroom_jobs", "pending"] == 2
    assert found["darkroom_jobs", "processing"] == 1
    assert found["darkroom_jobs_ended_total", "generate-image", "completed"] == 8
    assert found["darkroom_jobs_ended_total", "generate-image", "failed"] == 2
    assert 40 <= found["darkroom_oldest_due_seconds",] < 60
    assert (found["darkroom_workers",], found["darkroom_worker_slots",]) == (1, 1)
    assert 30 <= found["darkroom_wait_seconds", "0.5"] < 45
    assert 0 <= found["darkroom_run_seconds", "0.99"] < 15
    assert found["darkroom_queue_paused", "other"] == 1
    assert found["darkroom_provider_down", "replicate"] == 0
    assert found["darkroom_alert_firing", "failure_rate", "critical", ""] == 1
    assert found["darkroom_alerts_evaluated_timestamp_seconds",] > 1e9


async def test_metrics_tell_an_open_circuit_breaker(db, queue, asking):
    for _ in range(5):
        queue.one("select public.record_provider_failure('down', 'No.')")
    queue.one("select public.record_provider_failure('up', 'No.')")
    queue.one("select public.pause_queue('me', 'paused')")
    found = await scraped(asking())
    assert found["darkroom_provider_down", "down"] == 1
    assert found["darkroom_provider_down", "up"] == 0
    assert found["darkroom_queue_paused", "paused"] == 1
    active = {row["name"]: row["active"] for row in load("metrics").barriers(db)}
    assert active == {"down": True, "up": False, "paused": True}


async def test_metrics_of_an_empty_queue(asking):
    found = await scraped(asking())
    assert (found["darkroom_jobs", "pending"], found["darkroom_oldest_due_seconds",]) == (0, 0)


@pytest.mark.parametrize(
    ("client", "settings", "sent", "status"),
    [
        ("127.0.0.1", {}, None, 200),
        ("::1", {}, None, 200),
        ("192.0.2.1", {}, None, 403),
        ("somewhere", {}, None, 403),
        ("127.0.0.1", {"DARKROOM_URL": "https://darkroom.example"}, None, 403),
        ("127.0.0.1", {"METRICS_TOKEN": "s3cret"}, None, 401),
        ("127.0.0.1", {"METRICS_TOKEN": "s3cret"}, "Bearer wrong", 401),
        ("127.0.0.1", {"METRICS_TOKEN": "s3cret"}, "Basic s3cret", 401),
        ("192.0.2.1", {"METRICS_TOKEN": "s3cret"}, "Bearer s3cret", 200),
        ("192.0.2.1", {"METRICS_TOKEN": "s3cret"}, "Bearer s\u00e9cret", 401),
    ],
)
async def test_who_may_read_the_metrics(asking, client, settings, sent, status):
    headers = {"authorization": sent.encode()} if sent else {}
    answer = await asking(client, **settings).get("/metrics", headers=headers)
    assert answer.status_code == status
    assert ("darkroom_jobs" in answer.text) == (status == 200)


async def test_health_is_the_worst_that_fires(db, queue, asking):
    health = asking("192.0.2.1", role=True)

    async def state():
        db.execute("select public.evaluate_alerts()")
        answer = await health.get("/healthz")
        return answer.status_code, answer.json()

    assert await state() == (200, {"status": "ok", "alerts": []})
    queue.one("select public.pause_queue('somebody', 'secret type')")
    queue.back("queue_pauses", "paused_at", 7200)
    paused = {"rule": "queue_paused", "severity": "warning"}
    assert await state() == (200, {"status": "warning", "alerts": [paused]})
    for _ in range(5):
        queue.one("select public.record_provider_failure('a provider', 'No.')")
    down = {"rule": "provider_down", "severity": "critical"}
    assert await state() == (503, {"status": "critical", "alerts": [down, paused]})
    queue.one("select public.record_provider_success('a provider')")
    assert await state() == (200, {"status": "warning", "alerts": [paused]})


@pytest.mark.parametrize(
    ("client", "role", "settings", "sent", "named"),
    [
        ("192.0.2.1", False, {}, {}, False),
        ("192.0.2.1", True, {}, {}, True),
        ("127.0.0.1", False, {}, {}, True),
        ("127.0.0.1", False, {}, {"via": "1.1 proxy"}, False),
        ("127.0.0.1", False, {"DARKROOM_URL": "https://darkroom.example"}, {}, False),
        ("127.0.0.1", False, {"METRICS_TOKEN": "s3cret"}, {}, False),
        ("192.0.2.1", False, {"METRICS_TOKEN": "s3cret"}, {"authorization": "Bearer no"}, False),
        ("192.0.2.1", False, {"METRICS_TOKEN": "s3cret"}, {"authorization": "Bearer s3cret"}, True),
    ],
)
async def test_strangers_are_told_how_bad_it_is_and_no_more(
    db, queue, asking, client, role, settings, sent, named
):
    queue.one("select public.pause_queue('somebody', 'secret type')")
    queue.back("queue_pauses", "paused_at", 7200)
    db.execute("select public.evaluate_alerts()")
    answer = await asking(client, role=role, **settings).get("/healthz", headers=sent)
    alerts = {"alerts": [{"rule": "queue_paused", "severity": "warning"}]} if named else {}
    assert answer.json() == {"status": "warning"} | alerts


async def test_health_says_that_the_worker_has_ended(asking):
    answer = await asking(worker_ended=True).get("/healthz")
    assert answer.status_code == 503
    assert answer.json() == {"status": "the worker stopped and is restarting"}


async def test_health_is_not_known_when_nobody_watches(db, queue, asking):
    unknown = (503, {"status": "alerts are not evaluated"})
    answer = await asking().get("/healthz")
    assert (answer.status_code, answer.json()) == unknown
    db.execute("select public.evaluate_alerts()")
    assert (await asking().get("/healthz")).status_code == 200
    db.execute("update public.alert_watch set evaluated_at = evaluated_at - interval '61 seconds'")
    answer = await asking().get("/healthz")
    assert (answer.status_code, answer.json()) == unknown


@pytest.mark.parametrize("path", ["/healthz", "/metrics"])
async def test_says_that_the_database_is_away(asking, database_away, path):
    with database_away():
        answer = await asking().get(path)
    assert (answer.status_code, answer.json()) == (503, {"status": "database unavailable"})


async def test_strangers_are_not_told_why_nothing_works(db, asking, database_away):
    critical = (503, {"status": "critical"})
    for stranger in (asking("192.0.2.1", worker_ended=True), asking("192.0.2.1")):
        # No alerts were evaluated.
        answer = await stranger.get("/healthz")
        assert (answer.status_code, answer.json()) == critical
    with database_away():
        answer = await asking("192.0.2.1").get("/healthz")
        assert (answer.status_code, answer.json()) == critical
        answer = await asking("192.0.2.1", role=True).get("/healthz")
    assert answer.json() == {"status": "database unavailable"}


@pytest.mark.parametrize("path", ["/healthz", "/metrics"])
async def test_says_that_it_is_starting(asking, path):
    answer = await asking(ready=False).get(path)
    assert (answer.status_code, answer.json()) == (503, {"status": "starting"})
