"""The queue meets the faults: its breaker, its holds, its retries and its dead letters."""

import asyncio

import pytest

from lib.database import load, open_async_pool, open_pool
from lib.generation.generate_image import GenerationHandler
from lib.ops.fault_injection import inject
from lib.provider.providers import Providers
from lib.provider.simulator.faults import FaultFile, Faults, ModelFaults
from lib.provider.simulator.server import Simulator
from lib.queue.worker_calls import Queue
from lib.storage.local import LocalStorage
from lib.worker.worker import Worker

SCHNELL, DEV = "black-forest-labs/flux-schnell", "black-forest-labs/flux-dev"
page = load("fault_injection")


@pytest.fixture
def file(folder):
    return FaultFile(folder)


@pytest.fixture
async def worker(database, db, folder, connect, tmp_path, monkeypatch):
    """A worker with a fast provider and short waits between attempts."""
    monkeypatch.setattr("lib.generation.predictions.CREATE_SECONDS", 1)
    monkeypatch.setattr("lib.generation.predictions.ARRIVAL_SECONDS", 0)
    db.execute("update job_types set backoff_base_seconds = 0.05, backoff_max_seconds = 0.05")
    simulator = Simulator(folder, speed=100, failure_rate=0)
    simulator.start()
    pool = await open_async_pool(database, application_name="darkroom worker")
    handler = GenerationHandler(
        Queue(pool),
        Providers(connect(simulator.token, simulator.base_url, max_wait=0)),
        LocalStorage(tmp_path / "images", "http://app.example"),
        deadline_seconds=1,
    )
    worker = Worker(
        pool,
        pool,
        {"generate-image": handler},
        kind="worker",
        concurrency=8,
        heartbeat_seconds=0.1,
        rescue_seconds=600,
        batch=50,
    )
    task = asyncio.create_task(worker.run(database, poll_seconds=0.05, stop_grace_seconds=0))
    yield worker
    worker.stop()
    await task
    await pool.close()
    simulator.stop()


@pytest.fixture
def start(db):
    def start(number: int = 1, model: str = SCHNELL) -> list:
        return [
            db.execute(
                "select start_generation(null, 'a fox', %s, '{\"width\": 64, \"height\": 64}',"
                " 'test') ->> 'job_id' as id",
                [model],
            ).fetchone()["id"]
            for _ in range(number)
        ]

    return start


@pytest.fixture
def statuses(db):
    def statuses(ids: list) -> set[str]:
        rows = db.execute("select status from job_queue where id = any(%s::uuid[])", [ids])
        return {row["status"] for row in rows}

    return statuses


async def until(condition) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def breaker(db):
    """The breaker as the page shows it."""
    now = page.now(db)
    return now["open_seconds"] is not None, now["probing"]


@pytest.mark.parametrize("outage", ["cut", "unavailable"])
async def test_an_outage_opens_the_breaker_which_closes_afterwards(
    db, worker, file, start, statuses, outage
):
    file.write(Faults(outage=outage))
    jobs = start(6)
    await until(lambda: breaker(db)[0])
    assert page.now(db)["breaker_reason"]
    # Those that ran when it opened have ended too.
    await until(lambda: page.now(db)["processing"] == 0)
    assert statuses(jobs) <= {"pending", "failed"}
    held = start(2)
    assert page.now(db)["pending"] >= 2
    file.write(Faults())
    db.execute("update provider_breakers set open_until = now()")
    await until(lambda: statuses(held) == {"completed"})
    assert breaker(db) == (False, False)
    await until(lambda: "pending" not in statuses(jobs))


async def test_throttled_creations_hold_the_model_and_cost_no_try(
    db, worker, file, start, statuses
):
    file.write(Faults(models={SCHNELL: ModelFaults(failures={"429": 100}, retry_after=600)}))
    [resting] = start()
    await until(lambda: page.now(db)["held_models"] == [SCHNELL])
    [other] = start(model=DEV)
    await until(lambda: statuses([other]) == {"completed"})
    assert statuses([resting]) == {"pending"}
    row = db.execute("select attempts, max_attempts from job_queue where id = %s", [resting])
    assert row.fetchone() == {"attempts": 1, "max_attempts": 4}


async def test_a_rate_limit_holds_the_model_as_well(db, worker, file, start, statuses):
    file.write(Faults(all_models=ModelFaults(creates_per_minute=2)))
    jobs = start(4)
    await until(lambda: page.now(db)["held_models"] == [SCHNELL])
    await until(lambda: page.now(db)["processing"] == 0)
    assert statuses(jobs) == {"completed", "pending"}
    done = "select count(*) from job_queue where status = 'completed'"
    assert db.execute(done).fetchone()["count"] == 2


@pytest.mark.parametrize(
    ("kind", "code", "attempts"),
    [
        ("prediction_failed", "prediction_failed", 3),
        ("never_ends", "deadline_exceeded", 3),
        ("not_an_image", "not_an_image", 1),
        ("404", "model_not_found", 1),
        ("422", "invalid_input", 1),
        ("402", "no_credit", 1),
        ("401", "unauthorized", 1),
    ],
)
async def test_failures_end_as_dead_letters(
    db, worker, file, start, statuses, kind, code, attempts
):
    file.write(Faults(all_models=ModelFaults(failures={kind: 100})))
    [job] = start()
    await until(lambda: statuses([job]) == {"failed"})
    row = db.execute(
        "select attempts, error_details ->> 'code' as code from job_queue where id = %s", [job]
    ).fetchone()
    assert row == {"attempts": attempts, "code": code}
    assert page.now(db)["failed"] == 1
    assert page.errors(db) == [{"code": code, "waiting": 0, "failed": 1}]


async def test_what_operators_inject_is_recorded(db, database, file):
    with open_pool(database, application_name="darkroom dashboard") as pool:
        inject(pool, "ann", file, Faults(outage="cut"))
        assert (file.read().by, file.read().outage) == ("ann", "cut")
        inject(pool, "ben", file, Faults())
    assert file.read() == Faults()
    rows = db.execute("select actor, action, details from audit_log order by id").fetchall()
    assert [(row["actor"], row["action"]) for row in rows] == [
        ("ann", "inject_faults"),
        ("ben", "inject_faults"),
    ]
    cut, nothing = {"faults": ["Every connection is dropped without a response"]}, {"faults": []}
    changes = [(row["details"]["before"], row["details"]["after"]) for row in rows]
    assert changes == [(nothing, cut), (cut, nothing)]
