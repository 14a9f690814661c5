"""Outcome of a cron job's run: its SQL command and the HTTP request it sent."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

UNFINISHED = ("starting", "connecting", "sending", "running")
FAILURE_HINTS = (
    (
        r"unrecognized configuration parameter",
        "The command reads a setting that is not set. Schedule process-jobs with its key in Vault.",
    ),
    (
        r"no key: neither Vault",
        "No key is stored under the name in the command. Store it under that name.",
    ),
    (
        r'(function|schema) "?net\b',
        "pg_net is not installed. Run: create extension pg_net",
    ),
    (
        r"connection failed|could not connect|authentication|no pg_hba",
        "pg_cron cannot connect to the database. Allow local connections without a password, or"
        " set cron.use_background_workers = on.",
    ),
    (
        r"job startup timeout|failed to start|could not start background",
        "The server had no free worker process for the job. Raise max_worker_processes.",
    ),
    (r"server restarted", "The server restarted during the run."),
    (r"permission denied", "The job's database user lacks a privilege. Grant it."),
    (r"does not exist", "The command refers to a database object that does not exist."),
    (r"timeout|canceling statement", "The command exceeded its time limit."),
)
"""Patterns for the messages of failed runs, with explanations; the first match applies."""
STATUS_HINTS = {
    401: "The function does not accept the key. Store the project's secret key.",
    403: "The key lacks permission. Store the secret key, not the publishable key.",
    404: "No such function at that address. Deploy process-jobs, or correct the address.",
    429: "The function is rate-limited: it was called too often.",
    503: "The function could not reach the database, or was still starting.",
    546: "The function ran out of time or memory. Lower MAX_PARALLEL_JOBS.",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """Outcome of a run. `level` is "unknown" if it is not known what the function did.

    `summary` and `hint` may quote the database or the function: render them as text.
    """

    level: Literal["good", "underway", "unknown", "bad"]
    summary: str
    hint: str = ""


def outcome(run: Mapping[str, Any], now: datetime, response_seconds: float) -> Outcome:
    """Outcome of a run, a row of the query `runs` in queries/cron.sql.

    `response_seconds` is how long a response may take to arrive.
    """
    message = (run["message"] or "").strip()
    if run["status"] in UNFINISHED:
        return Outcome("underway", "Running")
    if run["status"] == "failed":
        return Outcome("bad", f"Failed: {message or 'no message'}", explanation(message))
    if not run["asks"]:
        return Outcome("good", "Succeeded")
    if run["sent_at"]:
        return _response_outcome(run)
    if run["succeeded"] is False:
        return Outcome(
            "bad",
            "The request is still in pg_net's queue",
            "Restart pg_net's worker: select net.worker_restart()",
        )
    if run["waiting"] or now - run["started_at"] < timedelta(seconds=response_seconds):
        return Outcome("underway", "Request queued, no response yet")
    if run["request_id"] is None:
        return Outcome(
            "unknown",
            "Request queued, response not tracked",
            "This command does not record its request id. Replace it with a schedule created on"
            " this page to see responses.",
        )
    return Outcome(
        "unknown",
        "Request sent, response unknown",
        "pg_net keeps responses for 6 h; a server crash loses them.",
    )


def explanation(message: str) -> str:
    """Explain the message of a failed run; empty if it is unknown."""
    found = (hint for pattern, hint in FAILURE_HINTS if re.search(pattern, message, re.IGNORECASE))
    return next(found, "")


def _response_outcome(run: Mapping[str, Any]) -> Outcome:
    status, guessed = run["response_status"], run["request_id"] is None
    if run["response_timed_out"]:
        return Outcome(
            "unknown" if run["succeeded"] is None else "bad",
            "No response in time" + (" (probably this run's request)" if guessed else ""),
            "The function may have finished later. Raise the timeout.",
        )
    if status is None:
        return Outcome("bad", f"Not sent: {run['response_error'] or 'no reason given'}")
    message = _response_message(run["response_text"])
    summary = f"HTTP {status}" + (" (probably this run's response)" if guessed else "")
    summary += f": {message}" if message else ""
    if run["succeeded"]:
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
