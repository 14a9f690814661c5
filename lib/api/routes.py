"""start-generation, uploads, process-generation and process-jobs over HTTP."""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any
from uuid import UUID

from starlette.convertors import PathConvertor, register_url_convertor
from starlette.endpoints import HTTPEndpoint
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route, Router

from lib.api.auth import Caller, authenticate, require_service
from lib.api.body_limit import BodyLimit
from lib.api.errors import FunctionError, from_query_error, invalid_fields
from lib.api.requests import ProcessGeneration, StartGeneration, parse_body
from lib.api.uploads import FRAMING_BYTES, Uploads
from lib.api.user_tokens import UserTokens
from lib.database import DatabaseError, DatabaseUnavailable, QueryError, SchemaMissing
from lib.generation.uploads import MAX_UPLOAD_BYTES, data_uri_problems
from lib.queue.worker_calls import Queue
from lib.settings.keys import Keys
from lib.worker.batches import Batches
from lib.worker.worker import Worker

logger = logging.getLogger(__name__)

ROOT = "/functions/v1"
IDEMPOTENCY_KEY_LENGTH = 255
# Browsers call from the application's own origin. Every origin is allowed: access depends on the
# key, which a browser never adds by itself.
CORS = Middleware(
    CORSMiddleware,
    allow_origins=["*"],
    allow_methods=["GET", "POST"],
    # Clients add headers of their own, such as x-region or traceparent.
    allow_headers=["*"],
    expose_headers=["Retry-After"],
)
# pg_net sends nothing else while it waits for an answer, by default for 5 s.
ANSWER_SECONDS = 4.0
# A few data URIs; far below a harmful size.
BODY_LIMIT = Middleware(BodyLimit, max_bytes=2**20, seconds=20)
UPLOAD_LIMIT = Middleware(BodyLimit, max_bytes=MAX_UPLOAD_BYTES + FRAMING_BYTES, seconds=120)


@dataclass(frozen=True, slots=True)
class Functions:
    """Dependencies of the functions.

    `worker` creates a worker of the given kind for one call; `anonymous_starts` says whether the
    publishable key alone may start generations.
    """

    queue: Queue
    keys: Keys
    tokens: UserTokens
    worker: Callable[[str], Worker]
    anonymous_starts: bool
    uploads: Uploads
    batches: Batches = field(default_factory=Batches)


Function = Callable[[Request, Functions, Caller], Awaitable[Response]]


async def start_generation(request: Request, functions: Functions, caller: Caller) -> Response:
    """Queue a generation within the caller's limits."""
    _require_start(functions, caller)
    params = await parse_body(request, StartGeneration)
    if problems := await data_uri_problems(params.parameters()):
        words = "; ".join(f"{each['field']}: {each['problem']}" for each in problems)
        raise invalid_fields(words, problems)
    key = request.headers.get("idempotency-key")
    _check_allowed(params, caller, key)
    if key is not None and caller.role == "anon":
        key = _key_of_stranger(request, await request.body(), key)
    if run := params.test_run:
        started = await functions.queue.start_test_generations(
            run_id=run.id,
            jobs=run.jobs,
            per_second=run.per_second,
            prompt=params.prompt or "",
            model_id=params.model_id,
            parameters=params.parameters(),
            idempotency_key=key,
            application=params.application,
            metadata=params.metadata,
        )
    else:
        started = await functions.queue.start_generation(
            user_id=caller.user_id or params.user_id,
            prompt=params.prompt or "",
            model_id=params.model_id,
            parameters=params.parameters(),
            source="test" if params.test else "app",
            idempotency_key=key,
            application=params.application,
            metadata=params.metadata,
        )
    return JSONResponse(
        {
            "success": True,
            "generation_id": str(started.generation_id),
            "job_id": str(started.job_id),
            "status": "queued",
            "notices": started.notices,
            "size": started.size,
            "application": started.application,
            "metadata": started.metadata,
        }
    )


def _require_start(functions: Functions, caller: Caller) -> None:
    """Raise FunctionError 401 unless the caller may start generations."""
    if caller.role == "anon" and not functions.anonymous_starts:
        raise FunctionError(
            401,
            "sign_in_needed",
            "The publishable key alone cannot start generations here: also send a user's token, or"
            " set DARKROOM_ANONYMOUS_STARTS=1.",
        )


def _check_allowed(params: StartGeneration, caller: Caller, key: str | None) -> None:
    """Raise FunctionError for fields that are not allowed for this caller or in combination."""
    if caller.role != "service" and (params.user_id or params.test or params.test_run):
        raise FunctionError(
            403, "secret_key_needed", "Only the secret key may set user_id, test or test_run."
        )
    if params.test_run and (params.user_id or not params.test):
        raise FunctionError(
            422,
            "invalid_field",
            "test_run: only a test without user_id can belong to a test run.",
            field="test_run",
        )
    if key is not None and not 1 <= len(key) <= IDEMPOTENCY_KEY_LENGTH:
        raise FunctionError(
            422,
            "invalid_field",
            f"Idempotency-Key: send 1 to {IDEMPOTENCY_KEY_LENGTH} characters.",
            field="Idempotency-Key",
        )


