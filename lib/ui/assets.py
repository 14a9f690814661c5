"""Streamlit's own assets, from memory and compressed: a first visit asks for a hundred of them."""

import asyncio
import gzip
import mimetypes
from pathlib import Path

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send
from streamlit.file_util import get_static_dir

FOR_EVER = "public, immutable, max-age=31536000"
"""Their names hold a hash of their content."""
COMPRESSED = {".js", ".css", ".svg"}


class Assets:
    """Answers for the assets, and leaves everything else to the app.

    Streamlit's own handler takes a dozen turns through threads for each, and leaves compression to
    a proxy.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        folder = Path(get_static_dir())
        # Nothing else is served, whatever path is asked for.
        self._files = {
            f"/{file.relative_to(folder).as_posix()}": file for file in folder.glob("static/*/*")
        }
        self._answers: dict[tuple[str, bool], Response] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        if scope["type"] != "http" or scope["path"] not in self._files or scope["method"] != "GET":
            await self._app(scope, receive, send)
            return
        compressed = "gzip" in Headers(scope=scope).get("accept-encoding", "")
        key = scope["path"], compressed
        if key not in self._answers:
            self._answers[key] = await asyncio.to_thread(_answer, self._files[key[0]], compressed)
        await self._answers[key](scope, receive, send)


def _answer(file: Path, compressed: bool) -> Response:
    """A file with how to keep it, compressed where that makes it smaller."""
    headers = {"Cache-Control": FOR_EVER, "Vary": "Accept-Encoding"}
    content = file.read_bytes()
    if compressed and file.suffix in COMPRESSED:
        content = gzip.compress(content, 6)
        headers["Content-Encoding"] = "gzip"
    return Response(content, headers=headers, media_type=mimetypes.guess_type(file)[0])
