"""A provider in a process of its own that keeps a book of what it was paid for.

It speaks Replicate's API and shares no code with the simulator. Every creation that it accepts is
in the book before it is answered. A prompt may ask for trouble, each time that it is created:

    [late 3]      the creation is accepted, and answered three seconds later
    [never]       accepted, and not answered at all
    [500]         accepted, and answered with 500
    [unreadable]  accepted, and answered with a body that is not JSON
    [wrong id]    accepted, and answered with the id of no prediction
    [bad id]      accepted, and answered with a path as the id
    [nul id]      accepted, and answered with a NUL in the id
    [odd status]  accepted, and answered with a status that nobody knows
    [11 MB]       accepted, and answered with a body of that size
    [missing 2]   the first two readings of the prediction are answered with 404
    [429]         the first creation of this prompt is refused, and not accepted
    [takes 5]     the prediction runs for five seconds

By hand: `python tests/bookkeeper.py BOOK --port 8850 --create-seconds 0.5`.
"""

import argparse
import asyncio
import io
import itertools
import json
import re
import secrets
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvicorn
from PIL import Image
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

HOST = "127.0.0.1"
PAGE_SIZE = 100
NEVER_SECONDS = 3600
VERSIONS = {
    "39ed52f2a78e934b3ba6e2a89f5b1c712de7dfea535525255b1aa35c5565e08b": "stability-ai/sdxl",
}
"""The models that are created by version."""
TAG = re.compile(
    r"\[(late|never|500|unreadable|wrong id|bad id|nul id|odd status|11 MB|missing|429|takes)"
    r"(?: (\d+(?:\.\d+)?))?\]"
)
WRONG_IDS = {"wrong id": "nosuchprediction", "bad id": "../../v1/account?", "nul id": "a\x00b"}


@dataclass(frozen=True)
class Entry:
    """A line of the book: a creation that was accepted, or a cancellation."""

    event: str
    id: str
    at: float
    model: str
    prompt: str
    input: dict[str, Any]


class Bookkeeper:
    """A running bookkeeper."""

    def __init__(self, base_url: str, book: Path) -> None:
        self.base_url = base_url
        self._book = book

    def entries(self) -> list[Entry]:
        """The whole book, oldest first."""
        return [Entry(**json.loads(line)) for line in self._book.read_text().splitlines()]

    def paid(self) -> Counter[str]:
        """How many creations of each prompt were accepted."""
        return Counter(entry.prompt for entry in self.entries() if entry.event == "created")