def _key_of_stranger(request: Request, body: bytes, key: str) -> str:
    """An Idempotency-Key that only the same request from the same address repeats.

    Callers who have not signed in share one scope: nobody may get another's answer, or be refused
    for another's key.
    """
    peer = request.client.host if request.client else ""
    request_of_caller = b"\0".join([peer.encode(), key.encode(), body])
    return f"anonymous:{sha256(request_of_caller).hexdigest()}"


async def upload_image(request: Request, functions: Functions, caller: Caller) -> Response:
    """Store an input image of the caller, or of the user that the secret key names."""
    _require_start(functions, caller)
    user_id, named = caller.user_id, request.query_params.get("user_id")
    if named is not None:
        require_service(caller)
        try:
            user_id = UUID(named)
        except ValueError:
            raise FunctionError(422, "unknown_user", "No such user.", field="user_id") from None
    return await functions.uploads.store(request, user_id)


async def show_upload(request: Request, functions: Functions, caller: Caller) -> Response:
    """An upload of the caller, or with the secret key of anybody."""
    return await functions.uploads.show(request, caller)


async def process_generation(request: Request, functions: Functions, caller: Caller) -> Response:
    """Run one attempt of a generation's pending job, and answer with its images."""
    require_service(caller)
    params = await parse_body(request, ProcessGeneration)
    worker = functions.worker("process-generation")
    if not await worker.run_generation(params.generation_id):
        raise FunctionError(
            404, "no_waiting_job", f"Generation {params.generation_id} has no pending job."
        )
    images = await functions.queue.images(params.generation_id)
    return JSONResponse(_summary(worker) | {"images": images})


async def process_jobs(request: Request, functions: Functions, caller: Caller) -> Response:
    """Claim and run due jobs, up to the concurrency limit less what earlier calls still run.

    Answers after ANSWER_SECONDS; jobs that are still running then continue. The answer's `running`
    counts those of all calls to this process.
    """
    require_service(caller)
    worker = functions.worker("process-jobs")
    await functions.batches.run(worker, ANSWER_SECONDS)
    summary, running = _summary(worker), functions.batches.running
    if running:
        summary["message"] += f", {running} still running"
    return JSONResponse(summary | {"running": running})


def _summary(worker: Worker) -> dict[str, Any]:
    return {
        "success": True,
        "processed": worker.processed,
        "errors": worker.errors,
        "message": f"Jobs processed: {worker.processed}, errors: {worker.errors}",
    }


def routes(functions: Callable[[], Functions | None]) -> list[BaseRoute]:
    """The routes under /functions/v1; `functions` returns None until the app has started."""

    def endpoint(function: Function) -> Callable[[Request], Awaitable[Response]]:
        async def call(request: Request) -> Response:
            try:
                ready = functions()
                if ready is None:
                    raise FunctionError(503, "starting", "Still starting: try again in a second.")
                caller = await authenticate(request, ready.keys, ready.tokens)
                return await function(request, ready, caller)
            except (FunctionError, DatabaseError) as error:
                return _to_function_error(request, error).response()

        return call

    router = Router(
        [
            Route(f"{ROOT}/start-generation", endpoint(start_generation), methods=["POST"]),
            Route(f"{ROOT}/process-generation", endpoint(process_generation), methods=["POST"]),
            Route(f"{ROOT}/process-jobs", endpoint(process_jobs), methods=["POST"]),
            Route(f"{ROOT}/uploads/{{id}}", endpoint(show_upload)),
            # Without this, an unmatched path would fall through to the dashboard.
            Route(f"{ROOT}/{{path:any_path}}", _NotFound),
        ]
    )
    upload = Router([Route(f"{ROOT}/uploads", endpoint(upload_image), methods=["POST"])])
    return [
        Route(f"{ROOT}/uploads", upload, middleware=[CORS, UPLOAD_LIMIT]),
        # A Mount would not match paths that contain a newline.
        Route(f"{ROOT}/{{path:any_path}}", router, middleware=[CORS, BODY_LIMIT]),
    ]


def _to_function_error(request: Request, error: FunctionError | DatabaseError) -> FunctionError:
    match error:
        case FunctionError():
            return error
        case QueryError():
            return from_query_error(error)
        case SchemaMissing():
            logger.error("%s: %s", request.url.path, error)
            return FunctionError(
                503,
                "schema_missing",
                "The database schema does not match this version: apply the migrations.",
            )
        case DatabaseUnavailable():
            logger.warning("%s: the database is unreachable", request.url.path)
            return FunctionError(
                503,
                "database_unavailable",
                "The database is unreachable: try again shortly.",
                headers={"Retry-After": "5"},
            )
        case _:
            logger.error("%s: %s", request.url.path, error)
            return FunctionError(
                500, "internal", "The database rejected this request; the log says why."
            )


class _AnyPath(PathConvertor):
    # Starlette's own "path" stops at a newline, %0A.
    regex = "(?s:.*)"


register_url_convertor("any_path", _AnyPath())


class _NotFound(HTTPEndpoint):
    # A class, because Starlette restricts a function to the methods it lists.
    async def dispatch(self) -> None:
        requested = f"{self.scope['method']} {self.scope['path']}"
        response = FunctionError(
            404, "no_such_function", f"No such function: {requested}."
        ).response()
        await response(self.scope, self.receive, self.send)
