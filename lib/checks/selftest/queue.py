"""Do the queue's functions do what workers rely on? Each time undone again, seen by nobody."""

from typing import Any
from uuid import UUID

from lib.checks.expected_schema import definitions
from lib.checks.selftest.check import CheckFailed, CheckSkipped
from lib.checks.selftest.trial import Trial
from lib.database import QueryError, translated
from lib.formats import duration

REFUSALS = {
    "enqueue_without_type": ("enqueue_job with an empty type", "22023"),
    "enqueue_a_list": ("enqueue_job with a list as payload", "22023"),
    "enqueue_without_attempts": ("enqueue_job with no attempts", "22023"),
    "claim_none": ("claim_jobs of no job", "22023"),
    "complete_unknown": ("complete_job of an unknown job", "DR404"),
    "reset_without_actor": ("reset_stuck_jobs by nobody", "22023"),
}
"""Calls that must be refused, and the SQLSTATE with which."""


def as_shipped(*functions: str) -> str:
    """A repair that puts functions back as the migrations have them."""
    drops = "\n".join(f"drop function public.{name};" for name in functions)
    return (
        "These functions are not as the migrations make them: compare them, and if they were"
        f" changed by hand, put them back with this SQL:\n\n{drops}\n"
        + "\n".join(definitions()["function", name].sql() for name in functions)
    )


async def enqueue(trial: Trial) -> str:
    """A job is waiting once it is enqueued."""
    async with trial.undone() as connection:
        job = await trial.sql.job(connection, job_id=await _enqueued(trial, connection))
    _expect(job and (job["status"], job["attempts"]), ("pending", 0), "enqueue_job")
    return "A job waited as pending with 0 attempts."


async def claim(trial: Trial) -> str:
    """An enqueued job is claimed, once."""
    async with trial.undone() as connection:
        job_id = await _enqueued(trial, connection)
        job = await claimed(trial, connection)
        again = await trial.sql.claim(connection, job_type=trial.job_type)
    _expect(
        (job["id"], job["status"], job["attempts"]),
        (job_id, "processing", 1),
        "claim_next_job",
        "start_attempts",
    )
    _expect(again, None, "claim_next_job", "pick_jobs")
    return "The job was claimed as attempt 1, and could not be claimed a second time."


async def complete(trial: Trial) -> str:
    """A claim ends with success or with a retry, and one that is no longer current with nothing."""
    async with trial.undone() as connection:
        ends = []
        for error in (None, "a failure on purpose"):
            job_id = await _enqueued(trial, connection)
            await claimed(trial, connection)
            for attempt in (7, 1):
                ends.append(
                    await trial.sql.complete(
                        connection, job_id=job_id, error=error, attempt=attempt
                    )
                )
    _expect(ends, ["lost", "completed", "lost", "pending"], "complete_job", "fail_claim")
    return "A success ended as completed, a failure as pending again, a false attempt as lost."


async def invalid_arguments(trial: Trial) -> str:
    """Bad arguments are refused with the documented error."""
    wrong = []
    async with trial.undone() as connection:
        for query, (call, sqlstate) in REFUSALS.items():
            answer = "accepted"
            try:
                with translated():
                    async with connection.transaction():
                        await getattr(trial.sql, query)(connection, job_type=trial.job_type)
            except QueryError as refusal:
                answer = refusal.sqlstate
            if answer != sqlstate:
                wrong.append(f"{call}: {answer} in place of {sqlstate}")
    if wrong:
        raise CheckFailed(
            f"{'; '.join(wrong)}.",
            as_shipped(*sorted({item.split(" ")[0] for item in wrong})),
        )
    return f"All {len(REFUSALS)} were refused, with SQLSTATE 22023 or DR404."


async def claimed(trial: Trial, connection: Any) -> Any:
    """The job that the run has enqueued, claimed. Raises CheckSkipped while claiming is paused."""
    job = await trial.sql.claim(connection, job_type=trial.job_type)
    if job is None:
        held = await trial.sql.paused(connection, job_type=trial.job_type)
        if held["paused_by"]:
            raise CheckSkipped(
                f"The claiming of all jobs is paused by {held['paused_by']}: resume it on the page"
                " Overview, then run the self-test again."
            )
        raise CheckFailed(
            "claim_next_job gave no job, though one is due.",
            as_shipped("claim_next_job", "claim_jobs", "pick_jobs"),
        )
    return job


async def _enqueued(trial: Trial, connection: Any) -> UUID:
    job_id: UUID = await trial.sql.enqueue(connection, job_type=trial.job_type, created_by=None)
    return job_id


def _expect(came_back: Any, expected: Any, *functions: str) -> None:
    if came_back != expected:
        raise CheckFailed(
            f"{functions[0]} gave {came_back!r} in place of {expected!r}.", as_shipped(*functions)
        )


async def found_and_reset(trial: Trial) -> str:
    """A claimed job is made silent, found in stuck_jobs, and reset. Undone, seen by nobody."""
    async with trial.undone() as connection:
        job_id = await trial.sql.enqueue(connection, job_type=trial.job_type, created_by=None)
        await claimed(trial, connection)
        early = await trial.sql.is_stuck(connection, job_id=job_id)
        await trial.sql.silence(connection, job_id=job_id)
        found = await trial.sql.is_stuck(connection, job_id=job_id)
        reset = [row async for row in trial.sql.reset(connection, job_id=job_id)]
        left = await trial.sql.is_stuck(connection, job_id=job_id)
    if (early, found) != (False, True):
        raise CheckFailed(
            f"A job that had just been claimed was {_listed(early)} in stuck_jobs, one silent for"
            f" 11 minutes was {_listed(found)}.",
            "The view is not as the migrations make it. Put it back with this SQL:\n\n"
            "drop view public.stuck_jobs;\n" + definitions()["view", "stuck_jobs"].sql(),
        )
    after = [(row["id"], row["status"], row["attempts"]) for row in reset]
    if after != [(job_id, "pending", 1)] or left:
        state = ", ".join(f"{status} with {attempts} attempts" for _, status, attempts in after)
        raise CheckFailed(
            f"The reset left the job {state or 'as it was'}, in place of pending with 1 attempt.",
            as_shipped("reset_stuck_jobs"),
        )
    return "The silent job was in stuck_jobs; the reset made it pending, with 1 attempt as before."


def _listed(is_listed: bool) -> str:
    return "listed" if is_listed else "not listed"


START_A_WORKER = (
    "Start a worker: python -m lib.worker\nWith the embedded database the app runs one itself:"
    " restart the app (streamlit run app.py). Where cron wakes process-jobs instead, look at the"
    " schedule: it must call process-jobs with the secret key at least every two minutes."
)


async def someone_works(trial: Trial) -> str:
    """A worker has shown life in the last minute, or process-jobs was called in the last two."""
    found = await trial.ask("worker")
    if not (found["alive"] or trial.ours):
        return "Workers that are not Darkroom's leave no sign; the generation below shows them."
    if not found["alive"]:
        seen = found["seen_seconds"]
        ago = f"The last one was seen {duration(seen)} ago." if seen is not None else ""
        raise CheckFailed(f"No worker for generate-image is alive. {ago}".strip(), START_A_WORKER)
    return f"{found['alive']} alive."
