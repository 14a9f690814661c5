"""A provider in Replicate's form whose predictions succeed at once, with odd outputs and files.

The prompt names the output (OUTPUTS) or a single file, and the file's name says how it is served.
"""

import asyncio
import base64
import io
import struct
import zlib
from collections import Counter
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from PIL import Image
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route


def encoded(
    form: str, mode: str = "RGB", size: tuple[int, int] = (64, 64), **options: Any
) -> bytes:
    """An image in one of Pillow's formats."""
    content = io.BytesIO()
    Image.new(mode, size).save(content, form, **options)
    return content.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_with(kind: bytes, data: bytes) -> bytes:
    """A PNG with one more chunk after its header."""
    return PNG[:33] + chunk(kind, data) + PNG[33:]


def huge_png(side: int) -> bytes:
    """A valid PNG of side x side pixels, black and white, in a few kilobytes."""
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    rows = zlib.compress((b"\0" * (1 + side // 8)) * side, 9)
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    return start + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


PNG = encoded("PNG")
DATA_URI = "data:image/png;base64," + base64.b64encode(PNG).decode()
FILES: dict[str, tuple[bytes, str]] = {
    "png": (PNG, "image/png"),
    "webp": (encoded("WEBP"), "image/webp"),
    "jpeg": (encoded("JPEG"), "image/jpeg"),
    "cmyk-jpeg": (encoded("JPEG", "CMYK"), "image/jpeg"),
    "gif": (encoded("GIF"), "image/gif"),
    "avif": (encoded("AVIF"), "image/avif"),
    "mpo": (
        encoded("MPO", save_all=True, append_images=[Image.new("RGB", (64, 64))]),
        "image/jpeg",
    ),
    "jpeg-as-png": (encoded("JPEG"), "image/png"),
    "octet-stream": (PNG, "application/octet-stream"),
    "binary": (encoded("WEBP"), "binary/octet-stream"),
    "text-type": (PNG, "text/plain"),
    "upper-type": (PNG, "Image/PNG"),
    "no-type": (PNG, ""),
    "large-profile": (
        png_with(b"iCCP", b"profile\0\0" + zlib.compress(bytes(1_500_000))),
        "image/png",
    ),
    "large-text": (
        png_with(b"zTXt", b"workflow\0\0" + zlib.compress(b"1" * 1_500_000)),
        "image/png",
    ),
    "profile-bomb": (
        png_with(b"iCCP", b"profile\0\0" + zlib.compress(bytes(100_000_000))),
        "image/png",
    ),
    "text-bomb": (
        png_with(b"zTXt", b"workflow\0\0" + zlib.compress(b"1" * 100_000_000)),
        "image/png",
    ),
    "pixel-bomb": (huge_png(20_000), "image/png"),
    "empty": (b"", "image/png"),
    "half": (PNG[: len(PNG) // 2], "image/png"),
    "html": (b"<html>Sign in</html>", "image/png"),
    "svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image/svg+xml"),
    "svg-script": (
        b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
        "image/svg+xml",
    ),
    "video": (b"\0\0\0\x18ftypmp42" + bytes(64), "video/mp4"),
    "tiff": (encoded("TIFF"), "image/tiff"),
    "false-gzip": (PNG, "image/png"),
}

OUTPUTS: dict[str, Callable[[Callable[[str], str]], Any]] = {
    "text": lambda url: url("png"),
    "data-uri": lambda _url: DATA_URI,
    "data-uri-list": lambda _url: [DATA_URI],
    "data-uri-percent": lambda _url: "data:," + "".join(f"%{byte:02x}" for byte in PNG),
    "data-uri-broken": lambda _url: "data:image/png;base64,%%%",
    "data-uri-bare": lambda _url: "data:",
    "null-first": lambda url: [None, url("png")],
    "blank-first": lambda url: ["", url("png")],
    "words-first": lambda url: ["a red fox", url("png")],
    "object": lambda url: {"image": url("png")},
    "object-of-list": lambda url: {"images": [url("png")]},
    "objects": lambda url: [{"url": url("png"), "seed": 7}],
    "nested": lambda url: [[url("png")]],
    "mixed": lambda url: [{"seed": 7, "mask": None}, [[], url("webp")], url("png")],
    "upper-scheme": lambda url: url("png").replace("http://", "HTTP://"),
    "space": lambda url: [url("png") + "?a=b c"],
    "unicode": lambda url: [url("png") + "?n=ünï😀"],
    "four": lambda url: [url("png"), url("webp"), url("jpeg"), url("gif")],
    "four-nulls": lambda url: [None, url("png"), None, url("webp"), url("webp")],
    "four-once": lambda url: [url("png"), url("webp"), url("once-status-503"), url("gif")],
    "four-wrong": lambda url: [url("png"), url("html"), url("status-404"), url("gif")],
    "four-away": lambda url: [url("png"), url("status-503"), url("webp"), url("gif")],
    "null": lambda _url: None,
    "null-only": lambda _url: [None],
    "empty-list": lambda _url: [],
    "empty-object": lambda _url: {},
    "empty-text": lambda _url: "",
    "words": lambda _url: "A red fox.",
    "number": lambda _url: 5,
    "false": lambda _url: False,
    "relative": lambda _url: "/files/png",
    "file": lambda _url: ["file:///etc/passwd"],
    "metadata": lambda _url: ["http://169.254.169.254/latest/meta-data/iam"],
    "invalid": lambda _url: "http://[",
}


class OddProvider:
    """The provider, and what it was asked for."""

    def __init__(self) -> None:
        self.drips = 0
        """How many files drip now."""
        self.created: Counter[str] = Counter()
        """How many predictions were paid for, by prompt."""
        self.fetched: Counter[str] = Counter()
        """How often a file was asked for, by name."""
        self.elsewhere = ""
        """The base URL of another server on this machine."""
        self._predictions: dict[str, tuple[dict[str, str], str]] = {}
        self.app = Starlette(
            routes=[
                Route("/v1/models/{owner}/{name}/predictions", self._create, methods=["POST"]),
                Route("/v1/predictions/{id}", self._get),
                Route("/files/{name}", self._file),
            ]
        )

    async def _create(self, request: Request) -> Response:
        prompt = (await request.json())["input"]["prompt"]
        self.created[prompt] += 1
        # The first prediction of an old- prompt was made two hours ago, and the next one is fine.
        old = prompt.startswith("old-") and self.created[prompt] == 1
        described = {
            "id": f"p{len(self._predictions)}",
            "model": "{owner}/{name}".format(**request.path_params),
            "status": "succeeded",
            "created_at": (datetime.now(UTC) - timedelta(hours=2 * old)).isoformat(),
        }
        name = "png" if prompt.startswith("old-") and not old else prompt
        self._predictions[described["id"]] = described, name
        if name == "slow-drip":
            return JSONResponse(described | {"status": "processing"})
        return JSONResponse(described | {"output": self._output(request, name)})

    async def _get(self, request: Request) -> Response:
        described, name = self._predictions[request.path_params["id"]]
        if name == "forgotten":
            return JSONResponse({"title": "Not found"}, 404)
        if name == "slow-drip":
            age = datetime.now(UTC) - datetime.fromisoformat(described["created_at"])
            if age < timedelta(seconds=0.5):
                return JSONResponse(described | {"status": "processing"})
        name = {"renewed": "png", "emptied": "null"}.get(name, name)
        return JSONResponse(described | {"output": self._output(request, name)})

    def _output(self, request: Request, name: str) -> Any:
        def url(file: str) -> str:
            return f"{request.base_url}files/{file}"

        if name == "internal":
            return f"{self.elsewhere}/files/png"
        if name in ("renewed", "emptied", "forgotten"):
            return url("status-403")
        return OUTPUTS[name](url) if name in OUTPUTS else url(name)

    async def _file(self, request: Request) -> Response:
        name = request.path_params["name"]
        self.fetched[name] += 1
        first = self.fetched[name] == 1
        how, _, detail = name.removeprefix("old-").partition("-")
        if how == "once":
            how, _, detail = detail.partition("-") if first else ("png", "", "")
            name = f"{how}-{detail}" if detail else how
        match how:
            case "status":
                return Response("no", int(detail))
            case "later":
                # Unavailable for the first attempt, gone for the next.
                return Response("no", 503 if self.fetched[name] == 1 else 404)
            case "redirect":
                return self._redirect(request, detail)
            case "cut":
                return _Cut(PNG, "image/png")
            case "drip" | "slow":
                return StreamingResponse(self._drip(), media_type="image/png")
        content, media_type = FILES[name]
        headers = {"content-encoding": "gzip"} if name == "false-gzip" else {}
        if media_type:
            headers["content-type"] = media_type
        return Response(content, headers=headers)

    async def _drip(self) -> AsyncIterator[bytes]:
        self.drips += 1
        while True:
            yield b"\0"
            await asyncio.sleep(0.05)

    def _redirect(self, request: Request, detail: str) -> Response:
        targets = {
            "relative": "/files/png",
            "absolute": f"{request.base_url}files/png",
            "loop": str(request.url),
            "data": DATA_URI,
            "internal": f"{self.elsewhere}/files/png",
            "file": "file:///etc/passwd",
        }
        return RedirectResponse(targets[detail], 302)


class _Cut(Response):
    """Says that it is longer than it is, and ends."""

    def __init__(self, content: bytes, media_type: str) -> None:
        super().__init__(content[: len(content) // 2], media_type=media_type)
        self.headers["content-length"] = str(len(content))
