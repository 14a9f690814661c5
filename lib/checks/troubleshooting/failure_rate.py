"""Symptom: many jobs fail."""

from collections import Counter
from functools import partial

from lib.checks.check import Check, Finding, Repair
from lib.checks.troubleshooting.immediate_failures import finding_from_guide
from lib.checks.troubleshooting.symptom import Facts, Symptom
from lib.database import Pool
from lib.formats import plural, share
from lib.queue.operator_actions import enable_model, pause_queue
from lib.roles import Role

MAJORITY = 0.5
"""A cause must explain more than this share of all failures."""
PROVIDER_CODES = ("unreachable", "provider_error", "rate_limited", "deadline_exceeded")


def is_high(facts: Facts) -> bool:
    """Whether the failure rate of the last hour or two exceeds its threshold."""
    completed = sum(row["completed"] for row in facts["models_now"])
    failed = sum(row["failed"] for row in facts["models_now"])
    ended = completed + failed
    limits = facts["limits"]
    return bool(ended >= limits["failure_minimum"] and failed / ended > limits["failure_share"])


def one_model(facts: Facts) -> list[Finding]:
    """Most failures are of a single model."""
    failed = sum(row["failed"] for row in facts["models_now"])
    others = len(facts["models_now"]) > 1
    return [
        Finding(
            "critical",
            f"{row['failed']:,} of {failed:,} failures are from this model;"
            f" {share(row['failed'], row['failed'] + row['completed'])} of its jobs failed.",
            cause=f"Most failures are from one model: {row['model_id']}.",
            jobs=row["failed"],
            repair=Repair(
                f"Disable {row['model_id']}",
                f"Rejects new requests for {row['model_id']} with 404. Its pending jobs still run.",
                partial(_disable, row["model_id"]),
                needs=Role.ADMIN,
            )
            if row["enabled"]
            else None,
            todo="Check its errors and the model's page at the provider.",
            page="models",
            filters={"model": row["model_id"]},
        )
        for row in facts["models_now"]
        if is_high(facts)
        and others
        and row["model_id"]
        and row["failed"] > MAJORITY * failed
        and row["failed"] > facts["limits"]["failure_share"] * (row["failed"] + row["completed"])
    ]


def _disable(model_id: str, pool: Pool, actor: str) -> str:
    enable_model(pool, actor, model_id, enabled=False)
    return f"{model_id} disabled."


def provider(facts: Facts) -> list[Finding]:
    """Most failures are provider errors, regardless of the model."""
    failed = sum(row["jobs"] for row in facts["failures"])
    provider_failures = [row for row in facts["failures"] if row["code"] in PROVIDER_CODES]
    jobs = sum(row["jobs"] for row in provider_failures)
    models = len({row["model_id"] for row in provider_failures})
    if not is_high(facts) or jobs <= MAJORITY * failed:
        return []
    return [
        Finding(
            "critical",
            f"{jobs:,} of {failed:,} failures are timeouts, rate limits or provider errors, across"
            f" {plural(models, 'model')}. Newest message:"
            f" {provider_failures[0]['message'] or 'none'}",
            cause="Most failures are provider errors.",
            jobs=jobs,
            repair=Repair(
                "Pause queue",
                "Workers stop claiming jobs until someone resumes the queue, so that no more fail."
                " Running jobs are not affected.",
                _pause,
            ),
            todo="Check the provider's status page. Once it has recovered, resume the queue and"
            " retry the jobs.",
            page="failures",
        )
    ]


def _pause(pool: Pool, actor: str) -> str:
    pause_queue(pool, actor, reason="Most failures were provider errors.")
    return "Queue paused."


def one_error(facts: Facts) -> list[Finding]:
    """Most failures are of one error group."""
    failed = sum(row["jobs"] for row in facts["failures"])
    by_code = Counter[str]()
    for row in facts["failures"]:
        by_code[row["code"]] += row["jobs"]
    return [
        finding_from_guide(row)
        for row in facts["failures"]
        if is_high(facts)
        and by_code[row["code"]] > MAJORITY * failed
        and row["code"] not in PROVIDER_CODES
        and row["jobs"] > MAJORITY * by_code[row["code"]]
    ]


FAILURE_RATE = Symptom(
    "failure_rate",
    "High failure rate",
    [
        ("troubleshooting", "limits"),
        ("troubleshooting", "models_now"),
        ("troubleshooting", "failures"),
    ],
    [
        Check(
            "provider",
            "Provider problems",
            provider,
            "If all models have timeouts, server errors or rate limits, the cause is the provider.",
        ),
        Check(
            "one_model",
            "Failures of one model",
            one_model,
            "When only one model fails, the cause is its version, its default parameters or the"
            " model itself.",
        ),
        Check(
            "one_error",
            "Failures of one error group",
            one_error,
            "Failures of one group usually have one cause, and the error guide says what to do.",
        ),
    ],
)
