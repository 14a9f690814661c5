"""The provider says wait, is down, is asked twice or is told to stop: what reaches it, what not."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from proxy import Proxy
from rig import DEV, SCHNELL, Rig, Throttle, rigged, throttled

from lib.database import open_async_pool
from lib.database.pool import Connection
from lib.generation.generate_image import GenerationHandler
from lib.provider.providers import Providers
from lib.provider.replicate.client import Replicate
from lib.queue.worker_calls import Queue
from lib.storage.local import LocalStorage
from lib.worker.worker import Worker

pytestmark = pytest.mark.slow


@pytest.fixture
def rig(
    db: Connection, database: str, tmp_path: Path, eventually: Callable[..., Any]
) -> Iterator[Rig]:
    with rigged(db, database, tmp_path, eventually) as made:
        yield made


@pytest.fixture
def link(rig: Rig) -> Iterator[Proxy]:
    """The way to the provider."""
    proxy = Proxy(("127.0.0.1", int(rig.simulator.base_url.rpartition(":")[2])))
    yield proxy
    proxy.close()


def url_of(link: Proxy) -> str:
    return f"http://127.0.0.1:{link.port}"


@pytest.fixture
def throttle(rig: Rig) -> Iterator[Throttle]:
    with throttled(rig, SCHNELL) as made:
        yield made


@contextmanager
def impatient_worker(rig: Rig, provider: str, *, concurrency: int) -> Iterator[None]:
    """A worker of this process whose calls to the provider give up within a second."""

    async def work(started: Future[tuple[asyncio.AbstractEventLoop, Worker]]) -> None:
        async with AsyncExitStack() as stack:
            pool = await open_async_pool(rig.database, application_name="darkroom worker")
            stack.push_async_callback(pool.close)
            replicate = Replicate(rig.simulator.token, provider, max_wait=0.1)
            stack.push_async_callback(replicate.aclose)
            storage = LocalStorage(rig.folder / "images", "http://127.0.0.1")
            generate = GenerationHandler(
                Queue(pool), Providers(replicate), storage, deadline_seconds=60
            )
            worker = Worker(
                pool,
                pool,
                {"generate-image": generate},
                kind="worker",
                concurrency=concurrency,
                heartbeat_seconds=0.2,
                rescue_seconds=600,
                batch=10,
            )
            started.set_result((asyncio.get_running_loop(), worker))
            await worker.run(rig.database, poll_seconds=0.05, stop_grace_seconds=0)

    started: Future[tuple[asyncio.AbstractEventLoop, Worker]] = Future()
    with ThreadPoolExecutor(1) as thread:
        ended = thread.submit(lambda: asyncio.run(work(started)))
        wait([started, ended], return_when=FIRST_COMPLETED)
        if ended.done():
            ended.result()
        loop, worker = started.result()
        try:
            yield
        finally:
            loop.call_soon_threadsafe(worker.stop)
            ended.result()


def cancel(rig: Rig, job: Any) -> None:
    rig.db.execute("select public.cancel_jobs('tester', array[%s]::uuid[])", (job,))


def cancelled_at_provider(rig: Rig, prompt: str) -> bool:
    (prediction,) = rig.predictions(prompt)
    return prediction["canceled_at"] is not None


@pytest.mark.parametrize(
    ("prompt", "beat"),
    [
        ("Hangs [hang]", "0.2"),
        # Its progress is refused long before a heartbeat tells.
        ("Progresses [slow]", "15"),
    ],
)
def test_cancelling_a_running_job_cancels_its_prediction(rig, prompt, beat):
    rig.worker(DARKROOM_HEARTBEAT_SECONDS=beat)
    job = rig.start(prompt, DEV)
    rig.wait_for_prediction(job)
    cancel(rig, job)
    rig.eventually(lambda: cancelled_at_provider(rig, prompt), 5)
    found = rig.job(job)
    assert (found["status"], found["generation"]) == ("cancelled", "cancelled")


def test_cancelling_a_job_whose_create_is_under_way_cancels_its_prediction(rig, link):
    worker = rig.worker(provider=url_of(link))
    link.trap_answer(b"201 Created", "frozen")
    job = rig.start("Under way [hang]")
    rig.eventually(lambda: link.mode == "frozen")
    cancel(rig, job)
    rig.eventually(lambda: "is cancelled now; dropping it" in worker.log)
    link.resume()
    rig.eventually(lambda: cancelled_at_provider(rig, "Under way [hang]"))
    assert rig.job(job)["status"] == "cancelled"


@pytest.mark.parametrize("concurrency", [1, 3])
def test_a_model_that_asks_for_a_rest_gets_it_from_all_its_jobs(rig, throttle, concurrency):
    throttle.retry_after = lambda: "600"
    resting = [rig.start(f"Resting {n}") for n in range(9)]
    going_on = [rig.start(f"Going on {n}", DEV) for n in range(2)]
    rig.worker(provider=throttle.url, DARKROOM_CONCURRENCY=str(concurrency))
    rig.wait_for("completed", *going_on)
    # Those that were claimed before the first refusal was stored.
    assert throttle.creates <= concurrency
    assert 570 <= rig.held_seconds(SCHNELL) <= 600
    found = [rig.job(job) for job in resting]
    assert {job["status"] for job in found} == {"pending"}
    assert {job["tries_left"] for job in found} == {3}
    throttle.retry_after = None
    rig.db.execute("update public.model_holds set held_until = now()")
    rig.due_now()
    rig.wait_for("completed", *resting)
    rig.assert_ended_once(*resting, *going_on)


def test_a_short_rest_does_not_hold_up_other_models(rig, throttle):
    throttle.retry_after = lambda: "15"
    rig.worker(provider=throttle.url, DARKROOM_CONCURRENCY="2")
    resting = [rig.start(f"Resting {n}") for n in range(2)]
    rig.wait_for("processing", *resting)
    rig.eventually(lambda: throttle.creates)
    other = rig.start("Another model", DEV)
    rig.eventually(lambda: rig.job(other)["status"] == "completed", 5)


def breaker(rig: Rig) -> Any:
    return rig.db.execute(
        "select failures, open_until > now() as open, probing from public.provider_breakers"
    ).fetchone()


def test_a_provider_that_is_down_is_left_alone_until_one_probe_succeeds(rig, link):
    link.cut()
    jobs = [rig.start(f"Patient {n}") for n in range(12)]
    with impatient_worker(rig, url_of(link), concurrency=2):
        rig.eventually(lambda: (state := breaker(rig)) and state["open"])
        # Two more may have been claimed before the fifth failure was stored.
        rig.eventually(lambda: not rig.db.execute("select from public.job_leases").fetchone())
        assert 5 <= sum(rig.job(job)["attempts"] for job in jobs) <= 7
        attempts = {job: rig.job(job)["attempts"] for job in jobs}
        rig.due_now()
        claim = "select id from public.claim_jobs(10)"
        assert rig.db.execute(claim).fetchall() == []

        # Still down: the probe fails, and nobody else has tried.
        rig.db.execute("update public.provider_breakers set open_until = now()")
        rig.eventually(lambda: sum(rig.job(j)["attempts"] for j in jobs) > sum(attempts.values()))
        rig.eventually(lambda: (state := breaker(rig))["open"] and not state["probing"])
        assert sum(rig.job(job)["attempts"] for job in jobs) == sum(attempts.values()) + 1

        # Back, but slow to answer: while one job probes, nobody may claim another.
        link.resume()
        link.trap_request(b"POST", "frozen")
        rig.due_now()
        rig.db.execute("update public.provider_breakers set open_until = now()")
        rig.eventually(lambda: link.mode == "frozen")
        assert rig.db.execute(claim).fetchall() == []
        assert sum(rig.job(job)["status"] == "processing" for job in jobs) == 1
        link.resume()
        rig.wait_for("completed", *jobs)
    assert breaker(rig) == {"failures": 0, "open": None, "probing": False}
    assert max(rig.job(job)["attempts"] for job in jobs) <= 3
    assert [len(rig.predictions(f"Patient {n}")) for n in range(12)] == [1] * 12
    rig.assert_ended_once(*jobs)


def test_the_next_attempt_follows_the_prediction_that_is_paid_for(rig):
    first = rig.worker()
    job = rig.start("Paid for [slow]")
    prediction = rig.wait_for_prediction(job)
    first.kill()
    with rig.db.transaction():
        rig.db.execute("update public.job_queue set started_at = now() - interval '1 hour'")
        rig.db.execute("update public.job_leases set heartbeat_at = now() - interval '1 hour'")
    rig.worker()
    rig.wait_for("completed", job)
    assert [p["id"] for p in rig.predictions("Paid for [slow]")] == [prediction]
    found = rig.job(job)
    assert (found["attempts"], found["prediction_id"]) == (2, prediction)
    rig.assert_ended_once(job)


def test_a_prediction_whose_create_a_stopping_worker_waits_for_is_recorded(rig, link):
    worker = rig.worker(provider=url_of(link))
    link.trap_answer(b"201 Created", "frozen")
    job = rig.start("Stopped meanwhile [hang]")
    rig.eventually(lambda: link.mode == "frozen")
    listening = "select from pg_stat_activity where application_name like 'darkroom listening%'"
    worker.ask_to_stop()
    rig.eventually(lambda: rig.db.execute(listening).fetchone() is None)
    link.resume()
    assert worker.stop() == 0
    (prediction,) = rig.predictions("Stopped meanwhile [hang]")
    found = rig.job(job)
    assert (found["status"], found["prediction_id"]) == ("pending", prediction["id"])
    assert found["tries_left"] == 3
