"""Refusals: known by code and words, never tried again, paid once, the same sentence everywhere."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from lib.checks.job_state import job_state
from lib.checks.refusals import refusal_sentence
from lib.database import load, open_async_pool
from lib.database.pool import Connection
from lib.generation.generate_image import GenerationHandler
from lib.provider.failures import failure_of
from lib.provider.providers import Providers
from lib.provider.replicate.client import Replicate
from lib.provider.simulator.predictions import Predictions
from lib.provider.simulator.server import Simulator
from lib.queue.following import follow_generation
from lib.queue.worker_calls import Queue
from lib.storage.local import LocalStorage
from lib.worker.worker import Worker

SCHNELL, PRO = "black-forest-labs/flux-schnell", "black-forest-labs/flux-1.1-pro"
COMPLETED, REFUSED = ("completed", None), ("failed", "refused")
VENDOR, RETRIED = ("failed", "vendor_account"), ("failed", "prediction_failed")
# By model and prompt: how the job ends, and how many predictions that costs.
ENDINGS = {
    (SCHNELL, "a [nsfw]"): (REFUSED, 1),
    ("stability-ai/sdxl", "b [nsfw]"): (REFUSED, 1),
    (PRO, "c [e005]"): (REFUSED, 1),
    # Such models succeed with the images that passed: none, or some.
    ("stability-ai/stable-diffusion-3.5-large", "d [nsfw]"): (REFUSED, 1),
    (SCHNELL, "e [flagged]"): (COMPLETED, 1),
    (PRO, "f [e003]"): (RETRIED, 3),
    (PRO, "g [e004]"): (RETRIED, 3),
    (SCHNELL, "h [e6716]"): (RETRIED, 3),
    (SCHNELL, "i [e9828]"): (RETRIED, 3),
    (SCHNELL, "j [pa]"): (RETRIED, 3),
    (PRO, "k [e001]"): (VENDOR, 1),
    (PRO, "l [e002]"): (VENDOR, 1),
    (PRO, "m [402]"): (("failed", "no_credit"), 0),
}
WITHHELD = "The safety filter of {} withheld every image. Change the prompt and try again."
REJECTED = (
    "The safety filter of {} rejected the prompt or the image. Change the prompt and try again."
)


@pytest.fixture
def simulator(tmp_path: Path) -> Iterator[Simulator]:
    simulator = Simulator(tmp_path / "replicate", speed=200, failure_rate=0)
    simulator.start()
    yield simulator
    simulator.stop()


@pytest.fixture
def paid(simulator: Simulator, tmp_path: Path) -> Any:
    """How many predictions of each prompt the provider has."""

    def paid() -> Counter[str]:
        book = Predictions(tmp_path / "replicate")
        records = book.newest(after=0, before=1e12, below=None, limit=1000)
        return Counter(record.input["prompt"] for record in records)

    return paid


@pytest.fixture
async def work(
    database: str, db: Connection, simulator: Simulator, tmp_path: Path
) -> AsyncIterator[Any]:
    """Runs all jobs until they have ended."""
    db.execute("update job_types set backoff_base_seconds = 0.01, backoff_max_seconds = 0.01")
    db.execute("update job_types set backoff_jitter = 0")
    pool = await open_async_pool(database, application_name="darkroom worker")
    replicate = Replicate(simulator.token, simulator.base_url, max_wait=0)
    storage = LocalStorage(tmp_path / "images", "http://app.example")
    handler = GenerationHandler(Queue(pool), Providers(replicate), storage, deadline_seconds=30)

    async def work() -> None:
        worker = Worker(
            pool,
            pool,
            {"generate-image": handler},
            kind="worker",
            concurrency=8,
            heartbeat_seconds=1,
            rescue_seconds=600,
            batch=50,
        )
        task = asyncio.create_task(worker.run(database, poll_seconds=0.02, stop_grace_seconds=0))
        left = "select id from job_queue where status in ('pending', 'processing')"
        async with asyncio.timeout(60):
            while db.execute(left).fetchone():  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        worker.stop()
        await task

    yield work
    await replicate.aclose()
    await pool.close()


def start(db: Connection, model: str, prompt: str) -> dict[str, Any]:
    four = '{"num_outputs": 4}' if "[flagged]" in prompt else "{}"
    row = db.execute(
        "select start_generation(null, %s, %s, %s, 'test') as made", [prompt, model, four]
    ).fetchone()
    assert row
    made: dict[str, Any] = row["made"]
    return made


async def test_each_ending_costs_what_it_should(db: Connection, work: Any, paid: Any) -> None:
    for model, prompt in ENDINGS:
        start(db, model, prompt)
    await work()
    rows = db.execute(
        "select payload ->> 'prompt' as prompt, payload ->> 'model_id' as model, status,"
        " error_details ->> 'code' as code, error_message as message from job_queue"
    ).fetchall()
    cost = paid()
    found = {
        (row["model"], row["prompt"]): ((row["status"], row["code"]), cost[row["prompt"]])
        for row in rows
    }
    assert found == ENDINGS
    messages = {row["prompt"][0]: row["message"] for row in rows}
    assert messages["a"] == REJECTED.format(SCHNELL)
    assert messages["d"] == WITHHELD.format("stability-ai/stable-diffusion-3.5-large")
    # What the operator must do.
    for letter in "kl":
        assert "Disable the model until" in messages[letter]
    assert "replicate.com/account/billing" in messages["m"]


async def test_a_refusal_reads_the_same_everywhere(
    db: Connection, database: str, work: Any, paid: Any
) -> None:
    made = start(db, SCHNELL, "a [nsfw] fox")
    await work()
    sentence = REJECTED.format(SCHNELL)
    updates = follow_generation(made["generation_id"], database_url=database, timeout=20)
    last = [update async for update in updates][-1]
    assert (last.status, last.error_code, last.error_message) == ("failed", "refused", sentence)
    job = load("job").job(db, id=made["job_id"])
    state = job_state(job)
    assert (state.level, state.sentence, state.retry_helps) == ("refused", sentence, False)
    [group] = load("failures").groups(db, start=None, length=timedelta(days=1))
    assert (group["refused"], group["total"], group["kinds"]) == (1, 0, 0)
    [shown] = load("overview").failures(db)
    assert refusal_sentence(group) == refusal_sentence(shown) == sentence
    assert paid() == {"a [nsfw] fox": 1}


async def test_refused_jobs_count_apart(db: Connection, work: Any) -> None:
    for number in range(12):
        start(db, SCHNELL, f"{number} [nsfw]")
    await work()
    now = load("overview").now(db)
    assert (now["last_hour_failed"], now["last_hour_refused"]) == (0, 12)
    assert now["last_hour_failure_share"] is None
    health = db.execute("select status, count from queue_health").fetchall()
    assert [tuple(row.values()) for row in health] == [("refused", 12)]
    [hour] = db.execute("select failed, refused from throughput_hourly where ended > 0").fetchall()
    assert hour == {"failed": 0, "refused": 12}
    [model] = db.execute("select failed, refused from model_timings").fetchall()
    assert model == {"failed": 0, "refused": 12}
    assert not db.execute("select from alert_measures() where rule = 'failure_rate'").fetchall()
    assert not db.execute("select from provider_breakers where failures > 0").fetchall()
    # Retrying all failed jobs leaves them alone, but one may retry their group.
    failures, day = load("failures"), {"start": None, "length": timedelta(days=1)}
    [group] = failures.groups(db, **day)
    assert list(failures.failed_ids(db, **day, key=None, most=100)) == []
    assert len(list(failures.failed_ids(db, **day, key=group["key"], most=100))) == 12
    # Status and list of job_queue call them failed.
    counts = load("jobs").counts(
        db, live=True, exact=False, job_type=None, model_id=None, span_start=None,
        span_length=timedelta(days=1),
    )  # fmt: skip
    assert {row["status"]: row["jobs"] for row in counts}["failed"] == 12


def test_a_vendors_outage_is_no_refusal() -> None:
    outage = "The moderation service is temporarily unavailable. (E004)"
    assert failure_of(PRO, "failed", None, outage) is None
    refused = failure_of(PRO, "failed", None, "Flagged by the content policy. (E005)")
    assert refused
    assert (refused.code, refused.permanent) == ("refused", True)
