"""Is a user who is over the limit refused?"""

from lib.selftest.check import CheckFailed
from lib.selftest.functions import DEPLOY, started
from lib.selftest.queue import as_shipped
from lib.selftest.trial import Trial


async def second_is_refused(trial: Trial) -> str:
    """A user with a limit of one generation an hour starts two."""
    await trial.ask("make_user", run=trial.run)
    body = {"user_id": str(trial.run)}
    await started(trial, **body)
    prompt = await trial.ask("prompt", run=trial.run)
    answer = await trial.call(
        "start-generation",
        body | {"prompt": prompt, "model_id": await trial.ask("model")},
        trial.target.keys.secret,
    )
    wait = answer.headers.get("Retry-After", "")
    if answer.status == 200:
        raise CheckFailed(
            "The second generation of the hour was started as well.",
            as_shipped("get_user_limits", "start_generation"),
        )
    if answer.status != 429 or not wait.isdecimal():
        raise CheckFailed(
            f"{answer}, with Retry-After {wait!r}, in place of HTTP 429 with seconds.", DEPLOY
        )
    return f"{answer} Retry-After: {wait}."
