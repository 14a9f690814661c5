"""Decide by its bytes whether a file is an image that browsers show, and of which format."""

import mimetypes
import threading
from io import BytesIO

import anyio
from PIL import Image, PngImagePlugin, UnidentifiedImageError

from lib.storage.contract import NotAnImage

EXTENSIONS = {"PNG": "png", "JPEG": "jpg", "WEBP": "webp", "GIF": "gif", "AVIF": "avif"}
"""The allowed formats, by Pillow's names."""
MEDIA_TYPES = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "webp": "image/webp",
    "gif": "image/gif",
    "avif": "image/avif",
}
MAX_PIXELS = 100_000_000
"""Decoding takes up to four bytes of memory for each."""
MAX_REASON = 200

# Colour profiles and workflows in real images exceed Pillow's limit, one megabyte unpacked.
PngImagePlugin.MAX_TEXT_CHUNK = 16 * 2**20

# Python does not know all of them, and /images is served by file name.
for _extension, _media_type in MEDIA_TYPES.items():
    mimetypes.add_type(_media_type, f".{_extension}")

_one_at_a_time = threading.Lock()
"""The largest images would not fit into memory side by side."""


async def image_extension(image: bytes) -> str:
    """The file extension for an image, which is decoded completely. Raises NotAnImage."""
    return await anyio.to_thread.run_sync(_decode, image)


def _decode(image: bytes) -> str:
    try:
        with _one_at_a_time, Image.open(BytesIO(image), formats=list(EXTENSIONS)) as opened:
            if opened.width * opened.height > MAX_PIXELS:
                raise Image.DecompressionBombError(f"{opened.width} x {opened.height} pixels")
            opened.load()
            # A JPEG with several pictures has a name of its own.
            return EXTENSIONS.get(opened.format or "", "jpg")
    except UnidentifiedImageError as error:
        raise NotAnImage("What the model made is no PNG, JPEG, WebP, GIF or AVIF image.") from error
    except Image.DecompressionBombError as error:
        limit = MAX_PIXELS // 1_000_000
        raise NotAnImage(f"The image has more than {limit} megapixels.") from error
    # Decoders raise whatever a damaged file makes them.
    except Exception as error:
        reason = str(error)[:MAX_REASON] or type(error).__name__
        raise NotAnImage(f"The image cannot be opened: {reason}.") from error
