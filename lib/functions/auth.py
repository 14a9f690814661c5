"""Who calls: keys and user tokens, as a Supabase project's functions accept them."""

import secrets
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

import jwt
from starlette.requests import Request

from lib.functions.errors import FunctionError
from lib.keys import Keys


@dataclass(frozen=True, slots=True)
class Caller:
    """Role of a caller: "anon" (publishable key), "user" (signed-in) or "service" (secret key)."""

    role: Literal["anon", "user", "service"]
    user_id: UUID | None = None


def authenticate(request: Request, keys: Keys) -> Caller:
    """The caller of a request, from Authorization: Bearer or else from apikey.

    Raises FunctionError 401 when neither holds a valid key or token. A bad bearer is refused
    even beside a good apikey: the caller meant to be somebody.
    """
    scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
    credential = bearer.strip() if scheme.lower() == "bearer" else ""
    credential = credential or request.headers.get("apikey", "")
    if not credential:
        raise FunctionError(401, "no_key", "Send a key in the apikey header or as a Bearer token.")
    if _same(credential, keys.secret):
        return Caller("service")
    if _same(credential, keys.publishable):
        return Caller("anon")
    return _user(credential, keys.jwt_secret)


def require_service(caller: Caller) -> None:
    """Raises FunctionError 403 unless the caller holds the secret key."""
    if caller.role != "service":
        raise FunctionError(403, "secret_key_needed", "This function needs the secret key.")


def _same(given: str, key: str) -> bool:
    return secrets.compare_digest(given.encode(), key.encode())


def _user(token: str, jwt_secret: str) -> Caller:
    try:
        # The algorithm is ours to choose, never the token's.
        claims = jwt.decode(
            token,
            jwt_secret,
            algorithms=["HS256"],
            audience="authenticated",
            options={"require": ["exp", "sub"]},
        )
        return Caller("user", UUID(claims["sub"]))
    except jwt.ExpiredSignatureError:
        raise FunctionError(401, "token_expired", "The token has expired: sign in again.") from None
    except (jwt.InvalidTokenError, ValueError):
        raise FunctionError(
            401, "bad_key", "The key or token is not valid for this project."
        ) from None
