"""Do the HTTP functions answer as they should, each to those who may call it?"""

from typing import Any, NamedTuple
from uuid import UUID

from lib.checks.error_guide import guide
from lib.checks.selftest.check import CheckFailed, CheckSkipped
from lib.checks.selftest.trial import Answer, Trial, Unreachable
from lib.checks.selftest.users import sign_in

TRIES = 3
"""Attempts of one generation: a provider may fail at random."""
UNKNOWN_MODEL = "darkroom/no-such-model"
KEYS = (
    "The functions do not accept this self-test's keys. Give both the same"
    " SUPABASE_PUBLISHABLE_KEY, SUPABASE_SECRET_KEY and SUPABASE_JWT_SECRET; without these, the"
    " same data folder (DARKROOM_DATA), where the app keeps its own keys."
)
DEPLOY = (
    "The function does not answer as this version's does. Restart the app with this version, or"
    " deploy the functions of this version to the project again."
)
NOT_OURS = "These are not Darkroom's functions, and this is what only Darkroom's promise."
LOG = "Look at the log of the app, or of the function: it has the error."


class Started(NamedTuple):
    """What start-generation answered."""

    generation_id: UUID
    job_id: UUID | None
    """None where functions that are not Darkroom's do not say it."""


async def refuse_without_key(trial: Trial) -> str:
    """The functions are there, and refuse who shows no key; notes whose functions they are."""
    try:
        answer = await trial.call("start-generation")
    except Unreachable as error:
        of_project = trial.target.functions_url == trial.target.supabase_url
        setting = "SUPABASE_URL" if of_project else "DARKROOM_FUNCTIONS_URL or DARKROOM_URL"
        raise CheckFailed(
            str(error),
            f"Start the app (streamlit run app.py), or set {setting} to where the functions are.",
        ) from error
    if answer.status == 401 and not answer.code:
        trial.ours = False
        return f"{answer}. They are not Darkroom's: judged by what they do, not by their words."
    _expect(answer, 401, "no_key")
    return str(answer)


async def start_generation(trial: Trial) -> str:
    """A generation is started with the secret key; the publishable key may not start a test.

    Of functions that are not Darkroom's, by a signed-in user: they know no tests.
    """
    if not trial.ours:
        await sign_in(trial)
        made = await started(trial, key=trial.target.keys.publishable, token=trial.token)
        trial.generation_id = made.generation_id
        return f"HTTP 200 with generation {trial.generation_id}, for a signed-in user."
    unknown = {"prompt": await _prompt(trial), "model_id": UNKNOWN_MODEL}
    _expect(
        await trial.call("start-generation", unknown, trial.target.keys.publishable),
        404,
        "model_not_found",
    )
    _expect(
        await trial.call(
            "start-generation", unknown | {"test": True}, trial.target.keys.publishable
        ),
        403,
        "secret_key_needed",
    )
    made = await started(trial, key=trial.target.keys.secret, test=True)
    trial.generation_id = made.generation_id
    return f"HTTP 200 with generation {trial.generation_id}; the publishable key was checked too."


async def started(trial: Trial, *, key: str, token: str | None = None, **extra: Any) -> Started:
    """Starts a generation of the run. Raises CheckFailed."""
    body = {"prompt": await _prompt(trial), "model_id": await _model(trial), **extra}
    answer = await trial.call("start-generation", body, key, token=token)
    _expect(answer, 200, "")
    found = answer.body
    generation_id = found.get("generation_id", found.get("generationId"))
    job_id = found.get("job_id", found.get("jobId"))
    try:
        if trial.ours or job_id:
            return Started(UUID(generation_id), UUID(job_id))
        return Started(UUID(generation_id), None)
    except (AttributeError, TypeError, ValueError) as error:
        raise CheckFailed(f"{answer} without generation_id and job_id.", DEPLOY) from error


async def process_jobs(trial: Trial) -> str:
    """process-jobs runs what is due for the secret key, and nothing for the publishable one."""
    refusal = await trial.call("process-jobs", key=trial.target.keys.publishable)
    if trial.ours:
        _expect(refusal, 403, "secret_key_needed")
    elif refusal.status not in (401, 403):
        raise CheckFailed(
            f"{refusal} for the publishable key, which everybody has.",
            "Let the function refuse every key but the secret one.",
        )
    answer = await _worked(trial, "process-jobs")
    _expect(answer, 200, "")
    return _counted(answer) if trial.ours else str(answer)


