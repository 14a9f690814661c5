"""The endpoints of the simulated API."""

import asyncio
import hmac
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from lib.provider.simulator.catalogue import catalogue_routes
from lib.provider.simulator.edits import draw_from
from lib.provider.simulator.faults import FaultFile, ModelFaults
from lib.provider.simulator.images import draw
from lib.provider.simulator.input_images import InputImages, Unreadable
from lib.provider.simulator.models import MODELS, VERSIONS, Model
from lib.provider.simulator.predictions import Predictions, RateLimited, Record, new_id
from lib.provider.simulator.requests import (
    check_fields,
    cursor,
    deadline_seconds,
    list_request,
    read_body,
    wait_seconds,
)
from lib.provider.simulator.responses import (
    Problem,
    describe,
    describe_page,
    not_found,
    throttled,
)
from lib.provider.simulator.schedule import draw_schedule
from lib.provider.simulator.schemas import validated_input
from lib.provider.simulator.uploads import Uploads

PAGE_SIZE = 100
WAIT_CHECK_SECONDS = 0.25
MEDIA_TYPES = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
}
THROTTLE_SECONDS = 5
"""Retry-After for a prompt with [429], at speed 1."""

# Errors requested by a tag in the prompt, such as [402], or injected as faults.
_PROBLEMS = {
    "401": (401, "Unauthenticated", "You did not pass a valid authentication token."),
    "402": (402, "Insufficient credit", "You have insufficient credit to run this model."),
    "404": (404, "Not found", "The requested resource could not be found."),
    "422": (422, "Input validation failed", "- input: This input is refused.\n"),
    "500": (500, "Internal server error", "Something went wrong."),
    "503": (503, "Service unavailable", "The service is temporarily unavailable."),
}
_TAGS = ("402", "500", "503")


def build_app(folder: Path, token: str, *, speed: float, failure_rate: float) -> Starlette:
    """The simulated API over the predictions in `folder`; callers authenticate with `token`."""
    faults, uploads = FaultFile(folder), Uploads(folder)
    inputs = InputImages(folder, uploads)
    api = _Api(Predictions(folder), inputs, faults, speed, failure_rate)
    guarded = [
        Route("/models/{owner}/{name}/predictions", api.create_by_model, methods=["POST"]),
        Route("/predictions", api.create_by_version, methods=["POST"]),
        Route("/predictions", api.list_page),
        Route("/predictions/{id}", api.get),
        Route("/predictions/{id}/cancel", api.cancel, methods=["POST"]),
        # Else a model without an owner would be a model named "predictions", which takes no POST.
        Route("/models/{name}/predictions", api.create_by_model, methods=["POST"]),
        *catalogue_routes(folder),
        *uploads.routes(),
    ]
    return Starlette(
        routes=[
            Mount("/v1", routes=guarded, middleware=[Middleware(_TokenGuard, token=token)]),
            Route("/files/{id}/{file}", api.image),
        ],
        middleware=[
            Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"]),
            Middleware(_Outage, faults=faults),
        ],
        exception_handlers={Problem: _problem_response, HTTPException: _http_error_response},
    )


