"""Check by its bytes that a file is an image that browsers show, and make its thumbnail."""

import logging
import mimetypes
import threading
from dataclasses import dataclass
from io import BytesIO
from uuid import UUID

import anyio
from PIL import Image, ImageOps, PngImagePlugin, UnidentifiedImageError

from lib.storage.contract import NotAnImage

logger = logging.getLogger(__name__)

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
THUMBNAIL_SIDE = 512
"""Longest side of a thumbnail, in pixels."""
THUMBNAIL_QUALITY = 80

# Colour profiles and workflows in real images exceed Pillow's limit, one megabyte unpacked.
PngImagePlugin.MAX_TEXT_CHUNK = 16 * 2**20

# Python does not know all of them, and /images is served by file name.
for _extension, _media_type in MEDIA_TYPES.items():
    mimetypes.add_type(_media_type, f".{_extension}")

_one_at_a_time = threading.Lock()
"""The largest images would not fit into memory side by side."""


@dataclass(frozen=True, slots=True)
class CheckedImage:
    """The file extension of an image, and its thumbnail as a WebP; None if none could be made."""

    extension: str
    thumbnail: bytes | None


async def check_image(image: bytes) -> CheckedImage:
    """Decode an image completely and make its thumbnail. Raises NotAnImage."""
    return await anyio.to_thread.run_sync(_decode, image)


def thumbnail_name(generation_id: UUID) -> str:
    """File name of a generation's thumbnail."""
    return f"{generation_id}.thumbnail.webp"


def _decode(image: bytes) -> CheckedImage:
    try:
        with _one_at_a_time, Image.open(BytesIO(image), formats=list(EXTENSIONS)) as opened:
            if opened.width * opened.height > MAX_PIXELS:
                raise Image.DecompressionBombError(f"{opened.width} x {opened.height} pixels")
            opened.load()
            # A JPEG with several pictures has a name of its own.
            extension = EXTENSIONS.get(opened.format or "", "jpg")
            return CheckedImage(extension, _thumbnail(opened))
    except UnidentifiedImageError as error:
        raise NotAnImage("The output is not an image (PNG, JPEG, WebP, GIF or AVIF).") from error
    except Image.DecompressionBombError as error:
        limit = MAX_PIXELS // 1_000_000
        raise NotAnImage(f"The image has more than {limit} megapixels.") from error
    # Decoders raise whatever a damaged file makes them.
    except Exception as error:
        reason = str(error)[:MAX_REASON] or type(error).__name__
        raise NotAnImage(f"The image cannot be opened: {reason}.") from error


def _thumbnail(image: Image.Image) -> bytes | None:
    """The first frame of a decoded image, reduced, as browsers would turn it."""
    try:
        # Palettes and bits cannot be averaged.
        small = image.convert("RGBA") if image.mode in ("P", "PA", "1") else image
        small.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
        if small.mode.startswith("I"):
            # 16 bits; a conversion alone would cut off all that is brighter than 255.
            small = small.convert("I").point(lambda value: value / 256).convert("L")
        upright = ImageOps.exif_transpose(small)
        webp = BytesIO()
        colours = "RGBA" if upright.has_transparency_data else "RGB"
        # Method 1 of 0 to 6: a fifth larger than the default, and several times as fast.
        # Without its colour profile, which may be large: models make sRGB.
        upright.convert(colours).save(
            webp, "WEBP", quality=THUMBNAIL_QUALITY, method=1, icc_profile=b""
        )
        return webp.getvalue()
    # The image is good and paid for, whatever is wrong with its thumbnail.
    except Exception:
        logger.exception("No thumbnail could be made")
        return None
