"""Typed calls of the SQL functions that keep the table predictions."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from lib.database import AsyncPool, connected, load_async
from lib.generation.inputs import with_files
from lib.provider import Prediction
from lib.queue.worker_calls import Claim, ClaimLost, parse_json, storable
from lib.storage import StoredImage, output_folder


@dataclass(frozen=True, slots=True)
class Intent:
    """A prediction of a generation, written down before it is created.

    `provider_id` is the provider's id, None while it is not known. `seconds` is how long ago an
    earlier attempt intended it; None if this attempt did. The provider may run it for
    `deadline_seconds`. `provider_url` is the address of the model's own server, if it has one.
    `ended` says whether an earlier attempt recorded its end. `input` has references in place of
    files, `given_files` what the provider gets for each.
    """

    id: UUID
    generation_id: UUID
    model_id: str
    version: str | None
    input: dict[str, Any]
    provider_id: str | None
    at: datetime
    seconds: float | None
    deadline_seconds: float
    user_id: UUID | None
    provider: str
    provider_url: str | None
    ended: bool = False
    given_files: Mapping[str, str] = field(default_factory=dict)

    @property
    def sent_input(self) -> dict[str, Any]:
        """The input as the provider gets it."""
        return with_files(self.input, self.given_files)


RecordOutcome = Literal["held", "lost", "unwanted", "taken"]
"""held: the claim is; lost: another attempt goes on with the prediction; unwanted: nobody does;
taken: the prediction belongs to another intent."""


@dataclass(frozen=True, slots=True)
class Generation:
    """What a worker needs to run the generation of a claim; no intent once it is completed.

    `images_asked` is how many images the intent's input asks for; `outputs_made` how many its
    prediction has, None until it has ended; `stored` has those that earlier attempts stored, by
    their place in its output.
    """

    id: UUID
    user_id: UUID | None
    intent: Intent | None
    images_asked: int = 1
    outputs_made: int | None = None
    stored: Mapping[int, StoredImage] = field(default_factory=dict)

    @property
    def folder(self) -> str:
        """Where its outputs are stored."""
        return output_folder(self.user_id, self.id)


class PredictionCalls:
    """The calls of a claim's holder. Every method raises DatabaseUnavailable.

    `deadline_seconds` counts for models that have none of their own.
    """

    def __init__(self, pool: AsyncPool, *, deadline_seconds: float) -> None:
        self._pool = pool
        self._deadline_seconds = deadline_seconds
        self._sql = load_async("predictions")

    async def begin(self, claim: Claim) -> Generation:
        """Mark a claim's generation as processing, and give or write down its prediction.

        Raises ClaimLost, and QueryError or JobFailed for an invalid payload.
        """
        async with connected(self._pool) as connection:
            row = await self._sql.begin_generation(
                connection, job_id=claim.job_id, attempt=claim.attempt
            )
        if row is None:
            raise ClaimLost(claim)
        if row["prediction"] is None:
            return Generation(row["generation_id"], row["user_id"], None)
        intent = Intent(
            row["prediction"],
            row["generation_id"],
            row["model_id"],
            row["version"],
            parse_json(row["input"]),
            row["provider_id"],
            row["intended_at"],
            row["intended_seconds"],
            row["deadline_seconds"] or self._deadline_seconds,
            row["user_id"],
            row["provider"],
            row["provider_url"],
            row["outputs_made"] is not None,
            row["given_files"] or {},
        )
        return Generation(
            row["generation_id"],
            row["user_id"],
            intent,
            row["images_asked"],
            row["outputs_made"],
            {output["index"]: _stored(output) for output in row["outputs"]},
        )

    async def replace(
        self, claim: Claim, intent: Intent, status: str, error: str | None = None
    ) -> Intent:
        """End a prediction with a status, and intend another. Raises ClaimLost."""
        async with connected(self._pool) as connection:
            row = await self._sql.replace_prediction(
                connection,
                job_id=claim.job_id,
                attempt=claim.attempt,
                prediction=intent.id,
                status=status,
                error=error and storable(error),
            )
        if row is None:
            raise ClaimLost(claim)
        return replace(
            intent,
            id=row["prediction"],
            version=row["version"],
            input=parse_json(row["input"]),
            provider_id=None,
            at=row["at"],
            seconds=None,
            ended=False,
            given_files={},
        )

    async def forget_id(self, claim: Claim, intent: Intent) -> Intent:
        """An intent without the provider's id, because the provider knows none such.

        Raises ClaimLost.
        """
        async with connected(self._pool) as connection:
            seconds = await self._sql.forget_provider_id(
                connection, job_id=claim.job_id, attempt=claim.attempt, prediction=intent.id
            )
        if seconds is None:
            raise ClaimLost(claim)
        return replace(intent, provider_id=None, seconds=seconds)

    async def renew(
        self, claim: Claim, intent: Intent, given_files: Mapping[str, str] | None = None
    ) -> None:
        """Prepare an intent for being sent now instead of earlier, with files if they are given.

        Raises ClaimLost.
        """
        async with connected(self._pool) as connection:
            renewed = await self._sql.renew_intent(
                connection,
                job_id=claim.job_id,
                attempt=claim.attempt,
                prediction=intent.id,
                given_files=json.dumps(given_files) if given_files else None,
            )
        if not renewed:
            raise ClaimLost(claim)

    async def record(self, claim: Claim, intent: Intent, created: Prediction) -> RecordOutcome:
        """Store which prediction an intent has become, even if the claim is lost."""
        async with connected(self._pool) as connection:
            outcome: RecordOutcome = await self._sql.record_prediction(
                connection,
                job_id=claim.job_id,
                attempt=claim.attempt,
                prediction=intent.id,
                provider_id=created.id,
                status=created.status,
            )
            return outcome

    async def adopt(self, claim: Claim, intent: Intent, provider_ids: Sequence[str]) -> str | None:
        """Give an intent the first of the predictions that no other has; None if all are taken."""
        async with connected(self._pool) as connection:
            adopted: str | None = await self._sql.adopt_prediction(
                connection,
                job_id=claim.job_id,
                attempt=claim.attempt,
                prediction=intent.id,
                provider_ids=list(provider_ids),
            )
            return adopted

    async def drop(self, intent: Intent) -> None:
        """Take back an intent of which nothing was started."""
        async with connected(self._pool) as connection:
            await self._sql.drop_intent(connection, prediction=intent.id)

    async def end(self, claim: Claim, intent: Intent, ended: Prediction, *, progress: int) -> None:
        """Store how a prediction ended, and the progress in percent. Raises ClaimLost."""
        async with connected(self._pool) as connection:
            held = await self._sql.end_prediction(
                connection,
                job_id=claim.job_id,
                attempt=claim.attempt,
                prediction=intent.id,
                status=ended.status,
                error=ended.error and storable(ended.error),
                log=storable(ended.logs),
                predict_seconds=ended.predict_seconds,
                progress=progress,
                outputs=len(ended.output),
            )
        if not held:
            raise ClaimLost(claim)

    async def record_output(
        self, claim: Claim, intent: Intent, index: int, stored: StoredImage
    ) -> list[str]:
        """Store that an output of a prediction is stored, and return the paths of replaced files.

        Those are outputs of an earlier prediction of the generation. Raises ClaimLost.
        """
        async with connected(self._pool) as connection:
            replaced: list[str] | None = await self._sql.record_output(
                connection,
                job_id=claim.job_id,
                attempt=claim.attempt,
                prediction=intent.id,
                index=index,
                url=stored.url,
                storage_path=stored.path,
                media_type=stored.media_type,
                width=stored.width,
                height=stored.height,
                bytes=stored.bytes,
                thumbnail_path=stored.thumbnail_path,
            )
        if replaced is None:
            raise ClaimLost(claim)
        return replaced

    async def missing_images_notice(self, intent: Intent, stored: int) -> str | None:
        """A sentence for the user if fewer images are stored than were asked for; else None."""
        async with connected(self._pool) as connection:
            notice: str | None = await self._sql.missing_images_notice(
                connection, prediction=intent.id, stored=stored
            )
            return notice

    async def is_held(self, claim: Claim) -> bool:
        """Whether the claim is still current."""
        async with connected(self._pool) as connection:
            held: bool = await self._sql.hold_claim(
                connection, job_id=claim.job_id, attempt=claim.attempt
            )
            return held

    async def unwanted(self, claim: Claim) -> list[tuple[str, str, str | None]]:
        """A job's running predictions that no attempt will follow: id, provider, own server."""
        async with connected(self._pool) as connection:
            rows = self._sql.unwanted_predictions(connection, job_id=claim.job_id)
            return [
                (row["provider_id"], row["provider"], row["provider_url"]) async for row in rows
            ]

    async def note_uncancelled(self, provider: str, prediction_id: str) -> None:
        """Record that the provider did not cancel a prediction of `unwanted`."""
        async with connected(self._pool) as connection:
            await self._sql.note_uncancelled(
                connection, provider=provider, provider_id=prediction_id
            )


def _stored(output: Mapping[str, Any]) -> StoredImage:
    return StoredImage(
        output["url"],
        output["storage_path"],
        output["media_type"],
        output["width"],
        output["height"],
        output["bytes"],
        output["thumbnail_path"],
    )
