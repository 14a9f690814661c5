"""Stands in for Supabase's Storage: its protocol as far as supabase-py speaks it for images."""

import json
import secrets
from typing import Any

from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route


class Bucket:
    """The objects of one bucket, and what the test does to it."""

    def __init__(self, name: str, key: str, *, public: bool) -> None:
        self.name = name
        self.objects: dict[str, tuple[bytes, str]] = {}
        self.cached: dict[str, str] = {}
        """For how many seconds browsers are told to keep each object."""
        self.answer: Response | None = None
        """Answered instead of everything."""
        self.allowed: set[str] | None = None
        """The media types that the bucket takes; None for any."""
        self.signings = 0
        """How many requests for signed addresses there were."""
        self._key = key
        self.public = public
        self._signed: dict[str, str] = {}
        root = "/storage/v1/object"
        self.routes = [
            Route(f"{root}/public/{{bucket}}/{{path:path}}", self._guarded(self._open)),
            Route(
                f"{root}/sign/{{bucket}}/{{path:path}}", self._guarded(self._sign), methods=["POST"]
            ),
            Route(f"{root}/sign/{{bucket}}/{{path:path}}", self._guarded(self._of_sign)),
            Route(f"{root}/sign/{{bucket}}", self._guarded(self._sign_all), methods=["POST"]),
            Route(
                f"{root}/{{bucket}}/{{path:path}}", self._guarded(self._upload), methods=["POST"]
            ),
            Route(f"{root}/{{bucket}}/{{path:path}}", self._guarded(self._download)),
            Route(f"{root}/{{bucket}}", self._guarded(self._remove), methods=["DELETE"]),
        ]

    def _guarded(self, serve: Any) -> Any:
        async def answer(request: Request) -> Response:
            if self.answer:
                return self.answer
            if request.path_params["bucket"] != self.name:
                return problem(404, "Bucket not found", "Bucket not found")
            answered: Response = await serve(request, request.path_params.get("path", ""))
            return answered

        return answer

    def _knows(self, request: Request) -> bool:
        return request.headers.get("apikey") == self._key

    async def _upload(self, request: Request, path: str) -> Response:
        if not self._knows(request):
            return problem(403, "Unauthorized", "new row violates row-level security policy")
        if path in self.objects and request.headers.get("x-upsert") != "true":
            return problem(409, "Duplicate", "The resource already exists")
        async with request.form() as form:
            file = form["file"]
            assert isinstance(file, UploadFile)
            if self.allowed is not None and file.content_type not in self.allowed:
                kind = f"mime type {file.content_type} is not supported"
                return problem(415, "invalid_mime_type", kind)
            self.cached[path] = str(form["cacheControl"])
            self.objects[path] = (await file.read(), str(file.content_type))
        return JSONResponse({"Key": f"{self.name}/{path}", "Id": "1"})

    async def _download(self, request: Request, path: str) -> Response:
        return self._object(path) if self._knows(request) else missing()

    async def _open(self, request: Request, path: str) -> Response:
        return self._object(path) if self.public else missing()

    async def _sign(self, request: Request, path: str) -> Response:
        self.signings += 1
        if not self._knows(request) or path not in self.objects:
            return missing()
        asked = json.loads(await request.body())
        assert int(asked["expiresIn"]) >= 60
        return JSONResponse({"signedURL": self._signed_url(path)})

    async def _sign_all(self, request: Request, _path: str) -> Response:
        self.signings += 1
        if not self._knows(request):
            return problem(403, "Unauthorized", "new row violates row-level security policy")
        asked = json.loads(await request.body())
        assert int(asked["expiresIn"]) >= 60
        lost = "Either the object does not exist or you do not have access to it"
        return JSONResponse(
            [
                {"error": None, "path": path, "signedURL": self._signed_url(path)}
                if path in self.objects
                else {"error": lost, "path": path, "signedURL": None}
                for path in asked["paths"]
            ]
        )

    def _signed_url(self, path: str) -> str:
        token = secrets.token_urlsafe()
        self._signed[token] = path
        return f"/object/sign/{self.name}/{path}?token={token}"

    async def _of_sign(self, request: Request, path: str) -> Response:
        known = self._signed.get(request.query_params["token"]) == path
        return self._object(path) if known else problem(400, "InvalidJWT", "invalid signature")

    async def _remove(self, request: Request, path: str) -> Response:
        if not self._knows(request):
            return JSONResponse([])
        names = json.loads(await request.body())["prefixes"]
        gone = [name for name in names if self.objects.pop(name, None)]
        return JSONResponse([{"name": name} for name in gone])

    def _object(self, path: str) -> Response:
        if path not in self.objects:
            return missing()
        content, kind = self.objects[path]
        return Response(content, media_type=kind)


def problem(status: int, error: str, message: str) -> Response:
    """Storage answers 400 with the status inside."""
    return JSONResponse({"statusCode": str(status), "error": error, "message": message}, 400)


def missing() -> Response:
    return problem(404, "not_found", "Object not found")
