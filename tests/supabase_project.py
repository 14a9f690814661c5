"""Stands in for a Supabase project: Auth, and PostgREST and Realtime for image_generations.

It speaks their protocols as far as supabase-py and supabase-js do, over the test's database, with
that database's row-level security, and signs users' tokens with a key pair, as new projects do, or
with a secret.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from psycopg import errors, sql
from realtime_channel import Channel, received
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from lib.database import connect, notifications
from lib.database.pool import Connection

PUBLISHABLE, SECRET = "sb_publishable_test", "sb_secret_test"
JWT_SECRET = "a-secret-of-at-least-thirty-two-bytes"
KEY = "of-this-project"
"""The name of its key pair."""
SINGLE = "application/vnd.pgrst.object+json"
"""What a client accepts that asks PostgREST for exactly one row."""


class Project:
    """The project, and what the test does to it."""

    def __init__(
        self,
        database: str,
        publishable: str = PUBLISHABLE,
        secret: str = SECRET,
        jwt_secret: str | None = JWT_SECRET,
    ) -> None:
        """Without `jwt_secret` tokens are signed with a key pair."""
        self._keys = {publishable: "anon", secret: "service_role"}
        self._jwt_secret = jwt_secret
        self._pair = ec.generate_private_key(ec.SECP256R1())
        self._passwords: dict[str, tuple[str, str]] = {}
        """By e-mail address: password and user."""
        self.sign_in_answer: Response | None = None
        """What a sign-in is answered instead of a session."""
        self.routes = [
            Route("/auth/v1/admin/users", self._make_user, methods=["POST"]),
            Route("/auth/v1/token", self._sign_in, methods=["POST"]),
            Route("/auth/v1/.well-known/jwks.json", self._public_keys),
            Route("/rest/v1/image_generations", self._rest),
            WebSocketRoute("/realtime/v1/websocket", self._realtime),
        ]
        self.app = Starlette(routes=self.routes, lifespan=self.lifespan)
        self.realtime_serves = True
        """False refuses websockets."""
        self.realtime_tells = True
        """False loses every event."""
        self.rest_answer: Response | None = None
        """What PostgREST answers instead of the row."""
        self.reads = 0
        self.joins = 0
        self.channels: dict[WebSocket, Channel] = {}
        self._database = database

    def token(self, user_id: Any, *, seconds: float = 60) -> str:
        """A user's token that expires."""
        claims = {"sub": str(user_id), "role": "authenticated", "aud": "authenticated"}
        claims |= {"exp": time.time() + seconds}
        if self._jwt_secret:
            return jwt.encode(claims, self._jwt_secret, "HS256")
        return jwt.encode(claims, self._pair, "ES256", headers={"kid": KEY})

    def hang_up(self, code: int = 1011) -> None:
        """Closes every websocket."""
        for websocket in list(self.channels):
            self._from_test(websocket.close(code))

    def expire(self) -> None:
        """Ends every channel as Realtime does when its token has expired."""
        for channel in list(self.channels.values()):
            said = {
                "channel": channel.topic.removeprefix("realtime:"),
                "extension": "system",
                "message": "Token has expired",
                "status": "error",
            }
            self._from_test(channel.send("system", said))
            self._from_test(channel.send("phx_close", {}))

    def _from_test(self, coroutine: Any) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    @asynccontextmanager
    async def lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        """Tells changes as long as it lasts."""
        self._loop = asyncio.get_running_loop()
        telling = asyncio.create_task(self._tell())
        yield
        telling.cancel()

    def _rest(self, request: Request) -> Response:
        self.reads += 1
        if self.rest_answer is not None:
            return self.rest_answer
        if request.headers.get("apikey") not in self._keys:
            return JSONResponse({"message": "Invalid API key"}, 401)
        bearer = request.headers["authorization"].removeprefix("Bearer ")
        # Qualified, as PostgREST does it: a function of the row is a column too.
        columns = sql.SQL(",").join(
            sql.Identifier("image_generations", name)
            for name in request.query_params["select"].split(",")
        )
        id = request.query_params["id"].removeprefix("eq.")
        query = sql.SQL(
            "select coalesce(json_agg(g), '[]')::text as rows from ("
            " select {} from public.image_generations where id = %s) g"
        )
        try:
            with self._as(bearer) as db:
                row = db.execute(query.format(columns), [id]).fetchone()
        except jwt.ExpiredSignatureError:
            return JSONResponse({"code": "PGRST301", "message": "JWT expired"}, 401)
        except errors.InsufficientPrivilege as error:
            signed_in = bearer not in self._keys
            said = {"code": "42501", "message": error.diag.message_primary}
            return JSONResponse(said, 403 if signed_in else 401)
        if request.headers.get("accept") == SINGLE:
            return _single(json.loads(row["rows"]))
        return Response(row["rows"], media_type="application/json")

    async def _realtime(self, websocket: WebSocket) -> None:
        known = websocket.query_params.get("apikey") in self._keys
        if not (self.realtime_serves and known):
            return await websocket.close()
        await websocket.accept()
        try:
            async for text in websocket.iter_text():
                channel, ref, event, payload = received(websocket, text)
                if event == "phx_join":
                    await self._join(channel, ref, payload)
                elif event == "access_token" and websocket in self.channels:
                    self.channels[websocket].bearer = payload["access_token"]
                elif event in ("heartbeat", "phx_leave"):
                    if event == "phx_leave":
                        self.channels.pop(websocket, None)
                    await channel.send("phx_reply", {"status": "ok", "response": {}}, ref)
        except WebSocketDisconnect:
            pass
        finally:
            self.channels.pop(websocket, None)

    async def _join(self, channel: Channel, ref: str, wanted: dict[str, Any]) -> None:
        key = channel.websocket.query_params["apikey"]
        channel.bearer = wanted.get("access_token") or key
        try:
            self._who(channel.bearer)
        except jwt.ExpiredSignatureError:
            refusal = {"status": "error", "response": {"reason": "InvalidJWTToken: expired"}}
            return await channel.send("phx_reply", refusal, ref)
        (channel.binding,) = wanted["config"]["postgres_changes"]
        accepted = {"postgres_changes": [channel.binding | {"id": 77}]}
        await channel.send("phx_reply", {"status": "ok", "response": accepted}, ref)
        said = {
            "channel": channel.topic.removeprefix("realtime:"),
            "extension": "postgres_changes",
            "message": "Subscribed to PostgreSQL",
            "status": "ok",
        }
        self.channels[channel.websocket] = channel
        self.joins += 1
        await channel.send("system", said)

    def _who(self, bearer: str) -> tuple[str, dict[str, Any]]:
        """Role and claims of a bearer, as PostgREST finds them."""
        if role := self._keys.get(bearer):
            return role, {"role": role}
        key, algorithm = (
            (self._jwt_secret, "HS256") if self._jwt_secret else (self._pair.public_key(), "ES256")
        )
        claims = jwt.decode(bearer, key, algorithms=[algorithm], audience="authenticated")
        return "authenticated", claims

    async def _make_user(self, request: Request) -> Response:
        if self._keys.get(request.headers.get("apikey", "")) != "service_role":
            return auth_refusal(403, "not_admin", "User not allowed")
        asked = await request.json()
        with connect(self._database) as db:
            query = "insert into auth.users values (gen_random_uuid(), %s, now()) returning id"
            row = db.execute(query, [asked["email"]]).fetchone()
        self._passwords[asked["email"]] = (asked["password"], str(row["id"]))
        return JSONResponse(_user(str(row["id"]), asked["email"]))

    async def _sign_in(self, request: Request) -> Response:
        if self.sign_in_answer is not None:
            return self.sign_in_answer
        asked = await request.json()
        password, user_id = self._passwords.get(asked["email"], (None, ""))
        if request.query_params["grant_type"] != "password" or password != asked["password"]:
            return auth_refusal(400, "invalid_credentials", "Invalid login credentials")
        return JSONResponse(
            {
                "access_token": self.token(user_id, seconds=3600),
                "token_type": "bearer",
                "expires_in": 3600,
                "refresh_token": "refresh",
                "user": _user(user_id, asked["email"]),
            }
        )

    def _public_keys(self, _request: Request) -> Response:
        if self._jwt_secret:
            return JSONResponse({"keys": []})
        key = jwt.get_algorithm_by_name("ES256").to_jwk(self._pair.public_key(), as_dict=True)
        return JSONResponse({"keys": [key | {"kid": KEY, "alg": "ES256", "use": "sig"}]})

    async def _tell(self) -> None:
        async for id in notifications(self._database, "image_generations"):
            for channel in list(self.channels.values()):
                if (
                    self.realtime_tells
                    and channel.binding["filter"] == f"id=eq.{id}"
                    and await asyncio.to_thread(self._sees, channel.bearer, id)
                ):
                    await channel.send("postgres_changes", _change(id))

    def _sees(self, bearer: str, id: str) -> bool:
        """Whether row-level security shows a generation to the bearer, as Realtime asks it."""
        try:
            with self._as(bearer) as db:
                seen = db.execute("select from public.image_generations where id = %s", [id])
                return seen.fetchone() is not None
        except (errors.InsufficientPrivilege, jwt.ExpiredSignatureError):
            return False

    @contextmanager
    def _as(self, bearer: str) -> Iterator[Connection]:
        """A transaction with the role and claims of a bearer. Raises ExpiredSignatureError."""
        role, claims = self._who(bearer)
        with connect(self._database) as db, db.transaction():
            db.execute(sql.SQL("set local role {}").format(sql.Identifier(role)))
            db.execute("select set_config('request.jwt.claims', %s, true)", [json.dumps(claims)])
            yield db


