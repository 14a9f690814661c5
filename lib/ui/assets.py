"""Serve Streamlit's static assets compressed and from memory: a first visit loads about 100."""

import asyncio
import gzip
import mimetypes
from pathlib import Path

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send
from streamlit.file_util import get_static_dir

CACHE_CONTROL = "public, immutable, max-age=31536000"
"""Safe because file names contain a content hash."""
COMPRESSIBLE = {".js", ".css", ".svg"}


class AssetCache:
    """ASGI middleware that serves the assets and passes everything else to the app.

    Streamlit's own handler hops between threads a dozen times per file, and leaves compression
    to a proxy.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        folder = Path(get_static_dir())
        # Listed up front, so no request path can reach any other file.
        self._files = {
            f"/{file.relative_to(folder).as_posix()}": file for file in folder.glob("static/*/*")
        }
        self._responses: dict[tuple[str, bool], Response] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http" or scope["path"] not in self._files or scope["method"] != "GET":
            await self._app(scope, receive, send)
            return
        compressed = "gzip" in Headers(scope=scope).get("accept-encoding", "")
        key = scope["path"], compressed
        if key not in self._responses:
            self._responses[key] = await asyncio.to_thread(
                _response, self._files[key[0]], compressed
            )
        await self._responses[key](scope, receive, send)


def _response(file: Path, compressed: bool) -> Response:
    """A file with its cache headers, gzipped if its type compresses well."""
    headers = {"Cache-Control": CACHE_CONTROL, "Vary": "Accept-Encoding"}
    content = file.read_bytes()
    if compressed and file.suffix in COMPRESSIBLE:
        content = gzip.compress(content, 6)
        headers["Content-Encoding"] = "gzip"
    return Response(content, headers=headers, media_type=mimetypes.guess_type(file)[0])