@dataclass
class _Api:
    predictions: Predictions
    inputs: InputImages
    faults: FaultFile
    speed: float
    failure_rate: float
    throttled_prompts: set[str] = field(default_factory=set)

    async def create_by_model(self, request: Request) -> Response:
        model = MODELS.get("/".join(request.path_params.values()))
        # Replicate runs community models only by version.
        if model is None or model.version:
            raise not_found()
        body = await read_body(request)
        check_fields(body)
        return await self._create(request, model, body)

    async def create_by_version(self, request: Request) -> Response:
        body = await read_body(request)
        check_fields(body, "version")
        model = VERSIONS.get(str(body.get("version")))
        if model is None:
            raise Problem(
                422, "Invalid version or not permitted", "The specified version does not exist."
            )
        return await self._create(request, model, body)

    def get(self, request: Request) -> Response:
        return self._respond(request, self.predictions.get(request.path_params["id"]))

    def list_page(self, request: Request) -> Response:
        asked = list_request(request)
        records = self.predictions.newest(
            after=asked.after, before=asked.before, below=asked.below, limit=PAGE_SIZE + 1
        )
        page, next_url = records[:PAGE_SIZE], None
        if len(records) > PAGE_SIZE:
            position = cursor(page[-1].created_at, page[-1].id)
            next_url = str(request.url.include_query_params(cursor=position))
        return JSONResponse(describe_page(page, time.time(), _base_url(request), next_url))

    def cancel(self, request: Request) -> Response:
        return self._respond(
            request, self.predictions.cancel(request.path_params["id"], time.time())
        )

    def image(self, request: Request) -> Response:
        record = self.predictions.get(request.path_params["id"])
        now = time.time()
        if record is None or record.status(now) != "succeeded" or record.data_removed(now):
            raise not_found()
        name = request.path_params["file"]
        if name not in record.files:
            raise not_found()
        media_type = MEDIA_TYPES[record.extension]
        if self.faults.read().for_model(record.model).failure_for(record.id) == "not_an_image":
            return Response(b"This is no image.", media_type=media_type)
        index = int(name.removeprefix("out-").partition(".")[0])
        prompt, seed = _prompt(record.input), record.seed + index
        if base := self.inputs.base(record.id):
            details = record.model_details
            file = draw_from(base, details, record.input, seed, record.size, record.extension)
        else:
            file = draw(record.model, prompt, seed, record.size, record.extension)
        return Response(file, media_type=media_type)

    async def _create(self, request: Request, model: Model, body: Mapping[str, Any]) -> Response:
        fields = validated_input(model, body)
        wait, deadline = wait_seconds(request), deadline_seconds(request)
        self._raise_for_tags(_prompt(fields))
        faults = self.faults.read()
        model_faults, prediction_id = faults.for_model(model.id), new_id()
        failure = model_faults.failure_for(prediction_id)
        _raise_failure(failure, model_faults)
        record = self._record(prediction_id, model, fields, deadline, model_faults, failure)
        try:
            await self.inputs.keep(prediction_id, model, fields)
        except Unreadable as error:
            record = replace(record, error=str(error))
        try:
            await run_in_threadpool(self.predictions.add, record, faults.rate_limit(model.id))
        except RateLimited as error:
            raise throttled(error.retry_after) from error
        if wait is None:
            return self._respond(request, record, 201)
        record = await self._wait_for_end(record, wait)
        return self._respond(request, record, 201 if time.time() >= record.ends_at else 202)

    def _raise_for_tags(self, prompt: str) -> None:
        tags = prompt.lower()
        for tag in _TAGS:
            if f"[{tag}]" in tags:
                raise Problem(*_PROBLEMS[tag])
        if "[429]" in tags and prompt not in self.throttled_prompts:
            self.throttled_prompts.add(prompt)
            raise throttled(THROTTLE_SECONDS / self.speed)

    def _record(
        self,
        prediction_id: str,
        model: Model,
        fields: Mapping[str, Any],
        deadline: float,
        faults: ModelFaults,
        failure: str | None,
    ) -> Record:
        now = time.time()
        usual = draw_schedule(
            model,
            prediction_id,
            _prompt(fields),
            speed=self.speed,
            failure_rate=self.failure_rate,
        )
        schedule = faults.applied_to(usual, failure)
        return Record(
            id=prediction_id,
            model=model.id,
            input=fields,
            created_at=now,
            started_at=now + schedule.starts,
            finished_at=now + schedule.ends,
            deadline_at=now + deadline,
            canceled_at=None,
            error=schedule.error,
        )

    async def _wait_for_end(self, record: Record, seconds: float) -> Record:
        until = time.time() + seconds
        while (left := min(record.ends_at, until) - time.time()) > 0:
            # Another request may cancel it meanwhile.
            await asyncio.sleep(min(left, WAIT_CHECK_SECONDS))
            stored = await run_in_threadpool(self.predictions.get, record.id)
            record = stored or record
        return record

    def _respond(self, request: Request, record: Record | None, status: int = 200) -> Response:
        if record is None:
            raise not_found()
        return JSONResponse(describe(record, time.time(), _base_url(request)), status)


class _TokenGuard:
    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._expected = f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        given = dict(scope["headers"]).get(b"authorization", b"")
        if hmac.compare_digest(given, self._expected):
            await self._app(scope, receive, send)
            return
        await Problem(*_PROBLEMS["401"]).response()(scope, receive, send)


class _Outage:
    """Middleware that responds 503 to everything while that fault is active."""

    def __init__(self, app: ASGIApp, faults: FaultFile) -> None:
        self._app = app
        self._faults = faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._faults.read().outage == "unavailable":
            await Problem(*_PROBLEMS["503"]).response()(scope, receive, send)
            return
        await self._app(scope, receive, send)


def _prompt(fields: Mapping[str, Any]) -> str:
    return str(fields.get("prompt") or "")


def _base_url(request: Request) -> str:
    return str(request.base_url).rstrip("/")


def _raise_failure(failure: str | None, faults: ModelFaults) -> None:
    if failure == "429":
        raise throttled(faults.retry_after)
    if failure in _PROBLEMS:
        raise Problem(*_PROBLEMS[failure])


async def _problem_response(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return error.response()


async def _http_error_response(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    problem = not_found() if error.status_code == 404 else None
    return (problem or Problem(error.status_code, error.detail, error.detail)).response()
