"""The user of a run, signed in as the deployment signs people in."""

import secrets
import time
from uuid import UUID

import httpx
import jwt

from lib.checks.selftest.check import CheckFailed, CheckSkipped
from lib.checks.selftest.trial import Trial

TOKEN_SECONDS = 600
NO_PASSWORDS = frozenset({"email_provider_disabled", "captcha_failed"})
"""What a project answers that lets nobody sign in with a password alone:
https://supabase.com/docs/guides/auth/debugging/error-codes"""


async def sign_in(trial: Trial) -> UUID:
    """The run's user, who may start one generation an hour; `trial.token` is theirs from now on.

    Raises CheckFailed, and CheckSkipped where nobody signs in with a password.
    """
    if trial.user is None:
        signed_in = _by_password if trial.target.supabase_url else _by_own_secret
        trial.user, trial.token = await signed_in(trial)
        await trial.ask("limit_user", user_id=trial.user)
    return trial.user


async def _by_own_secret(trial: Trial) -> tuple[UUID, str]:
    """A user and their token where there is no project that signs people in."""
    secret = trial.target.keys.jwt_secret
    if secret is None:
        raise CheckSkipped("Neither SUPABASE_URL nor SUPABASE_JWT_SECRET is set: nobody signs in.")
    user: UUID = await trial.ask("make_user", run=trial.run)
    claims = {"sub": str(user), "role": "authenticated", "aud": "authenticated"}
    return user, jwt.encode(claims | {"exp": int(time.time()) + TOKEN_SECONDS}, secret, "HS256")


async def _by_password(trial: Trial) -> tuple[UUID, str]:
    """A user whom the project has made and signed in, as an application would."""
    # Loaded only where they are used: Supabase's client takes half a second.
    from supabase import AuthError, acreate_client

    url = trial.target.supabase_url or ""
    email, password = await trial.ask("email", run=trial.run), secrets.token_urlsafe(24)
    try:
        project = await acreate_client(url, trial.target.keys.secret)
        made = await project.auth.admin.create_user(
            {"email": email, "password": password, "email_confirm": True}
        )
        application = await acreate_client(url, trial.target.keys.publishable)
        answer = await application.auth.sign_in_with_password(
            {"email": email, "password": password}
        )
    except (AuthError, httpx.HTTPError) as error:
        said = str(error) or type(error).__name__
        if getattr(error, "code", None) in NO_PASSWORDS:
            raise CheckSkipped(
                f"The project lets nobody sign in with an e-mail address and a password: {said}"
            ) from error
        raise CheckFailed(
            f"The project's sign-in does not answer as expected: {said}",
            "Look whether SUPABASE_URL, SUPABASE_PUBLISHABLE_KEY and SUPABASE_SECRET_KEY belong to"
            " the same project, and in its dashboard at the log of Auth.",
        ) from error
    if answer.session is None:
        raise CheckFailed(
            "The project signed the user in without a session.",
            "Look in the project's dashboard at the log of Auth.",
        )
    return UUID(made.user.id), answer.session.access_token
