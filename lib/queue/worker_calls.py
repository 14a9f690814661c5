"""Typed calls of the queue's SQL functions. Only those functions change job_queue."""

import json
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from lib.database import AsyncPool, connected, load_async


class JobFailed(Exception):
    """An attempt ended without a result.

    `permanent` says that another attempt cannot succeed; `retry_after` is the least wait before
    one, in seconds, when the provider asked for it; `code` names the kind of error.
    """

    def __init__(
        self, message: str, *, code: str, permanent: bool = False, retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.permanent = permanent
        self.retry_after = retry_after


class ClaimLost(Exception):
    """The job was reset, rescued or ended by someone else: this worker must drop it."""


@dataclass(frozen=True, slots=True, eq=False)
class Claim:
    """A job that a worker holds. (job_id, attempt) identifies the claim."""

    job_id: UUID
    attempt: int
    job_type: str
    payload_json: str = field(repr=False)

    @property
    def payload(self) -> Mapping[str, Any]:
        """The payload. Raises JobFailed for JSON that Python cannot hold."""
        return _parsed(self.payload_json)


@dataclass(frozen=True, slots=True)
class Generation:
    """What the holder of a claim needs to run its generation."""

    generation_id: UUID
    status: str
    model_id: str
    version: str | None
    input: Mapping[str, Any]
    prediction_id: str | None


@dataclass(frozen=True, slots=True)
class StartedGeneration:
    """The answer to a request: a queued generation and its job."""

    generation_id: UUID
    job_id: UUID


def storable(message: str) -> str:
    """A provider's message without what PostgreSQL's text cannot hold: NUL, lone surrogates."""
    return message.replace("\x00", "").encode(errors="replace").decode()


def _parsed(text: str) -> dict[str, Any]:
    try:
        value: dict[str, Any] = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise JobFailed(
            f"The payload cannot be read: {error}", code="invalid_payload", permanent=True
        ) from error
    return value


def _lost(claim: Claim) -> ClaimLost:
    return ClaimLost(f"job {claim.job_id}, attempt {claim.attempt}")


def _claim(row: Mapping[str, Any]) -> Claim:
    return Claim(row["id"], row["attempts"], row["job_type"], row["payload"])


class Queue:
    """The queue as workers and the HTTP functions use it.

    Every method raises DatabaseUnavailable while the database is away.
    """

    def __init__(self, pool: AsyncPool) -> None:
        self._pool = pool
        self._sql = load_async("queue")

    async def claim(self, worker_id: UUID, job_types: Collection[str], limit: int) -> list[Claim]:
        """Claims up to `limit` due jobs for a worker, most urgent first."""
        async with connected(self._pool) as connection:
            rows = self._sql.claim_jobs(
                connection, limit=limit, job_types=list(job_types), worker_id=worker_id
            )
            return [_claim(row) async for row in rows]

    async def claim_generation(self, worker_id: UUID, generation_id: UUID) -> Claim | None:
        """Claims the pending job of one generation; None when it has none."""
        async with connected(self._pool) as connection:
            row = await self._sql.claim_generation(
                connection, generation_id=generation_id, worker_id=worker_id
            )
            return _claim(row) if row else None

    async def heartbeat(
        self, worker_id: UUID, claims: Sequence[Claim]
    ) -> dict[tuple[UUID, int], str | None]:
        """Shows that claims are alive. Returns the lost ones by job and attempt, with a status.

        The status is what the job is now; None when it no longer exists.
        """
        async with connected(self._pool) as connection:
            rows = self._sql.heartbeat_jobs(
                connection,
                worker_id=worker_id,
                job_ids=[claim.job_id for claim in claims],
                attempts=[claim.attempt for claim in claims],
            )
            return {(row["job_id"], row["attempt"]): row["status"] async for row in rows}

    async def complete(self, results: Mapping[Claim, Mapping[str, Any]]) -> set[tuple[UUID, int]]:
        """Ends claims with success; a result may hold image_url and storage_path.

        Returns those that are no longer current, by job and attempt: nothing of theirs changed.
        """
        async with connected(self._pool) as connection:
            rows = self._sql.complete_jobs(
                connection,
                job_ids=[claim.job_id for claim in results],
                attempts=[claim.attempt for claim in results],
                results=[json.dumps(result) if result else None for result in results.values()],
            )
            return {(row["job_id"], row["attempt"]) async for row in rows}

    async def fail(self, claim: Claim, error: JobFailed) -> None:
        """Ends a claim with an error: the job is tried again later, or fails for good.

        Raises ClaimLost when the claim is no longer current; then nothing changed.
        """
        details: dict[str, Any] = {"code": error.code, "permanent": error.permanent}
        if error.retry_after is not None and math.isfinite(error.retry_after):
            details["retry_after_seconds"] = error.retry_after
        async with connected(self._pool) as connection:
            status = await self._sql.fail_job(
                connection,
                job_id=claim.job_id,
                error_message=storable(str(error)),
                error_details=json.dumps(details),
                attempt=claim.attempt,
            )
        if status == "lost":
            raise _lost(claim)

    async def release(self, worker_id: UUID, claims: Sequence[Claim]) -> set[UUID]:
        """Gives unfinished claims back without using up a try. Returns the jobs given back."""
        async with connected(self._pool) as connection:
            rows = self._sql.release_jobs(
                connection,
                worker_id=worker_id,
                job_ids=[claim.job_id for claim in claims],
                attempts=[claim.attempt for claim in claims],
            )
            return {row["job_id"] async for row in rows}

    async def release_unheld(self, worker_id: UUID, held: Sequence[Claim]) -> list[UUID]:
        """Gives back a worker's claims but those it knows of. Returns the jobs given back.

        For after a claim whose answer never arrived.
        """
        async with connected(self._pool) as connection:
            rows = self._sql.release_unheld_jobs(
                connection,
                worker_id=worker_id,
                job_ids=[claim.job_id for claim in held],
                attempts=[claim.attempt for claim in held],
            )
            return [row["job_id"] async for row in rows]

    async def rescue(self, silence_seconds: float) -> list[UUID]:
        """Takes the claims of workers that have been silent for so long. Returns the jobs."""
        async with connected(self._pool) as connection:
            rows = self._sql.rescue_stuck_jobs(connection, silence_seconds=silence_seconds)
            return [row["id"] async for row in rows]

    async def start_generation(
        self,
        *,
        user_id: UUID | None,
        prompt: str,
        model_id: str,
        parameters: Mapping[str, Any],
        source: str,
        idempotency_key: str | None,
    ) -> StartedGeneration:
        """Queues a generation within the user's limits; source is "app" or "test".

        Raises QueryError with sqlstate DR404 (no such model), DR409 (the key was used for
        another request) or DR429 (over the limit, the limits in its detail).
        """
        async with connected(self._pool) as connection:
            answer = await self._sql.start_generation(
                connection,
                user_id=user_id,
                prompt=prompt,
                model_id=model_id,
                parameters=json.dumps(parameters),
                source=source,
                idempotency_key=idempotency_key,
            )
        return StartedGeneration(UUID(answer["generation_id"]), UUID(answer["job_id"]))

    async def start_test_generations(
        self,
        *,
        run_id: UUID,
        jobs: int,
        per_second: float | None,
        prompt: str,
        model_id: str,
        parameters: Mapping[str, Any],
        idempotency_key: str | None,
    ) -> StartedGeneration:
        """Queues generations of a test run, so many due each second; None for all at once.

        Returns the first of them. Raises QueryError as start_generation does, and with sqlstate
        22023 when there is no such run.
        """
        async with connected(self._pool) as connection:
            answer = await self._sql.start_test_generations(
                connection,
                run_id=run_id,
                jobs=jobs,
                per_second=per_second,
                prompt=prompt,
                model_id=model_id,
                parameters=json.dumps(parameters),
                idempotency_key=idempotency_key,
            )
        return StartedGeneration(UUID(answer["generation_id"]), UUID(answer["job_id"]))

    async def begin_generation(self, claim: Claim) -> Generation:
        """What a claim's generation needs to run; marks it as processing.

        Raises ClaimLost, and QueryError or JobFailed for a payload that can never run.
        """
        async with connected(self._pool) as connection:
            row = await self._sql.begin_generation(
                connection, job_id=claim.job_id, attempt=claim.attempt
            )
        if row is None:
            raise _lost(claim)
        return Generation(
            row["generation_id"],
            row["status"],
            row["model_id"],
            row["version"],
            _parsed(row["input"]),
            row["prediction_id"],
        )

    async def record_prediction(self, claim: Claim, prediction_id: str) -> None:
        """Stores the prediction that runs a claim's generation. Raises ClaimLost."""
        async with connected(self._pool) as connection:
            held = await self._sql.record_prediction(
                connection,
                job_id=claim.job_id,
                attempt=claim.attempt,
                prediction_id=prediction_id,
            )
        if not held:
            raise _lost(claim)

    async def prediction_of(self, claim: Claim) -> str | None:
        """The prediction that was stored for a claim's generation, whoever holds it now."""
        async with connected(self._pool) as connection:
            found: str | None = await self._sql.prediction_of(connection, job_id=claim.job_id)
            return found

    async def record_progress(self, claim: Claim, percent: int) -> None:
        """Raises the progress that the user sees, 0 to 100. Raises ClaimLost."""
        async with connected(self._pool) as connection:
            held = await self._sql.record_progress(
                connection, job_id=claim.job_id, attempt=claim.attempt, progress=percent
            )
        if not held:
            raise _lost(claim)
