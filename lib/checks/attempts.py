"""The attempts of a job: when each was pending, started, ran and stored, and how it ended."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from lib.checks.job_state import is_stuck

PHASES = ("Pending", "Starting", "Running", "Storing")
"""Pending: due, but not claimed. Starting: claimed, until the model runs. Running: the model runs
at the provider. Storing: until the image is stored."""

MAX_RUN_SECONDS = 1_000_000
"""Longer run times of a provider are nonsense that no date could hold."""

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Phase:
    """A part of an attempt; `name` is one of PHASES."""

    name: str
    begins: datetime
    ends: datetime

    @property
    def seconds(self) -> float:
        """Its length."""
        return (self.ends - self.begins).total_seconds()


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt. None and "" stand for what was not recorded; texts are not Markdown.

    `number` is text because other programs may have recorded anything. `outcome` says how it
    ended, or its status. `prediction` is the provider's id of the prediction that it followed.
    """

    number: str
    due_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    outcome: str
    error: str
    worker: str
    prediction: str
    phases: tuple[Phase, ...]


def attempts_of(job: Row, errors: Sequence[Row], predictions: Sequence[Row]) -> list[Attempt]:
    """The attempts of a job that are known, oldest first.

    The arguments are the answers of the queries `job`, `attempts` and `predictions` in
    queries/job.sql.
    """
    made = [_recorded(job, error, predictions) for error in errors]
    is_recorded = any(attempt.number == str(job["attempts"]) for attempt in made)
    if job["status"] == "pending":
        made.append(_build(job, str(job["attempts"] + 1), predictions, job["scheduled_at"]))
    elif job["attempts"] and job["started_at"] and not is_recorded:
        made.append(
            _build(
                job,
                str(job["attempts"]),
                predictions,
                job["scheduled_at"],
                job["started_at"],
                job["completed_at"],
                outcome=_current_outcome(job),
                worker=job["worker"] or "",
            )
        )
    return made


def _current_outcome(job: Row) -> str:
    if is_stuck(job):
        return "stuck"
    return "running" if job["status"] == "processing" else str(job["status"])


def _recorded(job: Row, error: Row, predictions: Sequence[Row]) -> Attempt:
    number, code = error["attempt"] or "?", error["code"]
    started_at = parse_time(error["started_at"])
    if number == str(job["attempts"]):
        # Entries of older versions lack it.
        started_at = started_at or job["started_at"]
    return _build(
        job,
        number,
        predictions,
        parse_time(error["due_at"]),
        started_at,
        parse_time(error["at"]),
        outcome=_outcome(code),
        error=error["error"] or "",
        worker=error["worker"] or "",
    )


def _outcome(code: str | None) -> str:
    if code == "refused":
        return code
    return f"failed: {code.replace('_', ' ')}" if code else "failed"


def _build(
    job: Row,
    number: str,
    predictions: Sequence[Row],
    due_at: datetime | None,
    started_at: datetime | None = None,
    ended_at: datetime | None = None,
    *,
    outcome: str = "pending",
    error: str = "",
    worker: str = "",
) -> Attempt:
    until = ended_at or job["seen_at"]
    followed = _followed(number, predictions, started_at, until)
    sent = followed if followed and str(followed["attempt"]) == number else None
    phases = _pending(due_at, started_at or job["seen_at"])
    if started_at:
        phases += _phases(started_at, until, followed, is_generation=bool(job["generation_id"]))
    return Attempt(
        number=number,
        due_at=due_at,
        started_at=started_at,
        ended_at=ended_at,
        outcome=outcome,
        error=error,
        worker=worker or (sent["worker"] or "" if sent else ""),
        prediction=followed["provider_id"] or "" if followed else "",
        phases=tuple(phases),
    )


def _followed(
    number: str, predictions: Sequence[Row], started_at: datetime | None, until: datetime
) -> Row | None:
    """The last prediction that an attempt requested, or that was open while it ran."""
    if started_at is None:
        return None
    open_then = [
        each
        for each in predictions
        if each["created_at"] <= until
        and (each["ended_at"] or until) >= started_at
        and not (number.isdecimal() and (each["attempt"] or 0) > int(number))
    ]
    requested = [each for each in open_then if str(each["attempt"]) == number]
    return next(reversed(requested or open_then), None)


def _pending(due_at: datetime | None, until: datetime) -> list[Phase]:
    return [Phase("Pending", due_at, until)] if due_at and due_at < until else []


def _phases(
    started_at: datetime, until: datetime, followed: Row | None, *, is_generation: bool
) -> list[Phase]:
    if not is_generation:
        return [Phase("Running", started_at, until)]
    ran_at = ended_at = until
    if followed and followed["started_at"]:
        ended_at = min(followed["ended_at"] or until, until)
        ran_at = followed["started_at"]
        if followed["ended_at"] and followed["predict_seconds"] is not None:
            # The provider's own figure: before, the model was still being started.
            ran = timedelta(seconds=min(max(followed["predict_seconds"], 0), MAX_RUN_SECONDS))
            ran_at = max(ran_at, followed["ended_at"] - ran)
    # An attempt may follow a prediction that began, or ended, before it.
    ended_at = max(ended_at, started_at)
    ran_at = min(max(ran_at, started_at), ended_at)
    bounds = (started_at, ran_at, ended_at, max(until, ended_at))
    return [
        Phase(name, begins, ends)
        for name, begins, ends in zip(PHASES[1:], bounds, bounds[1:], strict=False)
        if begins < ends
    ]


def parse_time(value: str | None) -> datetime | None:
    """A recorded time, which may be any text; None if it is none."""
    try:
        at = datetime.fromisoformat(value or "")
    except ValueError:
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)
