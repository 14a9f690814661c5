"""Stored images over HTTP."""

from pathlib import Path

from starlette.responses import Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

HEADERS = {
    # A removed image is gone from browsers a minute later.
    "Cache-Control": "private, max-age=60",
    # An SVG that is opened as a page runs no script and loads nothing.
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox;"
        " frame-ancestors 'self'"
    ),
}


class _Images(StaticFiles):
    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers.update(HEADERS)
        return response


def image_route(folder: Path) -> Mount:
    """The route /images, which serves the stored images in a folder."""
    return Mount("/images", _Images(directory=folder, check_dir=False))
