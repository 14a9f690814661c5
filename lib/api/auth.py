"""Identify the caller by API key or user token, as a Supabase project's functions do."""

import secrets
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from starlette.requests import Request

from lib.api.errors import FunctionError
from lib.api.user_tokens import UserTokens
from lib.settings.keys import Keys


@dataclass(frozen=True, slots=True)
class Caller:
    """A caller's role: "anon" (publishable key), "user" (signed in) or "service" (secret key)."""

    role: Literal["anon", "user", "service"]
    user_id: UUID | None = None


async def authenticate(request: Request, keys: Keys, tokens: UserTokens) -> Caller:
    """Identify the caller by the Authorization: Bearer header, or else by apikey.

    Raises FunctionError 401 if there is no valid key or token, 503 if a token cannot be verified
    now. An invalid bearer is refused even next to a valid apikey: the caller claims an identity.
    """
    scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
    credential = bearer.strip() if scheme.lower() == "bearer" else ""
    credential = credential or request.headers.get("apikey", "")
    if not credential:
        raise FunctionError(401, "no_key", "Send a key in the apikey header or as a Bearer token.")
    if _is_one_of(credential, keys.secret, keys.legacy_secret):
        return Caller("service")
    if _is_one_of(credential, keys.publishable, keys.legacy_publishable):
        return Caller("anon")
    return Caller("user", await tokens.user(credential))


def require_service(caller: Caller) -> None:
    """Raise FunctionError 403 unless the caller holds the secret key."""
    if caller.role != "service":
        raise FunctionError(403, "secret_key_needed", "This function needs the secret key.")


def _is_one_of(given: str, *keys: str | None) -> bool:
    return any(key and secrets.compare_digest(given.encode(), key.encode()) for key in keys)
