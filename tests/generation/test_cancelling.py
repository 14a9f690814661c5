"""Cancelling the predictions of a cancelled job at their providers."""

from typing import Any, cast

from lib.database import open_async_pool
from lib.database.pool import Connection
from lib.generation.generate_image import GenerationHandler
from lib.provider import ProviderError, Providers
from lib.queue.worker_calls import Claim, Queue

WORKER = "00000000-0000-0000-0000-000000000001"


class Servers:
    """Providers of which one is unknown and one does not cancel everything."""

    def __init__(self) -> None:
        self.cancelled: list[str] = []

    def client(self, name: str, _url: str | None) -> Any:
        if name == "gone":
            raise ProviderError("No client.", code="model_not_found", permanent=True)
        return self

    async def cancel(self, prediction_id: str) -> None:
        if prediction_id == "p1":
            raise ProviderError("No answer.", code="unreachable")
        self.cancelled.append(prediction_id)


async def test_one_that_fails_does_not_keep_the_others(db: Connection, database: str) -> None:
    db.execute("select start_generation(null, 'A fox', 'black-forest-labs/flux-dev', '{}')")
    [job] = db.execute("select * from claim_jobs(1, null, %s)", [WORKER]).fetchall()
    db.execute("select begin_generation(%s, 1)", [job["id"]])
    db.execute("update predictions set provider_id = 'p1', status = 'processing'")
    for id, provider in (("p2", "gone"), ("p3", "replicate")):
        db.execute(
            "insert into predictions"
            " (provider, provider_id, model_id, generation_id, input, status)"
            " select %s, %s, model_id, generation_id, '{}', 'processing'"
            " from predictions where provider_id = 'p1'",
            [provider, id],
        )
    db.execute("select cancel_jobs('me', %s)", [[job["id"]]])
    pool = await open_async_pool(database, application_name="darkroom worker")
    servers, nowhere = Servers(), cast(Any, None)
    handler = GenerationHandler(Queue(pool), cast(Providers, servers), nowhere, deadline_seconds=20)
    try:
        await handler.cancel(Claim(job["id"], 1, "generate-image", "{}"))
    finally:
        await pool.close()
    assert servers.cancelled == ["p3"]
    rows = db.execute("select provider_id, status from predictions order by 1").fetchall()
    assert [row["status"] for row in rows] == ["unknown", "unknown", "canceled"]