def _single(rows: list[Any]) -> Response:
    """PostgREST's answer to a client that asks for exactly one row."""
    if len(rows) == 1:
        return JSONResponse(rows[0], media_type=SINGLE)
    said = {
        "code": "PGRST116",
        "details": f"The result contains {len(rows)} rows",
        "hint": None,
        "message": "Cannot coerce the result to a single JSON object",
    }
    return JSONResponse(said, 406)


def auth_refusal(status: int, code: str, message: str) -> Response:
    """What Auth answers to a request that it refuses."""
    said = {"code": code, "message": message}
    return JSONResponse(said, status, headers={"X-Supabase-Api-Version": "2024-01-01"})


def _user(user_id: str, email: str) -> dict[str, Any]:
    return {
        "id": user_id,
        "aud": "authenticated",
        "role": "authenticated",
        "email": email,
        "app_metadata": {"provider": "email"},
        "user_metadata": {},
        "created_at": "2026-11-24T12:00:00Z",
    }


def _change(id: str) -> dict[str, Any]:
    data = {
        "schema": "public",
        "table": "image_generations",
        "commit_timestamp": "2026-11-24T12:00:00Z",
        "type": "UPDATE",
        "columns": [{"name": "id", "type": "uuid"}],
        "record": {"id": id},
        "old_record": {"id": id},
        "errors": None,
    }
    return {"data": data, "ids": [77]}


PAGE = HTMLResponse("<h1>Welcome</h1>")
