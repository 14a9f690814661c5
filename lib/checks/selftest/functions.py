"""Checks of the HTTP functions: responses and access control."""

from typing import Any, NamedTuple
from uuid import UUID

from lib.checks.check import Finding
from lib.checks.error_guide import guide
from lib.checks.selftest.context import Answer, RunContext, Unreachable
from lib.checks.selftest.result import CheckFailed, CheckSkipped
from lib.checks.selftest.users import sign_in
from lib.formats import plural, sentence

MAX_TRIES = 3
"""Attempts at a generation, since providers fail at random."""
UNKNOWN_MODEL = "darkroom/no-such-model"
CHECK_KEYS = (
    "The functions do not accept the keys of this self-test. Give both the same"
    " SUPABASE_PUBLISHABLE_KEY, SUPABASE_SECRET_KEY and SUPABASE_JWT_SECRET. If these are not"
    " set, give both the same data folder (DARKROOM_DATA), where the app keeps generated keys."
)
REDEPLOY = (
    "The response differs from this version's. Restart the app with this version, or redeploy"
    " this version's functions to the project."
)
NOT_DARKROOM = "These are not Darkroom's functions, and only Darkroom's are expected to do this."
READ_LOG = "Check the app's or the function's log for the error."


class Started(NamedTuple):
    """Response of start-generation."""

    generation_id: UUID
    job_id: UUID | None
    """None if third-party functions do not return it."""


async def refuse_without_key(context: RunContext) -> Finding:
    """The functions reject calls without a key; sets `context.is_darkroom`."""
    try:
        answer = await context.call("start-generation")
    except Unreachable as error:
        uses_project = context.target.functions_url == context.target.supabase_url
        setting = "SUPABASE_URL" if uses_project else "DARKROOM_FUNCTIONS_URL or DARKROOM_URL"
        raise CheckFailed(
            str(error),
            f"Start the app (streamlit run app.py), or set {setting} to the address of the"
            " functions.",
        ) from error
    if answer.status == 401 and not answer.code:
        context.is_darkroom = False
        return Finding(
            "ok",
            f"{answer}. These are not Darkroom's functions, so only their effects are checked,"
            " not their responses.",
        )
    _expect(answer, 401, "no_key")
    return Finding("ok", str(answer))


async def start_generation(context: RunContext) -> Finding:
    """The secret key starts a test generation; the publishable key may not.

    Third-party functions have no test mode, so a signed-in user starts the generation there.
    """
    if not context.is_darkroom:
        await sign_in(context)
        made = await request_generation(
            context, key=context.target.keys.publishable, token=context.token
        )
        context.generation_id = made.generation_id
        return Finding(
            "ok", f"HTTP 200 with generation {context.generation_id}, for a signed-in user."
        )
    unknown = {"prompt": await _prompt(context), "model_id": UNKNOWN_MODEL}
    publishable = context.target.keys.publishable
    refusal = await context.call("start-generation", unknown, publishable)
    # The same wherever starting without a signed-in user is off.
    if refusal.code != "sign_in_needed":
        _expect(refusal, 404, "model_not_found")
        test = unknown | {"test": True}
        _expect(await context.call("start-generation", test, publishable), 403, "secret_key_needed")
    made = await request_generation(context, key=context.target.keys.secret, test=True)
    context.generation_id = made.generation_id
    return Finding(
        "ok",
        f"HTTP 200 with generation {context.generation_id}; the publishable key was checked too.",
    )


async def request_generation(
    context: RunContext, *, key: str, token: str | None = None, **extra: Any
) -> Started:
    """Start a generation for this run. Raises CheckFailed."""
    body = {"prompt": await _prompt(context), "model_id": await _model(context), **extra}
    answer = await context.call("start-generation", body, key, token=token)
    _expect(answer, 200, "")
    found = answer.body
    generation_id = found.get("generation_id", found.get("generationId"))
    job_id = found.get("job_id", found.get("jobId"))
    try:
        if context.is_darkroom or job_id:
            return Started(UUID(generation_id), UUID(job_id))
        return Started(UUID(generation_id), None)
    except (AttributeError, TypeError, ValueError) as error:
        raise CheckFailed(f"{answer} without generation_id and job_id.", REDEPLOY) from error


async def process_jobs(context: RunContext) -> Finding:
    """process-jobs runs pending jobs for the secret key and rejects the publishable key."""
    refusal = await context.call("process-jobs", key=context.target.keys.publishable)
    if context.is_darkroom:
        _expect(refusal, 403, "secret_key_needed")
    elif refusal.status not in (401, 403):
        raise CheckFailed(
            f"{refusal} for the publishable key, which is public.",
            "Change the function to reject every key except the secret key.",
        )
    answer = await _call_unrecorded(context, "process-jobs")
    _expect(answer, 200, "")
    return Finding("ok", _require_counts(answer) if context.is_darkroom else str(answer))


