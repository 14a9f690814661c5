"""What became of runs, in words: of their SQL, and of the requests that they sent."""

from datetime import UTC, datetime, timedelta

import pytest

from lib.ops.cron.runs import explanation, outcome

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
RUN = {
    "status": "succeeded",
    "message": "1 row",
    "asks": True,
    "request_id": 7,
    "started_at": NOW - timedelta(minutes=10),
    "waiting": False,
    "sent_at": None,
    "response_status": None,
    "response_timed_out": None,
    "response_error": None,
    "response_text": None,
    "succeeded": None,
}
ANSWERED = {"sent_at": NOW, "response_timed_out": False, "succeeded": False}
SUCCEEDED = ANSWERED | {"succeeded": True}
PROCESSED = '{"success": true, "message": "Jobs processed: 2, errors: 0"}'
REFUSED = '{"success": false, "error": {"code": "bad_key", "message": "The key is not valid."}}'


@pytest.mark.parametrize(
    ("run", "level", "words", "why"),
    [
        ({"status": "running"}, "underway", "Running", ""),
        ({"status": "failed", "message": "ERROR: x\n"}, "bad", "Failed: ERROR: x", ""),
        ({"status": "failed", "message": None}, "bad", "Failed: no message", ""),
        ({"asks": False}, "good", "Succeeded", ""),
        ({"started_at": NOW}, "underway", "Request queued, no response yet", ""),
        # The batch before may take 150 s, and then its own.
        (
            {"started_at": NOW - timedelta(seconds=299)},
            "underway",
            "Request queued, no response yet",
            "",
        ),
        ({"waiting": True}, "underway", "Request queued, no response yet", ""),
        (
            {"waiting": True, "succeeded": False},
            "bad",
            "The request is still in pg_net's queue",
            "net.worker_restart()",
        ),
        ({}, "unknown", "Request sent, response unknown", "a server crash loses them"),
        ({"request_id": None}, "unknown", "Request queued, response not tracked", "record"),
        (
            SUCCEEDED | {"response_status": 200, "response_text": PROCESSED},
            "good",
            "HTTP 200: Jobs processed: 2, errors: 0",
            "",
        ),
        (
            ANSWERED | {"response_status": 401, "response_text": REFUSED},
            "bad",
            "HTTP 401: The key is not valid.",
            "secret key",
        ),
        (
            ANSWERED | {"response_status": 404, "response_text": "<h1>Not  found</h1>"},
            "bad",
            "HTTP 404: <h1>Not found</h1>",
            "No such function",
        ),
        (
            ANSWERED | {"response_status": 500, "response_text": '{"error": "boom"}'},
            "bad",
            "HTTP 500: boom",
            "",
        ),
        (
            SUCCEEDED | {"request_id": None, "response_status": 200},
            "good",
            "HTTP 200 (probably this run's response)",
            "",
        ),
        (ANSWERED | {"response_timed_out": True}, "bad", "No response in time", "timeout"),
        (
            ANSWERED | {"request_id": None, "response_timed_out": True, "succeeded": None},
            "unknown",
            "No response in time (probably this run's request)",
            "timeout",
        ),
        (
            ANSWERED | {"response_error": "Couldn't resolve host name"},
            "bad",
            "Not sent: Couldn't resolve host name",
            "",
        ),
    ],
)
def test_a_run_in_words(run, level, words, why):
    seen = outcome(RUN | run, NOW, response_seconds=300)
    assert (seen.level, seen.summary) == (level, words)
    assert why in seen.hint
    assert bool(seen.hint) == bool(why)


@pytest.mark.parametrize(
    ("message", "why"),
    [
        (
            'ERROR:  unrecognized configuration parameter "app.settings.key"',
            "with its key in Vault",
        ),
        (
            "ERROR: no key: neither Vault has a secret a nor is app.settings.a set",
            "No key is stored",
        ),
        ('ERROR:  schema "net" does not exist', "create extension pg_net"),
        ("ERROR:  function net.http_post(url => text) does not exist", "create extension pg_net"),
        ("connection failed", "cron.use_background_workers"),
        ("job startup timeout", "max_worker_processes"),
        ("server restarted", "restarted"),
        ("ERROR:  permission denied for table job_queue", "lacks a privilege"),
        ('ERROR:  relation "nowhere" does not exist', "does not exist"),
        ("ERROR:  canceling statement due to statement timeout", "exceeded its time limit"),
        ("ERROR:  division by zero", ""),
    ],
)
def test_a_message_is_explained(message, why):
    said = explanation(message)
    assert why in said
    assert bool(said) == bool(why)
