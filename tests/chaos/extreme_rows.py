"""Random rows at the extremes of every column, as a program of somebody else may write them."""

import json
import random
import string
from typing import Any
from uuid import UUID

import psycopg

from lib.database.pool import Connection

LETTERS = string.ascii_letters + string.digits
TIMES = [
    "-infinity", "4713-01-01 BC", "0001-01-01", "epoch", "2000-01-01", "now", "2999-01-01",
    "9999-12-31 23:59:59.999999+00", "20000-01-01", "294276-12-31", "infinity",
]  # fmt: skip
NUMBERS = [-(2**31), -1, 0, 1, 2, 3, 100, 2**31 - 2, 2**31 - 1]
STATUSES = ["pending", "processing", "completed", "failed", "cancelled"]
JOB_COLUMNS = (
    "job_type", "payload", "status", "attempts", "max_attempts", "scheduled_at", "started_at",
    "completed_at", "error_message", "error_details", "created_by", "priority", "created_at",
    "updated_at",
)  # fmt: skip
GENERATION_COLUMNS = (
    "prompt", "model_id", "parameters", "status", "progress", "image_url", "storage_path",
    "error_message", "prediction_id", "source", "created_at", "started_at", "completed_at",
    "updated_at",
)  # fmt: skip


class ExtremeRows:
    """Draws rows and inserts them, by plain INSERT and by the functions."""

    def __init__(self, db: Connection, seed: int) -> None:
        self.db = db
        self.draw = random.Random(seed)
        self.inserted = 0

    def insert(self, rows: int) -> None:
        for _ in range(rows):
            insert = self.draw.choice([self._job, self._job, self._enqueue, self._generation])
            self.inserted += self._accepted(*insert())

    def _accepted(self, statement: str, values: list[Any]) -> bool:
        """Whether the database took the row; it may refuse one, as long as it says so at once."""
        try:
            self.db.execute(statement.encode(), values)
        except psycopg.Error:
            return False
        return True

    def _job(self) -> tuple[str, list[Any]]:
        values = {
            "job_type": self._type(),
            "payload": json.dumps(self.payload()),
            "status": self.draw.choice(STATUSES),
            "attempts": self.draw.choice([0, 0, 1, *NUMBERS]),
            "max_attempts": self.draw.choice([1, 3, *NUMBERS]),
            "error_message": self.text(None),
            "error_details": self.draw.choice([None, json.dumps(self.details())]),
            "created_by": self.draw.choice([None, UUID(int=self.draw.getrandbits(128))]),
            "priority": self.draw.choice(NUMBERS),
        }
        return self._insert("job_queue", JOB_COLUMNS, values, ("scheduled_at", "created_at"))

    def _generation(self) -> tuple[str, list[Any]]:
        values = {
            "prompt": self.text(""),
            "model_id": self.text(""),
            "parameters": json.dumps(self.payload()),
            "status": self.draw.choice(["queued", *STATUSES[1:]]),
            "progress": self.draw.choice([0, 50, 100]),
            "image_url": self.text(None),
            "storage_path": self.text(None),
            "error_message": self.text(None),
            "prediction_id": self.text(None),
            "source": self.draw.choice(["app", "test", "sample"]),
        }
        return self._insert("image_generations", GENERATION_COLUMNS, values, ("created_at",))

    def _insert(
        self,
        table: str,
        columns: tuple[str, ...],
        values: dict[str, Any],
        required: tuple[str, ...],
    ) -> tuple[str, list[Any]]:
        times = {
            column: self.draw.choice(TIMES if column in required else [None, *TIMES])
            for column in columns
            if column.endswith("_at")
        }
        row = values | times | {"updated_at": self.draw.choice(TIMES)}
        places = ", ".join(["%s"] * len(columns))
        names = ", ".join(columns)
        statement = f"insert into {table} ({names}) values ({places})"  # noqa: S608
        return statement, [row[column] for column in columns]

    def _enqueue(self) -> tuple[str, list[Any]]:
        return "select enqueue_job(%s, %s::jsonb, %s, %s, %s)", [
            self._type(),
            json.dumps(self.payload()),
            self.draw.choice(NUMBERS),
            self.draw.choice(TIMES),
            self.draw.choice([1, 2, 3, *NUMBERS]),
        ]

    def _type(self) -> str:
        return self.draw.choice(
            ["generate-image", "other", "other", "*", self.long(4000), "日本 😀"]
        )

    def long(self, length: int) -> str:
        return "".join(self.draw.choices(LETTERS, k=length))

    def text(self, empty: str | None) -> str | None:
        return self.draw.choice(
            [empty, "a", "\x01\x1b[31m", "‮evil‬ 😀", "<b>*x*</b> $\\x$", "%s {0}", "../../etc",
             self.long(4000), self.long(100_000)]
        )  # fmt: skip

    def payload(self) -> dict[str, Any]:
        nested: Any = 1
        for _ in range(self.draw.choice([1, 400])):
            nested = [nested]
        return self.draw.choice(
            [
                {},
                {"model_id": self.long(4000)},
                {"model_id": {"a": [1]}, "prompt": [1, 2]},
                {"model_id": None, "prompt": None, "generation_id": None},
                {"generation_id": "no-uuid", "prompt": self.long(100_000)},
                {"generation_id": str(UUID(int=self.draw.getrandbits(128))), "model_id": "a/b"},
                {"deep": nested},
                {"n": 1e300, "m": -(10**40), "model_id": 1e300},
            ]
        )

    def details(self) -> Any:
        return self.draw.choice(
            [
                None, "x", [], 5, {}, {"attempts": "x"}, {"attempts": [1, None, {"at": "never"}]},
                {"code": self.long(4000)}, {"code": {"a": 1}, "permanent": True},
                {"code": "rate_limited", "retry_after_seconds": 1e300},
                {"code": "rate_limited", "retry_after_seconds": -1e300},
                {"code": "rate_limited", "retry_after_seconds": "soon"}, {"permanent": "yes"},
            ]
        )  # fmt: skip
