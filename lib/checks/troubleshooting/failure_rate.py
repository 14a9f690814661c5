"""Many jobs fail."""

from collections import Counter
from functools import partial

from lib.checks.finding import Check, Facts, Finding, Repair, Symptom
from lib.checks.troubleshooting.immediate_failures import explained
from lib.database import Pool
from lib.formats import share
from lib.queue.operator_actions import enable_model, pause_queue
from lib.roles import Role

MOST = 0.5
"""Share of all failures from which on one cause is the cause."""
PROVIDER = ("unreachable", "provider_error", "rate_limited", "deadline_exceeded")


def high(facts: Facts) -> bool:
    """Whether too many of the jobs of the last hour or two failed."""
    completed = sum(row["completed"] for row in facts["models_now"])
    failed = sum(row["failed"] for row in facts["models_now"])
    ended = completed + failed
    limits = facts["limits"]
    return bool(ended >= limits["failure_minimum"] and failed / ended > limits["failure_share"])


def one_model(facts: Facts) -> list[Finding]:
    """One model fails, the others do not."""
    failed = sum(row["failed"] for row in facts["models_now"])
    others = len(facts["models_now"]) > 1
    return [
        Finding(
            f"Most failures are of one model: {row['model_id']}.",
            f"{row['failed']:,} of {failed:,} failures are its own;"
            f" {share(row['failed'], row['failed'] + row['completed'])} of its jobs failed.",
            jobs=row["failed"],
            repair=Repair(
                f"Disable {row['model_id']}",
                f"Requests for {row['model_id']} are refused with 404 from now on. Its jobs that"
                " wait still run.",
                partial(_disable, row["model_id"]),
                needs=Role.ADMIN,
            )
            if row["enabled"]
            else None,
            todo="Look at its errors, and at the model's page at the provider.",
            page="failures",
            filters={"model": row["model_id"]},
        )
        for row in facts["models_now"]
        if high(facts)
        and others
        and row["model_id"]
        and row["failed"] > MOST * failed
        and row["failed"] > facts["limits"]["failure_share"] * (row["failed"] + row["completed"])
    ]


def _disable(model_id: str, pool: Pool, actor: str) -> str:
    enable_model(pool, actor, model_id, enabled=False)
    return f"{model_id} is disabled."


def provider(facts: Facts) -> list[Finding]:
    """The provider answers badly, whatever the model."""
    failed = sum(row["jobs"] for row in facts["failures"])
    its_own = [row for row in facts["failures"] if row["code"] in PROVIDER]
    jobs = sum(row["jobs"] for row in its_own)
    if not high(facts) or jobs <= MOST * failed:
        return []
    return [
        Finding(
            "The provider itself has trouble.",
            f"{jobs:,} of {failed:,} failures are timeouts, refusals or errors of the provider,"
            f" with {len({row['model_id'] for row in its_own})} models. The newest said:"
            f" {its_own[0]['message'] or 'nothing'}",
            jobs=jobs,
            repair=Repair(
                "Pause the queue",
                "No job is claimed any more until somebody resumes, so that no more fail. What runs"
                " goes on, and new jobs wait.",
                _pause,
            ),
            todo="Look at the provider's status page. Once it is well, resume and retry.",
            page="failures",
        )
    ]


def _pause(pool: Pool, actor: str) -> str:
    pause_queue(pool, actor, reason="The provider has trouble.")
    return "Paused: no job is claimed any more until you resume."


def one_error(facts: Facts) -> list[Finding]:
    """One kind of error is most of them."""
    failed = sum(row["jobs"] for row in facts["failures"])
    by_code = Counter[str]()
    for row in facts["failures"]:
        by_code[row["code"]] += row["jobs"]
    return [
        explained(row)
        for row in facts["failures"]
        if high(facts)
        and by_code[row["code"]] > MOST * failed
        and row["code"] not in PROVIDER
        and row["jobs"] > MOST * by_code[row["code"]]
    ]


FAILURE_RATE = Symptom(
    "failure_rate",
    "Many jobs fail",
    [
        ("troubleshooting", "limits"),
        ("troubleshooting", "models_now"),
        ("troubleshooting", "failures"),
    ],
    [
        Check(
            "provider",
            "Does the provider have trouble?",
            "Timeouts, internal errors and refusals that come with every model are the provider's.",
            provider,
        ),
        Check(
            "one_model",
            "Is it one model?",
            "When one model fails and the others do not, its version, its defaults or the model"
            " itself is the cause.",
            one_model,
        ),
        Check(
            "one_error",
            "Is it one kind of error?",
            "Failures of one kind mostly have one cause, and the guide of errors knows what to do.",
            one_error,
        ),
    ],
)
