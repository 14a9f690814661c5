"""User tokens, signed with the project's secret or one of its key pairs."""

import asyncio
import logging
import time
from collections.abc import Mapping
from uuid import UUID

import httpx
import jwt

from lib.api.errors import FunctionError

logger = logging.getLogger(__name__)

ALGORITHMS = ("ES256", "RS256", "EdDSA")
"""Algorithms of Supabase's signing keys: https://supabase.com/docs/guides/auth/signing-keys"""
JWKS_TTL_SECONDS = 600.0
"""How long fetched keys are cached; Supabase itself caches them for ten minutes."""
FETCH_INTERVAL_SECONDS = 5.0
"""Minimum time between fetches, however many tokens name an unknown key."""
FETCH_TIMEOUT_SECONDS = 5.0


class UserTokens:
    """Verify the tokens of a project's users."""

    def __init__(self, secret: str | None, jwks_url: str | None) -> None:
        """`secret` verifies HS256 tokens, the public keys at `jwks_url` all others."""
        self._secret = secret
        self._jwks_url = jwks_url
        self._keys: Mapping[str, jwt.PyJWK] = {}
        self._fetched_at = self._attempted_at = float("-inf")
        self._fetch_lock = asyncio.Lock()

    async def user(self, token: str) -> UUID:
        """The user ID of a valid token.

        Raises FunctionError: 401 if the token is invalid or expired, 503 if the public keys
        cannot be fetched.
        """
        try:
            header = jwt.get_unverified_header(token)
            claims = jwt.decode(
                token,
                await self._key(header),
                # The algorithm follows from our key; a token must not choose it.
                algorithms=["HS256"] if header.get("alg") == "HS256" else ALGORITHMS,
                audience="authenticated",
                options={"require": ["exp", "sub"]},
            )
            return UUID(claims["sub"])
        except jwt.ExpiredSignatureError:
            raise FunctionError(
                401, "token_expired", "The token has expired: sign in again."
            ) from None
        except (jwt.InvalidTokenError, ValueError):
            raise FunctionError(
                401, "bad_key", "The key or token is not valid for this project."
            ) from None

    async def _key(self, header: Mapping[str, object]) -> str | jwt.PyJWK:
        if header.get("alg") == "HS256":
            if self._secret is None:
                raise jwt.InvalidTokenError("no secret")
            return self._secret
        name = str(header.get("kid"))
        if self._jwks_url is None or header.get("alg") not in ALGORITHMS:
            raise jwt.InvalidTokenError("no key pairs")
        if not self._has_fresh_key(name):
            async with self._fetch_lock:
                if (
                    not self._has_fresh_key(name)
                    and time.monotonic() - self._attempted_at > FETCH_INTERVAL_SECONDS
                ):
                    await self._fetch(self._jwks_url)
        if name in self._keys:
            return self._keys[name]
        if self._fetched_at < self._attempted_at:
            raise FunctionError(
                503,
                "keys_unavailable",
                "The project's public keys cannot be read: try again shortly.",
                headers={"Retry-After": "5"},
            )
        raise jwt.InvalidTokenError("unknown key")

    def _has_fresh_key(self, name: str) -> bool:
        return name in self._keys and time.monotonic() - self._fetched_at < JWKS_TTL_SECONDS

    async def _fetch(self, url: str) -> None:
        """Fetch the public keys; on failure, keep the previous ones."""
        self._attempted_at = time.monotonic()
        try:
            async with httpx.AsyncClient(timeout=FETCH_TIMEOUT_SECONDS) as http:
                response = (await http.get(url)).raise_for_status().json()
            pairs = [jwt.PyJWK(key) for key in response["keys"] if key.get("alg") in ALGORITHMS]
        except (httpx.HTTPError, jwt.PyJWTError, ValueError, KeyError, TypeError) as error:
            logger.warning("The project's public keys cannot be read: %s", type(error).__name__)
            return
        self._keys = {str(pair.key_id): pair for pair in pairs}
        self._fetched_at = self._attempted_at
