"""Checks that signed-in users own what they start and are rate-limited."""

from lib.checks.check import Finding
from lib.checks.selftest.context import RunContext
from lib.checks.selftest.functions import REDEPLOY, Started, request_generation
from lib.checks.selftest.queue import restore_functions
from lib.checks.selftest.result import CheckFailed
from lib.checks.selftest.users import sign_in

ADD_LIMIT_CHECK = (
    "Change start-generation to check public.get_user_limits before it starts a generation."
)
"""Repair for third-party functions that enforce no limits."""


async def own_generation(context: RunContext) -> Finding:
    """A generation started with a user's token belongs to that user."""
    user = await sign_in(context)
    if context.is_darkroom or context.generation_id is None:
        made = await request_generation(
            context, key=context.target.keys.publishable, token=context.token
        )
    else:
        made = Started(context.generation_id, None)
    owners = await context.query("owners", generation_id=made.generation_id, job_id=made.job_id)
    if owners != {"user_id": user, "created_by": user if made.job_id else None}:
        raise CheckFailed(
            f"The generation and job that user {user} started do not belong to them: {owners}.",
            restore_functions("start_generation", "begin_generation"),
        )
    return Finding("ok", f"HTTP 200 for a user's token; generation and job belong to {user}.")


async def over_limit_refused(context: RunContext) -> Finding:
    """A user limited to one generation per hour is refused the second one."""
    body = {
        "prompt": await context.query("prompt", run=context.run),
        "model_id": await context.query("model"),
    }
    answer = await context.call(
        "start-generation", body, context.target.keys.publishable, token=context.token
    )
    wait = answer.headers.get("Retry-After", "")
    if answer.status == 200:
        raise CheckFailed(
            "The second generation of the hour was started too.",
            restore_functions("get_user_limits", "start_generation")
            if context.is_darkroom
            else ADD_LIMIT_CHECK,
        )
    if answer.status != 429 or (context.is_darkroom and not wait.isdecimal()):
        raise CheckFailed(
            f"{answer} with Retry-After {wait!r} instead of HTTP 429 and a number of seconds.",
            REDEPLOY,
        )
    return Finding("ok", f"{answer} Retry-After: {wait or 'none'}.")
