"""Outcome of a cron job's run: its SQL command and the HTTP request it sent."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

RESPONSE_RETENTION = timedelta(hours=6)
"""How long pg_net keeps responses."""
UNFINISHED = ("starting", "connecting", "sending", "running")
FAILURE_HINTS = (
    (
        r"unrecognized configuration parameter",
        "The command reads a setting that is not set: schedule process-jobs with its key in Vault.",
    ),
    (r"no key: neither Vault", "The key is not stored under the name that the command gives."),
    (
        r'(function|schema) "?net\b',
        "pg_net is not installed: create extension pg_net.",
    ),
    (
        r"connection failed|could not connect|authentication|no pg_hba",
        "pg_cron cannot connect to the database: allow it local connections without a password, or"
        " set cron.use_background_workers = on.",
    ),
    (
        r"job startup timeout|failed to start|could not start background",
        "The server had no worker free for the job: raise max_worker_processes.",
    ),
    (r"server restarted", "The server was restarted while the job ran."),
    (r"permission denied", "The user of the job may not do this: give it the right."),
    (r"does not exist", "The command names something that is not there (any more)."),
    (r"timeout|canceling statement", "The command took longer than it may."),
)
"""Patterns for the messages of failed runs, with explanations; the first match applies."""
STATUS_HINTS = {
    401: "The function does not accept the key: store the project's secret key.",
    403: "The key may not do this: store the secret key, not the publishable one.",
    404: "There is no such function at that address: deploy process-jobs, or mend the address.",
    429: "The function was called too often.",
    503: "The function could not reach the database, or was just starting.",
    546: "The function ran out of time or memory: let it run fewer jobs at once.",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """Outcome of a run. `level` is "unknown" if no response was recorded.

    `summary` and `hint` may quote the database or the function: render them as text.
    """

    level: Literal["good", "underway", "unknown", "bad"]
    summary: str
    hint: str = ""


def outcome(run: Mapping[str, Any], now: datetime, call_seconds: float) -> Outcome:
    """Outcome of a run, a row of the query `runs` in queries/cron.sql.

    `call_seconds` is the maximum duration of a process-jobs call.
    """
    message = (run["message"] or "").strip()
    if run["status"] in UNFINISHED:
        return Outcome("underway", "Runs")
    if run["status"] == "failed":
        return Outcome("bad", f"Failed: {message or 'no message'}", explanation(message))
    if not run["asks"]:
        return Outcome("good", "Succeeded")
    if run["responded_at"]:
        return _response_outcome(run)
    age = now - run["started_at"]
    if age < timedelta(seconds=call_seconds):
        return Outcome("underway", "Request sent, no answer yet")
    if run["request_id"] is None:
        return Outcome(
            "unknown",
            "Request queued, answer unknown",
            "The command does not write its request down; one scheduled here does.",
        )
    if age > RESPONSE_RETENTION:
        return Outcome("unknown", "Request sent", "pg_net keeps answers for six hours.")
    return Outcome("bad", "Request sent, never answered", "pg_net did not record any answer.")


def explanation(message: str) -> str:
    """Explain the message of a failed run; empty if it is unknown."""
    found = (hint for pattern, hint in FAILURE_HINTS if re.search(pattern, message, re.IGNORECASE))
    return next(found, "")


def _response_outcome(run: Mapping[str, Any]) -> Outcome:
    status, guessed = run["response_status"], run["request_id"] is None
    probably = "Probably " if guessed else ""
    if run["response_timed_out"]:
        return Outcome(
            "bad",
            f"{probably}no answer in time".capitalize(),
            "pg_net stopped waiting; the function may have gone on. Raise the time limit.",
        )
    if status is None:
        return Outcome("bad", f"Not sent: {run['response_error'] or 'no reason given'}")
    message = _response_message(run["response_text"])
    summary = f"{probably}answered {status}".capitalize() + (f": {message}" if message else "")
    if 200 <= status < 300:
        return Outcome("good", summary)
    return Outcome("bad", summary, STATUS_HINTS.get(status, ""))


def _response_message(text: str | None) -> str:
    """The message or error message in a function's response."""
    try:
        body = json.loads(text or "")
    except ValueError:
        return " ".join((text or "").split())[:200]
    if isinstance(body, dict):
        error = body.get("error")
        inner = error.get("message") if isinstance(error, dict) else error
        return str(body.get("message") or inner or "")[:200]
    return ""
