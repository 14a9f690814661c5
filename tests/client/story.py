"""What happens to one generation, by the queue's own functions."""

from itertools import pairwise
from typing import Any

from lib.client import GenerationUpdate
from lib.database.pool import Connection

SCHNELL = "black-forest-labs/flux-schnell"
IMAGE = "https://images.example.com/lighthouse.png"


class Story:
    """A generation that was just requested, and what the test lets happen to it."""

    def __init__(self, db: Connection, user_id: Any = None) -> None:
        self._db = db
        started = self._value(
            "select public.start_generation(%s, 'A lighthouse', %s)", user_id, SCHNELL
        )
        self.id, self.job_id = started["generation_id"], started["job_id"]
        self._attempt = 0

    def on(self, db: Connection) -> "Story":
        """Goes on over another connection."""
        self._db = db
        return self

    def begin(self) -> None:
        self._db.execute(
            "update public.job_queue set scheduled_at = now() where id = %s", [self.job_id]
        )
        claimed = "select attempts from public.claim_generation(%s)"
        self._attempt = self._value(claimed, self.id)
        self._value("select 1 from public.begin_generation(%s, %s)", self.job_id, self._attempt)

    def predict(self) -> None:
        self._value("select public.record_prediction(%s, %s, 'p1')", self.job_id, self._attempt)

    def progress(self, percent: int) -> None:
        recorded = "select public.record_progress(%s, %s, %s)"
        self._value(recorded, self.job_id, self._attempt, percent)

    def complete(self) -> None:
        done = "select public.complete_job(%s, p_attempt => %s, p_result => %s::jsonb)"
        self._value(done, self.job_id, self._attempt, f'{{"image_url": "{IMAGE}"}}')

    def fail(self, *, permanent: bool = True) -> None:
        details = f'{{"permanent": {str(permanent).lower()}}}'
        failed = "select public.complete_job(%s, false, 'No credit', %s::jsonb, %s)"
        self._value(failed, self.job_id, details, self._attempt)

    def cancel(self) -> None:
        self._value("select 1 from public.cancel_jobs('somebody', %s)", [self.job_id])

    def _value(self, query: str, *parameters: Any) -> Any:
        row = self._db.execute(query, parameters).fetchone()
        assert row is not None, query
        return next(iter(row.values()))


def told(updates: list[GenerationUpdate]) -> list[tuple[str, int]]:
    """Statuses and progress."""
    return [(update.status, update.progress) for update in updates]


def assert_sound(updates: list[GenerationUpdate], last: str) -> None:
    """Asserts the promises of a subscription: one end, no repetition, no step back."""
    assert [update.status for update in updates if update.final] == [last]
    assert updates[-1].final
    for before, after in pairwise(updates):
        assert before != after
        if before.status == after.status:
            assert before.progress <= after.progress, updates
