"""Is a job whose worker fell silent found, and does a reset bring it back?"""

from lib.selftest.check import CheckFailed
from lib.selftest.definitions import definitions
from lib.selftest.queue import as_shipped, claimed
from lib.selftest.trial import Trial


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
