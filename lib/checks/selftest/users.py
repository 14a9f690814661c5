"""The user of a self-test run, signed in the way the deployment signs users in."""

import secrets
import time
from uuid import UUID

import httpx
import jwt

from lib.checks.selftest.context import RunContext
from lib.checks.selftest.result import CheckFailed, CheckSkipped

TOKEN_SECONDS = 600
PASSWORD_SIGN_IN_DISABLED = frozenset({"email_provider_disabled", "captcha_failed"})
"""Error codes of projects that do not allow signing in with just a password:
https://supabase.com/docs/guides/auth/debugging/error-codes"""


async def sign_in(context: RunContext) -> UUID:
    """Sign in the run's user, limited to one generation per hour, and set `context.token`.

    Raises CheckFailed, and CheckSkipped if the deployment has no password sign-in.
    """
    if context.user is None:
        signed_in = _by_password if context.target.supabase_url else _by_jwt_secret
        context.user, context.token = await signed_in(context)
        await context.query("limit_user", user_id=context.user)
    return context.user


async def _by_jwt_secret(context: RunContext) -> tuple[UUID, str]:
    """Create a user and sign a token for them; for deployments without a Supabase project."""
    secret = context.target.keys.jwt_secret
    if secret is None:
        raise CheckSkipped(
            "Neither SUPABASE_URL nor SUPABASE_JWT_SECRET is set, so users cannot sign in."
        )
    user: UUID = await context.query("make_user", run=context.run)
    claims = {"sub": str(user), "role": "authenticated", "aud": "authenticated"}
    return user, jwt.encode(claims | {"exp": int(time.time()) + TOKEN_SECONDS}, secret, "HS256")


async def _by_password(context: RunContext) -> tuple[UUID, str]:
    """Create a user in the Supabase project and sign in like an application."""
    # Imported lazily: loading Supabase's client takes half a second.
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
                f"The project does not allow sign-in with e-mail address and password: {message}"
            ) from error
        raise CheckFailed(
            f"Unexpected response from the project's sign-in: {message}",
            "Check that SUPABASE_URL, SUPABASE_PUBLISHABLE_KEY and SUPABASE_SECRET_KEY belong"
            " to the same project, and check the Auth log in its dashboard.",
        ) from error
    if answer.session is None:
        raise CheckFailed(
            "Sign-in succeeded but returned no session.",
            "Check the Auth log in the project's dashboard.",
        )
    return UUID(made.user.id), answer.session.access_token
