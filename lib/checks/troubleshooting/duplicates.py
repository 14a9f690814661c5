"""Symptom: the same image is generated twice."""

from functools import partial

from lib.checks.check import Check, Finding, Repair
from lib.checks.troubleshooting.indexes import GUARD, restore
from lib.checks.troubleshooting.symptom import Facts, Symptom
from lib.database import Pool
from lib.formats import plural
from lib.ops.action_texts import CANCELLED, cancel_effect, outcome
from lib.queue.operator_actions import cancel_duplicates
from lib.roles import Role

MIN_REPEATS = 5
"""Fewer repeated requests may come from one impatient user."""


def waiting_duplicates(facts: Facts) -> list[Finding]:
    """Pending jobs whose generation has another job."""
    now = facts["duplicates"]
    if not now["waiting"]:
        return []
    return [
        Finding(
            "warning",
            f"{'; '.join(now['reasons'])}.",
            cause="Pending jobs duplicate another job of the same generation. They would generate"
            " the image twice.",
            jobs=now["waiting"],
            repair=Repair(
                f"Cancel {plural(now['waiting'], 'duplicate')}",
                f"{cancel_effect(now['waiting'], 'pending')} For each generation without an image,"
                " the running job is kept, or else the oldest pending one. If the image already"
                " exists, all its pending jobs are cancelled; the image is kept.",
                _cancel,
            ),
            page="duplicates",
        )
    ]


def _cancel(pool: Pool, actor: str) -> str:
    return outcome(CANCELLED, len(cancel_duplicates(pool, actor)))


def duplicate_guard(facts: Facts) -> list[Finding]:
    """The unique index that prevents a second live job is missing."""
    if facts["duplicates"]["guarded"]:
        return []
    return [
        Finding(
            "critical",
            f"The unique index {GUARD} is missing or invalid.",
            cause="A generation can now get a second pending or running job.",
            repair=Repair(
                "Build index",
                f"Builds {GUARD} while the queue keeps running. Fails if a generation has two"
                " pending or running jobs: cancel duplicates first.",
                partial(restore, GUARD),
                needs=Role.ADMIN,
            ),
            page="duplicates",
        )
    ]


def repeated_requests(facts: Facts) -> list[Finding]:
    """Applications that repeat requests without an idempotency key."""
    count = facts["duplicates"]["twice"]
    if count < MIN_REPEATS:
        return []
    return [
        Finding(
            "warning",
            f"{plural(count, 'generation')} in the last hour had the same prompt, model and"
            f" parameters as another by the same user less than a minute earlier.",
            cause="Applications request the same image twice.",
            jobs=count,
            todo="Send an Idempotency-Key with start-generation and reuse it for repeated"
            " requests. Disable the button while a request is in progress.",
            page="users",
        )
    ]


DUPLICATES = Symptom(
    "duplicates",
    "Images generated twice",
    [("troubleshooting", "duplicates")],
    [
        Check(
            "waiting",
            "Duplicate pending jobs",
            waiting_duplicates,
            "If a job is enqueued or retried after another job of the same generation has ended,"
            " the image is paid for twice.",
        ),
        Check(
            "guarded",
            "Missing unique index",
            duplicate_guard,
            "A unique index prevents a second pending or running job for the same generation.",
        ),
        Check(
            "twice",
            "Repeated requests",
            repeated_requests,
            "A request repeated without an Idempotency-Key starts a new generation, for example"
            " if the user clicks twice or the application retries after a timeout.",
        ),
    ],
)
