"""start-generation, process-generation and process-jobs over HTTP."""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.convertors import PathConvertor, register_url_convertor
from starlette.endpoints import HTTPEndpoint
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route, Router

from lib.api.auth import Caller, authenticate, require_service
from lib.api.errors import FunctionError, refused_by_queue
from lib.api.requests import ProcessGeneration, StartGeneration, body
from lib.api.user_tokens import UserTokens
from lib.database import DatabaseUnavailable, QueryError, SchemaMissing
from lib.queue.worker_calls import Queue
from lib.settings.keys import Keys
from lib.worker.worker import Worker

logger = logging.getLogger(__name__)

ROOT = "/functions/v1"
IDEMPOTENCY_KEY_LENGTH = 255
# Browsers call from the application's own origin. Any may: what counts is the key, which no
# browser adds by itself.
FROM_BROWSERS = Middleware(
    CORSMiddleware,
    allow_origins=["*"],
    allow_methods=["POST"],
    allow_headers=["apikey", "authorization", "content-type", "idempotency-key", "x-client-info"],
    expose_headers=["Retry-After"],
)


@dataclass(frozen=True, slots=True)
class Functions:
    """What the functions work with. `worker` makes a worker of a kind for one call."""

    queue: Queue
    keys: Keys
    tokens: UserTokens
    worker: Callable[[str], Worker]


Function = Callable[[Request, Functions, Caller], Awaitable[Response]]


async def start_generation(request: Request, functions: Functions, caller: Caller) -> Response:
    """Queues a generation within the caller's limits."""
    asked = await body(request, StartGeneration)
    key = request.headers.get("idempotency-key")
    _check(asked, caller, key)
    if run := asked.test_run:
        started = await functions.queue.start_test_generations(
            run_id=run.id,
            jobs=run.jobs,
            per_second=run.per_second,
            prompt=asked.prompt,
            model_id=asked.model_id,
            parameters=asked.parameters(),
            idempotency_key=key,
        )
    else:
        started = await functions.queue.start_generation(
            user_id=caller.user_id or asked.user_id,
            prompt=asked.prompt,
            model_id=asked.model_id,
            parameters=asked.parameters(),
            source="test" if asked.test else "app",
            idempotency_key=key,
        )
    return JSONResponse(
        {
            "success": True,
            "generation_id": str(started.generation_id),
            "job_id": str(started.job_id),
            "status": "queued",
        }
    )


def _check(asked: StartGeneration, caller: Caller, key: str | None) -> None:
    """Raises FunctionError for what this caller may not ask for, or not together."""
    if caller.role != "service" and (asked.user_id or asked.test or asked.test_run):
        raise FunctionError(
            403, "secret_key_needed", "Only the secret key may set user_id, test or test_run."
        )
    if asked.test_run and (asked.user_id or not asked.test):
        raise FunctionError(
            422,
            "invalid_field",
            "test_run: only a test without user_id belongs to one.",
            field="test_run",
        )
    if key is not None and not 1 <= len(key) <= IDEMPOTENCY_KEY_LENGTH:
        raise FunctionError(
            422,
            "invalid_field",
            f"Idempotency-Key: send 1 to {IDEMPOTENCY_KEY_LENGTH} characters.",
            field="Idempotency-Key",
        )


async def process_generation(request: Request, functions: Functions, caller: Caller) -> Response:
    """Runs the waiting job of one generation to the end of its attempt."""
    require_service(caller)
    asked = await body(request, ProcessGeneration)
    worker = functions.worker("process-generation")
    if not await worker.run_generation(asked.generation_id):
        raise FunctionError(
            404, "no_waiting_job", f"Generation {asked.generation_id} has no waiting job."
        )
    return _processed(worker)


async def process_jobs(request: Request, functions: Functions, caller: Caller) -> Response:
    """Claims and runs as many due jobs as may run in parallel."""
    require_service(caller)
    worker = functions.worker("process-jobs")
    await worker.run_batch()
    return _processed(worker)


def _processed(worker: Worker) -> JSONResponse:
    return JSONResponse(
        {
            "success": True,
            "processed": worker.processed,
            "errors": worker.errors,
            "message": f"Processed {worker.processed} job(s) with {worker.errors} error(s)",
        }
    )


def routes(functions: Callable[[], Functions | None]) -> list[BaseRoute]:
    """The routes under /functions/v1; `functions` gives None until the app has started."""

    def endpoint(function: Function) -> Callable[[Request], Awaitable[Response]]:
        async def call(request: Request) -> Response:
            try:
                ready = functions()
                if ready is None:
                    raise FunctionError(503, "starting", "Still starting: try again in a second.")
                caller = await authenticate(request, ready.keys, ready.tokens)
                return await function(request, ready, caller)
            except (FunctionError, QueryError, DatabaseUnavailable) as error:
                return _refusal(request, error).response()

        return call

    served = Router(
        [
            Route(f"{ROOT}/start-generation", endpoint(start_generation), methods=["POST"]),
            Route(f"{ROOT}/process-generation", endpoint(process_generation), methods=["POST"]),
            Route(f"{ROOT}/process-jobs", endpoint(process_jobs), methods=["POST"]),
            # Without this an unmatched path would fall through to the dashboard's page.
            Route(f"{ROOT}/{{path:any_path}}", _NoSuchFunction),
        ]
    )
    # A Mount would leave out paths with a line end.
    return [Route(f"{ROOT}/{{path:any_path}}", served, middleware=[FROM_BROWSERS])]


def _refusal(
    request: Request, error: FunctionError | QueryError | DatabaseUnavailable
) -> FunctionError:
    match error:
        case FunctionError():
            return error
        case QueryError():
            return refused_by_queue(error)
        case SchemaMissing():
            logger.error("%s: %s", request.url.path, error)
            return FunctionError(
                503,
                "schema_missing",
                "The database is not set up for this version: apply the migrations to it.",
            )
        case _:
            logger.warning("%s: the database is away", request.url.path)
            return FunctionError(
                503,
                "database_unavailable",
                "The database does not answer: try again shortly.",
                headers={"Retry-After": "5"},
            )


class _AnyPath(PathConvertor):
    # Starlette's own "path" ends at a line end, %0A.
    regex = "(?s:.*)"


register_url_convertor("any_path", _AnyPath())


class _NoSuchFunction(HTTPEndpoint):
    # A class, because Starlette gives a function only the methods that it is told.
    async def dispatch(self) -> None:
        asked = f"{self.scope['method']} {self.scope['path']}"
        answer = FunctionError(404, "no_such_function", f"There is no {asked}.").response()
        await answer(self.scope, self.receive, self.send)
