"""Checks of the queue's SQL functions, in transactions that are rolled back."""

from typing import Any
from uuid import UUID

from lib.checks.check import Finding, run_sql
from lib.checks.expected_schema import function, restore
from lib.checks.selftest.context import RunContext
from lib.checks.selftest.result import CheckFailed, CheckSkipped
from lib.database import QueryError, translated
from lib.formats import plural
from lib.ops.conditions import START_WORKER, no_worker

REFUSALS = {
    "enqueue_without_type": ("enqueue_job with an empty type", "22023"),
    "enqueue_a_list": ("enqueue_job with a list as payload", "22023"),
    "enqueue_without_attempts": ("enqueue_job with no attempts", "22023"),
    "claim_none": ("claim_jobs with a limit of 0", "22023"),
    "complete_unknown": ("complete_job of an unknown job", "DR404"),
    "reset_without_actor": ("reset_stuck_jobs without an actor", "22023"),
}
"""Invalid calls and the SQLSTATE each must be refused with."""


CLAIMING = ("claim_next_job", "claim_jobs", "pick_jobs", "pending_lines")
"""What gives a worker its jobs."""


def restore_functions(*functions: str) -> str:
    """A repair that restores functions as the migrations define them."""
    return run_sql(
        (restore("function", function(name)) for name in functions),
        "These functions differ from the migrations. Compare them; if they were changed by"
        " hand, restore them with this SQL:",
    )


async def enqueue(context: RunContext) -> Finding:
    """An enqueued job is pending."""
    async with context.rolled_back() as connection:
        job = await context.sql.job(connection, job_id=await _enqueue_job(context, connection))
    _expect(job and (job["status"], job["attempts"]), ("pending", 0), "enqueue_job")
    return Finding("ok", "The job was pending with 0 attempts.")


async def claim(context: RunContext) -> Finding:
    """An enqueued job can be claimed exactly once."""
    async with context.rolled_back() as connection:
        job_id = await _enqueue_job(context, connection)
        job = await claim_job(context, connection)
        second_claim = await context.sql.claim(connection, job_type=context.job_type)
    _expect(
        (job["id"], job["status"], job["attempts"]),
        (job_id, "processing", 1),
        "claim_next_job",
        "start_attempts",
    )
    _expect(second_claim, None, *CLAIMING)
    return Finding(
        "ok", "The job was claimed as attempt 1, and could not be claimed a second time."
    )


async def complete(context: RunContext) -> Finding:
    """A claim ends in success or a retry; a stale claim changes nothing."""
    async with context.rolled_back() as connection:
        outcomes = []
        for error in (None, "a deliberate failure"):
            job_id = await _enqueue_job(context, connection)
            await claim_job(context, connection)
            for attempt in (7, 1):
                outcomes.append(
                    await context.sql.complete(
                        connection, job_id=job_id, error=error, attempt=attempt
                    )
                )
    _expect(outcomes, ["lost", "completed", "lost", "pending"], "complete_job", "fail_claim")
    return Finding(
        "ok",
        "The successful job was marked completed, the failed one returned to pending, and the"
        " outdated attempt was ignored.",
    )


async def invalid_arguments(context: RunContext) -> Finding:
    """Invalid arguments are rejected with the documented error."""
    faults = []
    async with context.rolled_back() as connection:
        for query, (call, sqlstate) in REFUSALS.items():
            answer = "accepted"
            try:
                with translated():
                    async with connection.transaction():
                        await getattr(context.sql, query)(connection, job_type=context.job_type)
            except QueryError as refusal:
                answer = refusal.sqlstate
            if answer != sqlstate:
                faults.append(f"{call}: {answer} instead of {sqlstate}")
    if faults:
        raise CheckFailed(
            f"{'; '.join(faults)}.",
            restore_functions(*sorted({item.split(" ")[0] for item in faults})),
        )
    return Finding("ok", f"All {len(REFUSALS)} were rejected, with SQLSTATE 22023 or DR404.")


async def claim_job(context: RunContext, connection: Any) -> Any:
    """Claim the job this run enqueued. Raises CheckSkipped while all jobs are paused."""
    job = await context.sql.claim(connection, job_type=context.job_type)
    if job is None:
        held = await context.sql.paused(connection, job_type=context.job_type)
        if held["paused_by"]:
            raise CheckSkipped(
                f"The queue was paused by {held['paused_by']}. Resume it on the Overview page, then"
                " run the self-test again."
            )
        raise CheckFailed(
            "claim_next_job returned no job, although one is pending.",
            restore_functions(*CLAIMING),
        )
    return job


async def _enqueue_job(context: RunContext, connection: Any) -> UUID:
    job_id: UUID = await context.sql.enqueue(connection, job_type=context.job_type, created_by=None)
    return job_id


def _expect(came_back: Any, expected: Any, *functions: str) -> None:
    if came_back != expected:
        raise CheckFailed(
            f"{functions[0]} returned {came_back!r} instead of {expected!r}.",
            restore_functions(*functions),
        )


async def stuck_job_reset(context: RunContext) -> Finding:
    """A claimed job without a heartbeat is in stuck_jobs and can be reset; rolled back."""
    async with context.rolled_back() as connection:
        job_id = await context.sql.enqueue(connection, job_type=context.job_type, created_by=None)
        await claim_job(context, connection)
        before = await context.sql.is_stuck(connection, job_id=job_id)
        await context.sql.silence(connection, job_id=job_id)
        silent = await context.sql.is_stuck(connection, job_id=job_id)
        reset = [row async for row in context.sql.reset(connection, job_id=job_id)]
        after_reset = await context.sql.is_stuck(connection, job_id=job_id)
    if (before, silent) != (False, True):
        raise CheckFailed(
            f"A job claimed just now was {_listed(before)} in stuck_jobs; a job without a"
            f" heartbeat for 11 min was {_listed(silent)}.",
            run_sql(
                [restore("view", "stuck_jobs")],
                "The view differs from the migrations. Restore it with this SQL:",
            ),
        )
    after = [(row["id"], row["status"], row["attempts"]) for row in reset]
    if after != [(job_id, "pending", 1)] or after_reset:
        state = ", ".join(
            f"{status} with {plural(attempts, 'attempt')}" for _, status, attempts in after
        )
        raise CheckFailed(
            f"The reset left the job {state or 'unchanged'} instead of pending with 1 attempt.",
            restore_functions("reset_stuck_jobs"),
        )
    return Finding(
        "ok",
        "The job without a heartbeat was in stuck_jobs; the reset made it pending, with 1"
        " attempt as before.",
    )


def _listed(is_listed: bool) -> str:
    return "listed" if is_listed else "not listed"


WAKE_QUEUE = (
    f"{START_WORKER}\n"
    "With the embedded database the app runs one itself: restart the app (streamlit run"
    " app.py). If cron runs process-jobs instead, check the schedule: it must call process-jobs"
    " with the secret key at least every two minutes."
)


async def worker_alive(context: RunContext) -> Finding:
    """A worker sent a heartbeat in the last minute, or process-jobs ran in the last two."""
    found = await context.query("worker")
    if not (found["alive"] or context.is_darkroom):
        return Finding(
            "ok",
            "Only Darkroom's workers send heartbeats. The check “A generation becomes an image”"
            " shows whether other workers run.",
        )
    if not found["alive"]:
        text = no_worker(found["seen_seconds"], job_type="generate-image")
        raise CheckFailed(text, WAKE_QUEUE)
    return Finding("ok", f"{found['alive']} alive.")
