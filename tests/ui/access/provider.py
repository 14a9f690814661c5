"""An OpenID Connect provider on this computer, which signs in whoever it is told to."""

import base64
import json
import secrets
import threading
import time
from typing import Any
from urllib.parse import urlencode

import jwt
import uvicorn
from cryptography.hazmat.primitives.asymmetric import rsa
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

CLIENT = "darkroom"


class Provider:
    """Runs in a thread of this process. `claims` are those of who signs in next."""

    def __init__(self) -> None:
        self.claims: dict[str, Any] = {}
        self.client_secret = secrets.token_urlsafe(24)
        self.cookie_secret = secrets.token_urlsafe(32)
        self._codes: dict[str, dict[str, Any]] = {}
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        app = Starlette(
            routes=[
                Route("/.well-known/openid-configuration", self._metadata),
                Route("/authorize", self._authorize),
                Route("/token", self._token, methods=["POST"]),
                Route("/keys", self._keys),
            ]
        )
        self._server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error"))
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)
        port = self._server.servers[0].sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join()

    @property
    def auth(self) -> str:
        """The table [auth] of a secrets.toml; the app fills in its own port."""
        return (
            f'[auth]\nredirect_uri = "http://127.0.0.1:{{port}}/oauth2callback"\n'
            f'cookie_secret = "{self.cookie_secret}"\n'
            f'client_id = "{CLIENT}"\nclient_secret = "{self.client_secret}"\n'
            f'server_metadata_url = "{self.url}/.well-known/openid-configuration"\n'
        )

    async def _metadata(self, request: Request) -> Response:
        return JSONResponse(
            {
                "issuer": self.url,
                "authorization_endpoint": f"{self.url}/authorize",
                "token_endpoint": f"{self.url}/token",
                "jwks_uri": f"{self.url}/keys",
                "response_types_supported": ["code"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"],
            }
        )

    async def _authorize(self, request: Request) -> Response:
        asked = request.query_params
        code = secrets.token_urlsafe(16)
        self._codes[code] = self.claims | {"nonce": asked["nonce"]}
        answer = urlencode({"code": code, "state": asked["state"]})
        return RedirectResponse(f"{asked['redirect_uri']}?{answer}")

    async def _token(self, request: Request) -> Response:
        async with request.form() as form:
            claims = self._codes.pop(str(form["code"]))
        now = int(time.time())
        token = {"iss": self.url, "aud": CLIENT, "iat": now, "exp": now + 3600} | claims
        id_token = jwt.encode(token, self._key, "RS256", headers={"kid": "one"})
        return JSONResponse(
            {"access_token": "unused", "token_type": "Bearer", "id_token": id_token}
        )

    async def _keys(self, request: Request) -> Response:
        public = self._key.public_key().public_numbers()
        parts = {"n": public.n, "e": public.e}
        key = {
            name: base64.urlsafe_b64encode(n.to_bytes((n.bit_length() + 7) // 8, "big"))
            .rstrip(b"=")
            .decode()
            for name, n in parts.items()
        }
        return Response(
            json.dumps(
                {"keys": [key | {"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "one"}]}
            ),
            media_type="application/json",
        )
