"""Who calls: keys and user tokens, as a Supabase project's functions accept them."""

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
    """Role of a caller: "anon" (publishable key), "user" (signed-in) or "service" (secret key)."""

    role: Literal["anon", "user", "service"]
    user_id: UUID | None = None


async def authenticate(request: Request, keys: Keys, tokens: UserTokens) -> Caller:
    """The caller of a request, from Authorization: Bearer or else from apikey.

    Raises FunctionError 401 when neither holds a valid key or token, 503 when it cannot be said.
    A bad bearer is refused even beside a good apikey: the caller meant to be somebody.
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
    """Raises FunctionError 403 unless the caller holds the secret key."""
    if caller.role != "service":
        raise FunctionError(403, "secret_key_needed", "This function needs the secret key.")


def _is_one_of(given: str, *keys: str | None) -> bool:
    return any(key and secrets.compare_digest(given.encode(), key.encode()) for key in keys)
