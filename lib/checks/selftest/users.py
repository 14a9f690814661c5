"""The user of a run, signed in as the deployment signs people in."""

import secrets
import time
from uuid import UUID

import httpx
import jwt

from lib.checks.selftest.check import CheckFailed, CheckSkipped
from lib.checks.selftest.context import RunContext

TOKEN_SECONDS = 600
PASSWORD_SIGN_IN_DISABLED = frozenset({"email_provider_disabled", "captcha_failed"})
"""What a project answers that lets nobody sign in with a password alone:
https://supabase.com/docs/guides/auth/debugging/error-codes"""


async def sign_in(context: RunContext) -> UUID:
    """The run's user, who may start one generation an hour; `trial.token` is theirs from now on.

    Raises CheckFailed, and CheckSkipped where nobody signs in with a password.
    """
    if context.user is None:
        signed_in = _by_password if context.target.supabase_url else _by_jwt_secret
        context.user, context.token = await signed_in(context)
        await context.query("limit_user", user_id=context.user)
    return context.user


async def _by_jwt_secret(context: RunContext) -> tuple[UUID, str]:
    """A user and their token where there is no project that signs people in."""
    secret = context.target.keys.jwt_secret
    if secret is None:
        raise CheckSkipped("Neither SUPABASE_URL nor SUPABASE_JWT_SECRET is set: nobody signs in.")
    user: UUID = await context.query("make_user", run=context.run)
    claims = {"sub": str(user), "role": "authenticated", "aud": "authenticated"}
    return user, jwt.encode(claims | {"exp": int(time.time()) + TOKEN_SECONDS}, secret, "HS256")


async def _by_password(context: RunContext) -> tuple[UUID, str]:
    """A user whom the project has made and signed in, as an application would."""
    # Loaded only where they are used: Supabase's client takes half a second.
    from supabase import AuthError, acreate_client

    url = context.target.supabase_url or ""
    email, password = await context.query("email", run=context.run), secrets.token_urlsafe(24)
    try:
        project = await acreate_client(url, context.target.keys.secret)
        made = await project.auth.admin.create_user(
            {"email": email, "password": password, "email_confirm": True}
        )
        application = await acreate_client(url, context.target.keys.publishable)
        answer = await application.auth.sign_in_with_password(
            {"email": email, "password": password}
        )
    except (AuthError, httpx.HTTPError) as error:
        message = str(error) or type(error).__name__
        if getattr(error, "code", None) in PASSWORD_SIGN_IN_DISABLED:
            raise CheckSkipped(
                f"The project lets nobody sign in with an e-mail address and a password: {message}"
            ) from error
        raise CheckFailed(
            f"The project's sign-in does not answer as expected: {message}",
            "Look whether SUPABASE_URL, SUPABASE_PUBLISHABLE_KEY and SUPABASE_SECRET_KEY belong to"
            " the same project, and in its dashboard at the log of Auth.",
        ) from error
    if answer.session is None:
        raise CheckFailed(
            "The project signed the user in without a session.",
            "Look in the project's dashboard at the log of Auth.",
        )
    return UUID(made.user.id), answer.session.access_token
