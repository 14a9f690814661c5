"""The stored predictions. Their status is not stored but derived from the clock.

This way a killed process loses nothing, and processes that share the folder agree.
"""

import json
import secrets
import sqlite3
from base64 import b32encode
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import aiosql

from lib.files import create_once
from lib.provider.simulator.models import MODELS, Model
from lib.provider.simulator.sizes import image_size

DATA_SECONDS = 3600
"""How long inputs, logs and images are kept, as at Replicate."""
RETENTION_SECONDS = 86_400
"""How long predictions are kept; Replicate keeps them for ever."""
CREATES_PER_MINUTE = 600
"""Replicate's documented limit per account."""
LOCK_WAIT_SECONDS = 10
_FORMATS = {
    "recraft-ai": "webp",
    "stability-ai": "png",
    **dict.fromkeys(("851-labs", "lucataco", "nightmareai"), "png"),
}
"""Formats of models that take no output_format, by owner; the others make JPEG."""
COUNT_INPUTS = ("num_outputs", "number_of_images", "max_images")


class RateLimited(Exception):
    """Too many predictions were created; the next is allowed after `retry_after` seconds."""

    def __init__(self, limit: int, retry_after: float) -> None:
        super().__init__(f"{limit} creates a minute")
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class RateLimit:
    """How many predictions may be created per minute, of one model or of all (None)."""

    creates: int
    model: str | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """A prediction with its whole timeline. Times are Unix timestamps in seconds."""

    id: str
    model: str
    input: Mapping[str, Any]
    created_at: float
    started_at: float
    finished_at: float
    deadline_at: float
    canceled_at: float | None
    error: str | None

    @property
    def ends_at(self) -> float:
        """When it ends: by itself, at its deadline or by cancellation."""
        ends = min(self.finished_at, self.deadline_at)
        return ends if self.canceled_at is None else min(ends, self.canceled_at)

    @property
    def model_details(self) -> Model:
        """The simulated model that runs it."""
        return MODELS[self.model]

    @property
    def seed(self) -> int:
        """The requested seed, or one derived from the ID."""
        seed = self.input.get("seed") if "seed" in self.model_details.inputs else None
        return int.from_bytes(sha256(self.id.encode()).digest()[:4]) if seed is None else int(seed)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of its images in pixels."""
        return image_size(self.model_details, self.input)

    @property
    def extension(self) -> str:
        """The file extension of its images."""
        field = self.model_details.inputs.get("output_format")
        if field is None:
            return _FORMATS.get(self.model.split("/")[0], "jpg")
        return str(self.input.get("output_format") or field["default"])

    @property
    def image_count(self) -> int:
        """How many images it makes, flagged ones included."""
        inputs = self.model_details.inputs
        if self.model_details.single_output:
            return 1
        if "max_images" in inputs and self.input.get("sequential_image_generation") != "auto":
            return 1
        names = [name for name in COUNT_INPUTS if name in inputs]
        return int(self.input.get(names[0]) or 1) if names else 1

    @property
    def files(self) -> list[str]:
        """The names of its files; flagged images are left out, as models with lists do it."""
        tags = str(self.input.get("prompt", "")).lower()
        flagged = 1 if "[flagged]" in tags and not self.model_details.single_output else 0
        if "[nsfw]" in tags:
            flagged = self.image_count
        return [f"out-{index}.{self.extension}" for index in range(flagged, self.image_count)]

    def status(self, now: float) -> str:
        """Its status at a given time, in Replicate's terms."""
        if now < self.ends_at:
            return "processing" if now >= self.started_at else "starting"
        if self.ends_at == self.finished_at:
            return "failed" if self.error else "succeeded"
        overdue_before_start = self.ends_at == self.deadline_at < self.started_at
        return "aborted" if overdue_before_start else "canceled"

    def data_removed(self, now: float) -> bool:
        """Whether its input, logs and image are gone at a given time."""
        return now >= self.created_at + DATA_SECONDS

    def progress(self, now: float) -> float:
        """Fraction of the run completed at a given time, 0 to 1."""
        ran = min(now, self.ends_at) - self.started_at
        return min(max(ran / (self.finished_at - self.started_at), 0.0), 1.0)


def new_id() -> str:
    """An unguessable ID, since images are served without authentication."""
    return b32encode(secrets.token_bytes(16)).decode().rstrip("=").lower()


class Predictions:
    """The predictions in a folder, shared by all processes that use it."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "predictions.sqlite"
        self._sql: Any = aiosql.from_path(Path(__file__).with_suffix(".sql"), "sqlite3")
        create_once(self._path, self._create)

    def add(self, record: Record, limit: RateLimit | None = None) -> None:
        """Store a new prediction and delete those past their retention.

        Raises RateLimited, by `limit` or by the account's limit.
        """
        with self._connection() as connection, connection:
            connection.execute("begin immediate")
            for each in (limit, RateLimit(CREATES_PER_MINUTE)):
                if each:
                    self._enforce_limit(connection, each, record.created_at)
            self._sql.remove_created_before(
                connection, moment=record.created_at - RETENTION_SECONDS
            )
            self._sql.add(
                connection,
                id=record.id,
                model=record.model,
                input=json.dumps(record.input),
                created_at=record.created_at,
                started_at=record.started_at,
                finished_at=record.finished_at,
                deadline_at=record.deadline_at,
                error=record.error,
            )

    def get(self, prediction_id: str) -> Record | None:
        """A prediction; None if it does not exist (any more)."""
        with self._connection() as connection:
            row = self._sql.prediction(connection, id=prediction_id)
        return _record(row) if row else None

    def newest(
        self, *, after: float, before: float, below: tuple[float, str] | None, limit: int
    ) -> list[Record]:
        """The newest predictions of a time, from `after` on and before `before`, newest first.

        `below` continues a list: it is the time and ID of the last one that was listed.
        """
        moment, last_id = below or (before, "")
        with self._connection() as connection:
            rows = self._sql.newest(
                connection, after=after, before=before, moment=moment, id=last_id, rows=limit
            )
            return [_record(row) for row in rows]

    def cancel(self, prediction_id: str, now: float) -> Record | None:
        """Cancel a prediction unless it has ended. Returns the resulting prediction."""
        with self._connection() as connection:
            self._sql.cancel(connection, id=prediction_id, moment=now)
        return self.get(prediction_id)

    def _enforce_limit(self, connection: sqlite3.Connection, limit: RateLimit, now: float) -> None:
        # Once this one is a minute old, fewer than the limit are younger.
        last = self._sql.newest_but(
            connection, moment=now - 60, model=limit.model, skipped=limit.creates - 1
        )
        if last:
            raise RateLimited(limit.creates, last["created_at"] + 60 - now)

    def _create(self, path: Path) -> None:
        with closing(sqlite3.connect(path)) as connection:
            self._sql.create_schema(connection)

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        # One per call: endpoints run in many threads.
        connection = sqlite3.connect(self._path, timeout=LOCK_WAIT_SECONDS, isolation_level=None)
        connection.row_factory = sqlite3.Row
        # Safe if the process dies; only a crash of the machine may lose the newest rows.
        connection.execute("pragma synchronous = normal")
        with closing(connection):
            yield connection


def _record(row: sqlite3.Row) -> Record:
    return Record(**{**row, "input": json.loads(row["input"])})