@contextmanager
def bookkeeping(book: Path, **seconds: float) -> Iterator[Bookkeeper]:
    """Runs one, with the latencies of the command line such as `create_seconds`."""
    book.touch()
    options = [f"--{name.replace('_', '-')}={value}" for name, value in seconds.items()]
    command = [sys.executable, __file__, str(book), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield Bookkeeper(process.stdout.readline().strip(), book)
        finally:
            process.kill()


@dataclass
class _Prediction:
    id: str
    number: int
    model: str
    version: str
    input: dict[str, Any]
    created_at: datetime
    ends_at: float
    deadline: float
    missing: float
    cancelled: bool = False

    @property
    def prompt(self) -> str:
        return str(self.input.get("prompt"))

    def status(self) -> str:
        if self.cancelled:
            return "canceled"
        now = time.time()
        if now >= min(self.ends_at, self.deadline):
            return "succeeded" if self.ends_at <= self.deadline else "canceled"
        return "processing"

    def described(self, base_url: str) -> dict[str, Any]:
        status, api = self.status(), f"{base_url}/v1/predictions/{self.id}"
        return {
            "id": self.id,
            "model": self.model,
            "version": self.version,
            "input": self.input,
            "output": [f"{base_url}/files/{self.id}.png"] if status == "succeeded" else None,
            "error": None,
            "data_removed": False,
            "status": status,
            "source": "api",
            "created_at": self.created_at.isoformat(),
            "urls": {"get": api, "cancel": f"{api}/cancel"},
        }


class _Server:
    def __init__(
        self, book: Path, *, create_seconds: float, read_seconds: float, run_seconds: float
    ) -> None:
        self._book = book.open("a", buffering=1)
        self._create_seconds = create_seconds
        self._read_seconds = read_seconds
        self._run_seconds = run_seconds
        self._predictions: dict[str, _Prediction] = {}
        self._numbers = itertools.count()
        self._refused: set[str] = set()
        pixels = io.BytesIO()
        Image.new("RGB", (8, 8), "teal").save(pixels, "PNG")
        self._png = pixels.getvalue()

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/v1/models/{owner}/{name}/predictions", self.create, methods=["POST"]),
                Route("/v1/predictions", self.create, methods=["POST"]),
                Route("/v1/predictions", self.list),
                Route("/v1/predictions/{id}", self.get),
                Route("/v1/predictions/{id}/cancel", self.cancel, methods=["POST"]),
                Route("/files/{id}.png", self.file),
            ]
        )

    async def create(self, request: Request) -> Response:
        body = await request.json()
        tags = dict(TAG.findall(str(body["input"].get("prompt"))))
        # On its way for one half: a client that is killed meanwhile is charged after its death.
        await asyncio.sleep(self._create_seconds / 2)
        prediction = self._prediction(request, body, tags)
        if "429" in tags and prediction.prompt not in self._refused:
            self._refused.add(prediction.prompt)
            return JSONResponse({"detail": "Request was throttled."}, 429, {"Retry-After": "1"})
        self._predictions[prediction.id] = prediction
        self._note("created", prediction)
        await asyncio.sleep(self._create_seconds / 2 + float(tags.get("late") or 0))
        if "never" in tags:
            await asyncio.sleep(NEVER_SECONDS)
        if "500" in tags:
            return JSONResponse({"title": "Internal server error", "status": 500}, 500)
        if "unreadable" in tags:
            return Response("<html>Welcome</html>", 201, media_type="application/json")
        described = prediction.described(_base_url(request))
        if "11 MB" in tags:
            described["logs"] = "x" * 11_000_000
        if "odd status" in tags:
            described["status"] = "booting"
        wrong = next((id for tag, id in WRONG_IDS.items() if tag in tags), None)
        return JSONResponse(described | ({"id": wrong} if wrong else {}), 201)

    async def get(self, request: Request) -> Response:
        await asyncio.sleep(self._read_seconds)
        prediction = self._predictions.get(request.path_params["id"])
        if prediction and prediction.missing > 0:
            prediction.missing -= 1
            return JSONResponse({"title": "Not found", "status": 404}, 404)
        return self._answer(request)

    async def cancel(self, request: Request) -> Response:
        await asyncio.sleep(self._read_seconds)
        prediction = self._predictions.get(request.path_params["id"])
        if prediction and prediction.status() == "processing":
            prediction.cancelled = True
            self._note("cancelled", prediction)
        return self._answer(request)

    async def list(self, request: Request) -> Response:
        await asyncio.sleep(self._read_seconds)
        query, base_url = request.query_params, _base_url(request)
        after = datetime.fromisoformat(query.get("created_after", "1970-01-01T00:00:00Z"))
        below = int(query.get("cursor", sys.maxsize))
        # In the order of their creation: dictionaries keep it.
        found = [
            prediction
            for prediction in reversed(self._predictions.values())
            if prediction.number < below and prediction.created_at >= after
        ]
        page, following = found[:PAGE_SIZE], None
        if len(found) > PAGE_SIZE:
            following = str(request.url.include_query_params(cursor=page[-1].number))
        results = [prediction.described(base_url) for prediction in page]
        return JSONResponse({"next": following, "previous": None, "results": results})

    async def file(self, request: Request) -> Response:
        await asyncio.sleep(self._read_seconds)
        return Response(self._png, media_type="image/png")

    def _prediction(
        self, request: Request, body: dict[str, Any], tags: dict[str, str]
    ) -> _Prediction:
        now = time.time()
        version = str(body.get("version", "hidden"))
        owner_and_name = "{owner}/{name}".format(**request.path_params or {"owner": "", "name": ""})
        cancel_after = request.headers.get("cancel-after", "1800s")
        return _Prediction(
            id=secrets.token_hex(13),
            number=next(self._numbers),
            model=VERSIONS.get(version, owner_and_name),
            version=version,
            input=body["input"],
            created_at=datetime.fromtimestamp(now, UTC),
            ends_at=now + float(tags.get("takes") or self._run_seconds),
            deadline=now + float(cancel_after.removesuffix("s")),
            missing=float(tags.get("missing", 0)),
        )

    def _answer(self, request: Request) -> Response:
        prediction = self._predictions.get(request.path_params["id"])
        if prediction is None:
            return JSONResponse({"title": "Not found", "status": 404}, 404)
        return JSONResponse(prediction.described(_base_url(request)))

    def _note(self, event: str, prediction: _Prediction) -> None:
        entry = Entry(
            event,
            prediction.id,
            time.time(),
            prediction.model,
            prediction.prompt,
            prediction.input,
        )
        self._book.write(f"{json.dumps(asdict(entry))}\n")


def _base_url(request: Request) -> str:
    return str(request.base_url).rstrip("/")


def main() -> None:
    parser = argparse.ArgumentParser(description="A provider that keeps a book.")
    parser.add_argument("book", type=Path)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--create-seconds", type=float, default=0)
    parser.add_argument("--read-seconds", type=float, default=0)
    parser.add_argument("--run-seconds", type=float, default=0.3)
    options = vars(parser.parse_args())
    listener = socket.create_server((HOST, options.pop("port")), backlog=1024)
    print(f"http://{HOST}:{listener.getsockname()[1]}", flush=True)
    app = _Server(options.pop("book"), **options).app()
    config = uvicorn.Config(app, lifespan="off", log_level="warning", access_log=False)
    uvicorn.Server(config).run([listener])


if __name__ == "__main__":
    main()