async def process_generation(context: RunContext) -> Finding:
    """process-generation completes a generation, in up to MAX_TRIES attempts."""
    if not context.is_darkroom:
        raise CheckSkipped(NOT_DARKROOM)
    model_id = await _model(context)
    made = await context.query("start", run=context.run, model_id=model_id)
    body = {"generation_id": str(made["generation_id"])}
    _expect(
        await context.call("process-generation", body, context.target.keys.publishable),
        403,
        "secret_key_needed",
    )
    tries = 0
    while True:
        tries += 1
        answer = await _call_unrecorded(context, "process-generation", body)
        if answer.status == 409:
            await skip_if_held(context)
        _expect(answer, 200, "")
        generation = await context.query("generation", generation_id=made["generation_id"])
        if generation["status"] != "queued" or tries == MAX_TRIES:
            break
    if generation["status"] != "completed":
        raise generation_failed(generation["status"], generation["error_message"])
    return Finding("ok", f"{_require_counts(answer)}; the generation is completed.")


async def invalid_model(context: RunContext) -> Finding:
    """A job for an unknown model fails in its first attempt and is in failed_jobs_recent."""
    made = await context.query("start", run=context.run, model_id=UNKNOWN_MODEL)
    answer = await _call_unrecorded(
        context, "process-generation", {"generation_id": str(made["generation_id"])}
    )
    if answer.status == 409:
        await skip_if_held(context)
    _expect(answer, 200, "")
    failed = await context.query("failed_job", job_id=made["job_id"])
    if failed is None:
        job = await context.query("job", job_id=made["job_id"])
        raise CheckFailed(
            f"The job is {job['status']} after {plural(job['attempts'], 'attempt')} and not in"
            f" failed_jobs_recent: {job['error_message'] or 'no error'}",
            guide(None, job["error_message"]).todo
            + " If the error says that the model does not exist, the worker does not treat it"
            " as permanent: update the worker to this version.",
        )
    if failed["attempts"] != 1:
        raise CheckFailed(
            f"The job failed after {plural(failed['attempts'], 'attempt')}:"
            f" {failed['error_message']}",
            "An unknown model must fail on the first attempt: update the worker to this version.",
        )
    return Finding("ok", f"In failed_jobs_recent after 1 attempt: {failed['error_message']}")


async def skip_if_held(context: RunContext) -> None:
    """Raise CheckSkipped while generations are paused, CheckFailed while the provider is down."""
    held = await context.query("paused", job_type="generate-image")
    if held["paused_by"]:
        raise CheckSkipped(
            f"Generations were paused by {held['paused_by']}. Resume them on the Overview page,"
            " then run the self-test again."
        )
    if held["down"]:
        raise CheckFailed(
            f"Provider down (circuit open): {sentence(held['down'])} Its jobs stay pending.",
            f"{guide(None, held['down']).todo} The Failures page shows the latest errors.",
        )


def generation_failed(status: str, error: str | None) -> CheckFailed:
    """The failure for a generation without an image, with the guide's advice on its error."""
    found = guide(None, error)
    return CheckFailed(
        f"The generation is {status}: {error or 'no error recorded'}",
        f"{found.title}. {found.todo}",
    )


async def _call_unrecorded(
    context: RunContext, function: str, body: dict[str, Any] | None = None
) -> Answer:
    since = await context.query("clock")
    try:
        return await context.call(function, body, context.target.keys.secret)
    finally:
        await context.query("forget_call", kind=function, since=since)


async def _prompt(context: RunContext) -> str:
    return str(await context.query("prompt", run=context.run))


async def _model(context: RunContext) -> str:
    model: str | None = await context.query("model")
    if model is None:
        raise CheckFailed(
            "No model is enabled.",
            "Enable one: update public.models set enabled = true"
            " where id = 'black-forest-labs/flux-schnell';",
        )
    return model


def _require_counts(answer: Answer) -> str:
    counts = (answer.body.get("processed"), answer.body.get("errors"))
    if answer.body.get("success") is not True or not all(isinstance(n, int) for n in counts):
        raise CheckFailed(f"{answer} without success, processed and errors.", REDEPLOY)
    return str(answer)


def _expect(answer: Answer, status: int, code: str) -> None:
    if (answer.status, answer.code) == (status, code):
        return
    if answer.status == 401:
        repair = CHECK_KEYS
    elif answer.status >= 500:
        repair = READ_LOG
    else:
        repair = REDEPLOY
    raise CheckFailed(f"{answer} instead of HTTP {status} {code}".rstrip() + ".", repair)
