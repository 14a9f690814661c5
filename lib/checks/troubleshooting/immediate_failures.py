"""Symptom: jobs fail immediately."""

from collections.abc import Collection, Mapping
from functools import partial
from typing import Any

from lib.checks.check import Check, Finding, Repair
from lib.checks.error_guide import guide
from lib.checks.troubleshooting.symptom import Facts, Symptom
from lib.database import Pool, load, translated
from lib.formats import plural
from lib.ops.action_texts import BACK, RETRY_ADVICE, outcome, retry_effect
from lib.queue.operator_actions import enable_model, in_batches, retry_jobs
from lib.roles import Role

TOKEN_CODES = ("unauthorized",)
CREDIT_CODES = ("no_credit",)
MODEL_CODES = ("model_not_found",)
REFUSED_CODES = ("invalid_input", "invalid_payload")


def retry(row: Mapping[str, Any], advice: str) -> Repair:
    """Retry the failed jobs of one error code and model."""
    return Repair(
        f"Retry {plural(row['jobs'])}",
        f"{retry_effect(row['jobs'])} {advice}",
        partial(_retry, row["code"], row["model_id"]),
    )


def _retry(code: str, model_id: str, pool: Pool, actor: str) -> str:
    with translated(), pool.connection() as connection:
        rows = load("troubleshooting").failed_ids(connection, code=code, model_id=model_id)
    ids = [row["id"] for row in rows]
    return outcome(BACK, in_batches(retry_jobs, pool, actor, ids, lambda _: None), len(ids))


def finding_from_guide(row: Mapping[str, Any], **overrides: Any) -> Finding:
    """The error guide's advice as a finding about one error code and model."""
    entry = guide(row["code"] or None, row["message"])
    model = f" for {row['model_id']}" if row["model_id"] else ""
    return Finding(
        "critical",
        f"{plural(row['jobs'])} failed in the last hour, {row['at_once']:,} on the first attempt."
        f" Newest message: {row['message'] or 'none'}",
        cause=f"{entry.title}{model}. {entry.meaning}",
        jobs=row["jobs"],
        repair=None if entry.retry == "useless" else retry(row, RETRY_ADVICE[entry.retry]),
        todo=entry.todo,
        **{"page": "failures", **overrides},
    )


def with_codes(codes: Collection[str], facts: Facts) -> list[Finding]:
    """Failures with one of the given error codes."""
    return [finding_from_guide(row) for row in facts["failures"] if row["code"] in codes]


def unknown_model(facts: Facts) -> list[Finding]:
    """Models unknown to the provider or missing from the models table."""
    return [
        finding_from_guide(row, page="maintenance", filters={"view": "Models"})
        for row in facts["failures"]
        if row["code"] in MODEL_CODES
        or (row["model_id"] and not row["known"] and not _has_own_check(row))
    ]


def disabled_model(facts: Facts) -> list[Finding]:
    """Disabled models that users requested recently."""
    return [
        Finding(
            "warning",
            f"Users generated {plural(row['jobs'], 'image')} with it in the last 7 days."
            + (f" Last changed by {row['actor']}." if row["actor"] else ""),
            cause=f"Model {row['model_id']} is disabled; requests for it are rejected.",
            repair=Repair(
                f"Enable {row['model_id']}",
                f"Users may request {row['model_id']} again.",
                partial(_enable, row["model_id"]),
                needs=Role.ADMIN,
            ),
            todo="If this is intentional, remove the model from your applications.",
            page="models",
            filters={"model": row["model_id"]},
        )
        for row in facts["disabled_models"]
    ]


def _enable(model_id: str, pool: Pool, actor: str) -> str:
    enable_model(pool, actor, model_id)
    return f"{model_id} enabled."


def other(facts: Facts) -> list[Finding]:
    """Other errors that end jobs in their first attempt."""
    return [
        finding_from_guide(row)
        for row in facts["failures"]
        if not _has_own_check(row) and row["at_once"] and (row["known"] or not row["model_id"])
    ]


def _has_own_check(row: Mapping[str, Any]) -> bool:
    return row["code"] in (*TOKEN_CODES, *CREDIT_CODES, *MODEL_CODES, *REFUSED_CODES)


IMMEDIATE_FAILURES = Symptom(
    "at_once",
    "Immediate failures",
    [("troubleshooting", "failures"), ("troubleshooting", "disabled_models")],
    [
        Check(
            "token",
            "API token rejected",
            partial(with_codes, TOKEN_CODES),
            "With a missing, revoked or wrong token, every job fails within a second, and after"
            " five failures the provider's circuit breaker opens.",
        ),
        Check(
            "credit",
            "Account out of credit",
            partial(with_codes, CREDIT_CODES),
            "Without credit, the provider starts no predictions. Jobs fail without further"
            " attempts; retry them once there is credit.",
        ),
        Check(
            "unknown_model",
            "Unknown model",
            unknown_model,
            "Jobs for a model that was renamed, removed or misspelled fail permanently on the"
            " first attempt.",
        ),
        Check(
            "disabled_model",
            "Requested model disabled",
            disabled_model,
            "start-generation rejects requests for a disabled model with 404, so users see an error"
            " and there is"
            " no job.",
        ),
        Check(
            "refused",
            "Input rejected",
            partial(with_codes, REFUSED_CODES),
            "A wrong default parameter in the models table makes every job of the model fail; a"
            " wrong value from a client affects only that client's jobs.",
        ),
        Check(
            "other",
            "Other permanent errors",
            other,
            "Errors that no further attempt can fix end a job immediately.",
        ),
    ],
)
