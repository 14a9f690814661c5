"""Uploaded files, kept for an hour in the simulator's folder."""

import json
import time
from datetime import UTC, datetime
from email.message import Message
from email.parser import BytesParser
from hashlib import sha256
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lib.provider.simulator.predictions import DATA_SECONDS, new_id
from lib.provider.simulator.responses import Problem, invalid_input, not_found

MAX_BYTES = 100 * 2**20


class Uploads:
    """The endpoints of files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "uploads"

    def routes(self) -> list[Route]:
        """The endpoints."""
        return [
            Route("/files", self._create, methods=["POST"]),
            Route("/files", self._list),
            Route("/files/{id}", self._get),
            Route("/files/{id}", self._delete, methods=["DELETE"]),
        ]

    async def _create(self, request: Request) -> Response:
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_BYTES:
                raise Problem(413, "Request entity too large", "A file may be at most 100 MiB.")
        parts = _parts(request.headers.get("content-type", ""), bytes(body))
        if "content" not in parts:
            raise invalid_input([("required", "", "content is required")])
        part = parts["content"]
        content, file_id, now = part.get_payload(decode=True), new_id(), time.time()
        assert isinstance(content, bytes)
        metadata = parts["metadata"].get_payload(decode=True) if "metadata" in parts else b"{}"
        description = {
            "id": file_id,
            "name": part.get_filename() or file_id,
            "content_type": part.get_content_type(),
            "size": len(content),
            "etag": file_id,
            "checksums": {"sha256": sha256(content).hexdigest()},
            "metadata": _metadata(metadata),
            "created_at": _timestamp(now),
            "expires_at": _timestamp(now + DATA_SECONDS),
            "urls": {"get": f"{str(request.base_url).rstrip('/')}/v1/files/{file_id}"},
        }
        self._folder.mkdir(exist_ok=True)
        self._delete_expired()
        (self._folder / file_id).write_bytes(content)
        (self._folder / f"{file_id}.json").write_text(json.dumps(description))
        return JSONResponse(description, 201)

    def _list(self, _request: Request) -> Response:
        files = [json.loads(path.read_text()) for path in self._folder.glob("*.json")]
        live = [file for file in files if not _has_expired(file)]
        live.sort(key=lambda file: str(file["created_at"]), reverse=True)
        return JSONResponse({"next": None, "previous": None, "results": live})

    def _get(self, request: Request) -> Response:
        return JSONResponse(json.loads(self._path(request).read_text()))

    def _delete(self, request: Request) -> Response:
        path = self._path(request)
        path.unlink()
        path.with_suffix("").unlink(missing_ok=True)
        return Response(status_code=204)

    def content(self, file_id: str) -> bytes | None:
        """The content of a file; None if it does not exist or has expired."""
        path = self._folder / f"{file_id}.json"
        if not path.exists() or _has_expired(json.loads(path.read_text())):
            return None
        return path.with_suffix("").read_bytes()

    def _path(self, request: Request) -> Path:
        file_id = request.path_params["id"]
        path = self._folder / f"{file_id}.json"
        if not file_id.isalnum() or not path.exists() or _has_expired(json.loads(path.read_text())):
            raise not_found()
        return path

    def _delete_expired(self) -> None:
        for path in self._folder.glob("*.json"):
            if _has_expired(json.loads(path.read_text())):
                path.with_suffix("").unlink(missing_ok=True)
                path.unlink(missing_ok=True)


def _parts(content_type: str, body: bytes) -> dict[str, Message]:
    """The parts of a multipart body by name."""
    head = f"Content-Type: {content_type}\n\n".encode("latin-1", errors="replace")
    message = BytesParser().parsebytes(head + body)
    if not message.is_multipart():
        return {}
    return {
        str(part.get_param("name", header="content-disposition")): part for part in message.walk()
    }


def _metadata(text: Any) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise invalid_input([("invalid_type", "metadata", "Invalid JSON")]) from error


def _has_expired(file: dict[str, Any]) -> bool:
    return datetime.fromisoformat(file["expires_at"]) <= datetime.now(UTC)


def _timestamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()
