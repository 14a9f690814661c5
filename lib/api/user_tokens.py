"""Users' tokens: signed with the project's secret, or with one of its key pairs."""

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
"""What Supabase's key pairs sign with: https://supabase.com/docs/guides/auth/signing-keys"""
FRESH_SECONDS = 600.0
"""How long fetched keys count: Supabase itself keeps them for ten minutes."""
PAUSE_SECONDS = 5.0
"""Between fetches, however many tokens name a key that nobody knows."""
FETCH_SECONDS = 5.0


class UserTokens:
    """Verifies the tokens of a project's users."""

    def __init__(self, secret: str | None, jwks_url: str | None) -> None:
        """`secret` signs HS256; at `jwks_url` are the public keys of the other signatures."""
        self._secret = secret
        self._jwks_url = jwks_url
        self._keys: Mapping[str, jwt.PyJWK] = {}
        self._fetched_at = self._tried_at = float("-inf")
        self._fetching = asyncio.Lock()

    async def user(self, token: str) -> UUID:
        """The user of a valid token.

        Raises FunctionError: 401 for a token that is not valid now, 503 when the keys that would
        tell cannot be had.
        """
        try:
            header = jwt.get_unverified_header(token)
            claims = jwt.decode(
                token,
                await self._key(header),
                # The algorithm is that of our key, never the token's choice.
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
        if not self._knows(name):
            async with self._fetching:
                if not self._knows(name) and time.monotonic() - self._tried_at > PAUSE_SECONDS:
                    await self._fetch(self._jwks_url)
        if name in self._keys:
            return self._keys[name]
        if self._fetched_at < self._tried_at:
            raise FunctionError(
                503,
                "keys_unavailable",
                "The project's public keys cannot be read: try again shortly.",
                headers={"Retry-After": "5"},
            )
        raise jwt.InvalidTokenError("unknown key")

    def _knows(self, name: str) -> bool:
        return name in self._keys and time.monotonic() - self._fetched_at < FRESH_SECONDS

    async def _fetch(self, url: str) -> None:
        """Reads the public keys; those of before stay where that fails."""
        self._tried_at = time.monotonic()
        try:
            async with httpx.AsyncClient(timeout=FETCH_SECONDS) as http:
                answer = (await http.get(url)).raise_for_status().json()
            pairs = [jwt.PyJWK(key) for key in answer["keys"] if key.get("alg") in ALGORITHMS]
        except (httpx.HTTPError, jwt.PyJWTError, ValueError, KeyError, TypeError) as error:
            logger.warning("The project's public keys cannot be read: %s", type(error).__name__)
            return
        self._keys = {str(pair.key_id): pair for pair in pairs}
        self._fetched_at = self._tried_at
