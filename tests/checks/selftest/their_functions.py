"""A project's own functions, as others made them before Darkroom: another code, the same queue."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import jwt
from psycopg.types.json import Jsonb
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from supabase_project import Project

from lib.database import connect
from lib.settings.keys import Keys

PNG = b"\x89PNG\r\n\x1a\n"
LOOK_SECONDS = 0.1


class TheirFunctions:
    """Start, process and a schedule that wakes them; `limits` says whether they ask for limits."""

    def __init__(self, database: str, keys: Keys, project: Project, url: str) -> None:
        self._database, self._keys, self._url = database, keys, url
        self.limits = True
        functions = "/functions/v1"
        self.app = Starlette(
            routes=[
                Route(f"{functions}/start-generation", self._start, methods=["POST"]),
                Route(f"{functions}/process-jobs", self._process, methods=["POST"]),
                Route("/their-image", self._image),
                *project.routes,
            ],
            lifespan=self._lifespan,
        )
        self._project = project

    @asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[None]:
        async with self._project.lifespan(app):
            waking = asyncio.create_task(self._wake())
            yield
            waking.cancel()
            with suppress(asyncio.CancelledError):
                await waking

    async def _wake(self) -> None:
        while True:
            await asyncio.to_thread(self._work)
            await asyncio.sleep(LOOK_SECONDS)

    async def _start(self, request: Request) -> Response:
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not bearer:
            return JSONResponse({"code": 401, "message": "Missing authorization header"}, 401)
        claims = jwt.decode(
            bearer, self._keys.jwt_secret or "", algorithms=["HS256"], audience="authenticated"
        )
        asked = await request.json()
        return await asyncio.to_thread(self._enqueue, claims["sub"], asked)

    def _enqueue(self, user: str, asked: dict[str, Any]) -> Response:
        with connect(self._database) as db:
            limits = "select public.get_user_limits(%s)->>'can_generate' as may"
            if self.limits and db.execute(limits, [user]).fetchone()["may"] != "true":
                return JSONResponse({"error": "Rate limit exceeded"}, 429)
            insert = (
                "insert into public.image_generations (user_id, prompt, model_id)"
                " values (%s, %s, %s) returning id::text"
            )
            made = db.execute(insert, [user, asked["prompt"], asked["model_id"]]).fetchone()
            enqueue = (
                "select public.enqueue_job('generate-image', %s, p_created_by => %s)::text as id"
            )
            payload = {"generation_id": made["id"], "prompt": asked["prompt"]}
            job = db.execute(enqueue, [Jsonb(payload), user]).fetchone()
        return JSONResponse({"success": True, "generationId": made["id"], "jobId": job["id"]})

    async def _process(self, request: Request) -> Response:
        bearer = request.headers.get("authorization", request.headers.get("apikey", ""))
        if bearer.removeprefix("Bearer ") != self._keys.secret:
            return JSONResponse({"error": "Unauthorized"}, 401)
        return JSONResponse({"success": True, "processed": await asyncio.to_thread(self._work)})

    def _work(self) -> int:
        with connect(self._database) as db, db.transaction():
            claimed = db.execute(
                "select id, payload->>'generation_id' as generation_id"
                " from public.claim_next_job(array['generate-image'])"
            ).fetchall()
            for job in claimed:
                db.execute(
                    "update public.image_generations set status = 'completed', image_url = %s,"
                    " completed_at = now() where id = %s",
                    [f"{self._url}/their-image", job["generation_id"]],
                )
                db.execute("select public.complete_job(p_job_id => %s)", [job["id"]])
        return len(claimed)

    async def _image(self, _request: Request) -> Response:
        return Response(PNG, media_type="image/png")