async def process_generation(trial: Trial) -> str:
    """process-generation runs a generation to its end, thrice if the provider fails."""
    if not trial.ours:
        raise CheckSkipped(NOT_OURS)
    model_id = await _model(trial)
    made = await trial.ask("start", run=trial.run, model_id=model_id)
    body = {"generation_id": str(made["generation_id"])}
    _expect(
        await trial.call("process-generation", body, trial.target.keys.publishable),
        403,
        "secret_key_needed",
    )
    tries = 0
    while True:
        tries += 1
        answer = await _worked(trial, "process-generation", body)
        if answer.status == 409:
            await skip_if_held(trial)
        _expect(answer, 200, "")
        generation = await trial.ask("generation", generation_id=made["generation_id"])
        if generation["status"] != "queued" or tries == TRIES:
            break
    if generation["status"] != "completed":
        raise generation_failed(generation["status"], generation["error_message"])
    return f"{_counted(answer)}; the generation is completed."


async def invalid_model(trial: Trial) -> str:
    """A job of a model that the provider does not know fails at once, and is listed as failed."""
    made = await trial.ask("start", run=trial.run, model_id=UNKNOWN_MODEL)
    answer = await _worked(
        trial, "process-generation", {"generation_id": str(made["generation_id"])}
    )
    if answer.status == 409:
        await skip_if_held(trial)
    _expect(answer, 200, "")
    failed = await trial.ask("failed_job", job_id=made["job_id"])
    if failed is None:
        job = await trial.ask("job", job_id=made["job_id"])
        raise CheckFailed(
            f"The job is {job['status']} after {job['attempts']} attempts and not in"
            f" failed_jobs_recent: {job['error_message'] or 'no error'}",
            guide(None, job["error_message"]).todo
            + " If the error is that the model does not exist, the worker does not mark it as"
            " permanent: update the worker to this version.",
        )
    if failed["attempts"] != 1:
        raise CheckFailed(
            f"The job failed after {failed['attempts']} attempts: {failed['error_message']}",
            "An unknown model must fail at the first attempt: update the worker to this version.",
        )
    return f"In failed_jobs_recent after 1 attempt: {failed['error_message']}"


async def skip_if_held(trial: Trial) -> None:
    """Raises CheckSkipped while an operator holds generations back, CheckFailed for a provider."""
    held = await trial.ask("paused", job_type="generate-image")
    if held["paused_by"]:
        raise CheckSkipped(
            f"Generations are paused by {held['paused_by']}: resume them on the page Overview,"
            " then run the self-test again."
        )
    if held["down"]:
        raise CheckFailed(
            f"The provider is down, and its jobs wait: {held['down']}",
            f"{guide(None, held['down']).todo} The page Failures shows the last errors.",
        )


def generation_failed(status: str, error: str | None) -> CheckFailed:
    """A generation that ended without an image, with what its error usually means."""
    found = guide(None, error)
    return CheckFailed(
        f"The generation is {status}: {error or 'without an error'}",
        f"{found.title}. {found.todo}",
    )


async def _worked(trial: Trial, function: str, body: dict[str, Any] | None = None) -> Answer:
    since = await trial.ask("clock")
    try:
        return await trial.call(function, body, trial.target.keys.secret)
    finally:
        await trial.ask("forget_call", kind=function, since=since)


async def _prompt(trial: Trial) -> str:
    return str(await trial.ask("prompt", run=trial.run))


async def _model(trial: Trial) -> str:
    model: str | None = await trial.ask("model")
    if model is None:
        raise CheckFailed(
            "No model is enabled.",
            "Enable one: update public.models set enabled = true"
            " where id = 'black-forest-labs/flux-schnell';",
        )
    return model


def _counted(answer: Answer) -> str:
    counts = (answer.body.get("processed"), answer.body.get("errors"))
    if answer.body.get("success") is not True or not all(isinstance(n, int) for n in counts):
        raise CheckFailed(f"{answer} without success, processed and errors.", DEPLOY)
    return str(answer)


def _expect(answer: Answer, status: int, code: str) -> None:
    if (answer.status, answer.code) == (status, code):
        return
    if answer.status == 401:
        repair = KEYS
    elif answer.status >= 500:
        repair = LOG
    else:
        repair = DEPLOY
    raise CheckFailed(f"{answer} in place of HTTP {status} {code}".rstrip() + ".", repair)
