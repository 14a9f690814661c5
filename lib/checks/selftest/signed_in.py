"""Do the functions know a signed-in user, and does what they start belong to them?"""

from lib.checks.selftest.check import CheckFailed
from lib.checks.selftest.functions import DEPLOY, Started, started
from lib.checks.selftest.queue import as_shipped
from lib.checks.selftest.trial import Trial
from lib.checks.selftest.users import sign_in

ASK = "Let start-generation ask public.get_user_limits before it starts anything."
"""What to do about functions of a project's own that know no limit."""


async def own_generation(trial: Trial) -> str:
    """A user of this run starts a generation with the publishable key and their token."""
    user = await sign_in(trial)
    if trial.ours or trial.generation_id is None:
        made = await started(trial, key=trial.target.keys.publishable, token=trial.token)
    else:
        made = Started(trial.generation_id, None)
    owners = await trial.ask("owners", generation_id=made.generation_id, job_id=made.job_id)
    if owners != {"user_id": user, "created_by": user if made.job_id else None}:
        raise CheckFailed(
            f"What user {user} started does not name them: {owners}.",
            as_shipped("start_generation", "begin_generation"),
        )
    return f"HTTP 200 for a user's token; what it started belongs to {user}."


async def second_is_refused(trial: Trial) -> str:
    """The same user, who may start one generation an hour, starts another."""
    body = {
        "prompt": await trial.ask("prompt", run=trial.run),
        "model_id": await trial.ask("model"),
    }
    answer = await trial.call(
        "start-generation", body, trial.target.keys.publishable, token=trial.token
    )
    wait = answer.headers.get("Retry-After", "")
    if answer.status == 200:
        raise CheckFailed(
            "The second generation of the hour was started as well.",
            as_shipped("get_user_limits", "start_generation") if trial.ours else ASK,
        )
    if answer.status != 429 or (trial.ours and not wait.isdecimal()):
        raise CheckFailed(
            f"{answer}, with Retry-After {wait!r}, in place of HTTP 429 with seconds.", DEPLOY
        )
    return f"{answer} Retry-After: {wait or 'not said'}."
