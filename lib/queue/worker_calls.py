"""Typed calls of the queue's SQL functions. Only those functions change job_queue."""

import json
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from lib.database import AsyncPool, connected, load_async


class JobFailed(Exception):
    """An attempt failed.

    `permanent` means that another attempt cannot succeed; `retry_after` is the minimum delay before
    one, in seconds, if the provider asked for it; `code` names the kind of error.
    """

    def __init__(
        self, message: str, *, code: str, permanent: bool = False, retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.permanent = permanent
        self.retry_after = retry_after


class ClaimLost(Exception):
    """The job was reset, rescued or ended by another process: this worker must drop it."""

    def __init__(self, claim: "Claim") -> None:
        super().__init__(f"job {claim.job_id}, attempt {claim.attempt}")


@dataclass(frozen=True, slots=True, eq=False)
class Claim:
    """A job claimed by a worker, identified by (job_id, attempt)."""

    job_id: UUID
    attempt: int
    job_type: str
    payload_json: str = field(repr=False)

    @property
    def payload(self) -> Mapping[str, Any]:
        """The parsed payload. Raises JobFailed for JSON that Python cannot represent."""
        return parse_json(self.payload_json)


@dataclass(frozen=True, slots=True)
class StartedGeneration:
    """A queued generation and its job.

    `notices` says in sentences what was ignored or changed of the request; `size` has what was
    asked, what is sent and the expected width and height, None if the model's schema is unknown;
    `application` and `metadata` are those of the request.
    """

    generation_id: UUID
    job_id: UUID
    notices: list[str]
    size: dict[str, Any] | None
    application: str | None
    metadata: dict[str, Any] | None


def storable(message: str) -> str:
    """Remove what PostgreSQL cannot store as text from a message: NUL and lone surrogates."""
    return message.replace("\x00", "").encode(errors="replace").decode()


def parse_json(text: str) -> dict[str, Any]:
    """A JSON object of a job. Raises JobFailed if Python cannot read it."""
    try:
        value: dict[str, Any] = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise JobFailed(
            f"The payload cannot be read: {error}", code="invalid_payload", permanent=True
        ) from error
    return value


def _json_or_null(value: Mapping[str, Any] | None) -> str | None:
    return None if value is None else json.dumps(value)


def _started(answer: Mapping[str, Any]) -> StartedGeneration:
    return StartedGeneration(
        UUID(answer["generation_id"]),
        UUID(answer["job_id"]),
        answer["notices"],
        answer["size"],
        answer["application"],
        answer["metadata"],
    )


def _claim(row: Mapping[str, Any]) -> Claim:
    return Claim(row["id"], row["attempts"], row["job_type"], row["payload"])


class Queue:
    """The queue as used by workers and the HTTP functions.

    Every method raises DatabaseUnavailable while the database is unreachable.
    """

    def __init__(self, pool: AsyncPool) -> None:
        self.pool = pool
        self._sql = load_async("queue")

    async def claim(
        self, worker_id: UUID, job_types: Collection[str], limit: int, *, singly: bool = False
    ) -> list[Claim]:
        """Claim up to `limit` due jobs, most urgent first; `singly` sets refused rows aside."""
        claim = self._sql.claim_jobs_singly if singly else self._sql.claim_jobs
        async with connected(self.pool) as connection:
            rows = claim(connection, limit=limit, job_types=list(job_types), worker_id=worker_id)
            return [_claim(row) async for row in rows]

    async def claim_generation(self, worker_id: UUID, generation_id: UUID) -> Claim | None:
        """Claim the pending job of a generation; None if there is none."""
        async with connected(self.pool) as connection:
            row = await self._sql.claim_generation(
                connection, generation_id=generation_id, worker_id=worker_id
            )
            return _claim(row) if row else None

    async def heartbeat(
        self, worker_id: UUID, claims: Sequence[Claim]
    ) -> dict[tuple[UUID, int], str | None]:
        """Send a heartbeat for claims. Returns the lost ones by job and attempt.

        Each comes with the job's current status, None if it no longer exists.
        """
        async with connected(self.pool) as connection:
            rows = self._sql.heartbeat_jobs(
                connection,
                worker_id=worker_id,
                job_ids=[claim.job_id for claim in claims],
                attempts=[claim.attempt for claim in claims],
            )
            return {(row["job_id"], row["attempt"]): row["status"] async for row in rows}

    async def complete(self, results: Mapping[Claim, Mapping[str, Any]]) -> set[tuple[UUID, int]]:
        """Complete claims; a result may contain image_url, storage_path, thumbnail_path, notice.

        Returns the lost claims by job and attempt: those are left unchanged.
        """
        async with connected(self.pool) as connection:
            rows = self._sql.complete_jobs(
                connection,
                job_ids=[claim.job_id for claim in results],
                attempts=[claim.attempt for claim in results],
                results=[json.dumps(result) if result else None for result in results.values()],
            )
            return {(row["job_id"], row["attempt"]) async for row in rows}

    async def fail(self, claim: Claim, error: JobFailed) -> None:
        """Fail a claim: the job is retried later or fails for good.

        Raises ClaimLost if the claim is no longer current; then nothing changed.
        """
        details: dict[str, Any] = {"code": error.code, "permanent": error.permanent}
        if error.retry_after is not None and math.isfinite(error.retry_after):
            details["retry_after_seconds"] = error.retry_after
        async with connected(self.pool) as connection:
            status = await self._sql.fail_job(
                connection,
                job_id=claim.job_id,
                error_message=storable(str(error)),
                error_details=json.dumps(details),
                attempt=claim.attempt,
            )
        if status == "lost":
            raise ClaimLost(claim)

    async def release(self, worker_id: UUID, claims: Sequence[Claim]) -> set[UUID]:
        """Release unfinished claims without using up an attempt. Returns the released jobs."""
        async with connected(self.pool) as connection:
            rows = self._sql.release_jobs(
                connection,
                worker_id=worker_id,
                job_ids=[claim.job_id for claim in claims],
                attempts=[claim.attempt for claim in claims],
            )
            return {row["job_id"] async for row in rows}

    async def release_unheld(self, worker_id: UUID, held: Sequence[Claim]) -> list[UUID]:
        """Release a worker's claims except `held`, after a lost response. Returns the jobs."""
        async with connected(self.pool) as connection:
            rows = self._sql.release_unheld_jobs(
                connection,
                worker_id=worker_id,
                job_ids=[claim.job_id for claim in held],
                attempts=[claim.attempt for claim in held],
            )
            return [row["job_id"] async for row in rows]

    async def rescue(self, silence_seconds: float | None = None) -> list[UUID]:
        """Rescue jobs without a heartbeat for `silence_seconds`, or for `stuck_after()`."""
        async with connected(self.pool) as connection:
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
        application: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> StartedGeneration:
        """Queue a generation within the user's limits; source is "app" or "test".

        `application` and `metadata` are kept with the generation and its predictions. Raises
        QueryError with sqlstate DR404 (no such model), DR409 (the key was used for another
        request), DR422 (invalid input, the problems in its detail) or DR429 (over the limit, the
        limits in its detail).
        """
        async with connected(self.pool) as connection:
            answer = await self._sql.start_generation(
                connection,
                user_id=user_id,
                prompt=prompt,
                model_id=model_id,
                parameters=json.dumps(parameters),
                source=source,
                idempotency_key=idempotency_key,
                application=application,
                metadata=_json_or_null(metadata),
            )
        return _started(answer)

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
        application: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> StartedGeneration:
        """Queue generations of a test run, `per_second` due each second, or all at once if None.

        Returns the first. Raises QueryError as start_generation does, and with sqlstate 22023 if
        the run does not exist.
        """
        async with connected(self.pool) as connection:
            answer = await self._sql.start_test_generations(
                connection,
                run_id=run_id,
                jobs=jobs,
                per_second=per_second,
                prompt=prompt,
                model_id=model_id,
                parameters=json.dumps(parameters),
                idempotency_key=idempotency_key,
                application=application,
                metadata=_json_or_null(metadata),
            )
        return _started(answer)

    async def images(self, generation_id: UUID) -> list[dict[str, Any]]:
        """The images of a completed generation, each with url, width, height and type."""
        async with connected(self.pool) as connection:
            return await self._sql.images(connection, generation_id=generation_id) or []

    async def record_progress(self, claim: Claim, percent: int) -> None:
        """Raise the progress shown to the user, 0 to 100. Raises ClaimLost."""
        async with connected(self.pool) as connection:
            held = await self._sql.record_progress(
                connection, job_id=claim.job_id, attempt=claim.attempt, progress=percent
            )
        if not held:
            raise ClaimLost(claim)
