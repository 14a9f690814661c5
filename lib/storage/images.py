"""Check by its bytes that a file is an image that browsers show, and make its thumbnail."""

import logging
import mimetypes
import threading
from io import BytesIO

import anyio
from PIL import ExifTags, Image, ImageOps, PngImagePlugin, UnidentifiedImageError

from lib.storage.contract import CheckedImage, NotAnImage, StoredImage
from lib.storage.svg import svg_size

logger = logging.getLogger(__name__)

EXTENSIONS = {"PNG": "png", "JPEG": "jpg", "WEBP": "webp", "GIF": "gif", "AVIF": "avif"}
"""The allowed formats beside SVG, by Pillow's names."""
MEDIA_TYPES = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "webp": "image/webp",
    "gif": "image/gif",
    "avif": "image/avif",
    "svg": "image/svg+xml",
}
MAX_PIXELS = 100_000_000
"""Decoding and reducing take up to nine bytes of memory for each."""
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


def stored_image(
    checked: CheckedImage, path: str, url: str, image: bytes, thumbnail_path: str | None
) -> StoredImage:
    """An image once it is stored."""
    width, height = checked.size or (None, None)
    media_type = MEDIA_TYPES[checked.extension]
    return StoredImage(url, path, media_type, width, height, len(image), thumbnail_path)


async def check_image(image: bytes, *, max_pixels: int | None = None) -> CheckedImage:
    """Decode an image completely and make its thumbnail. Raises NotAnImage.

    Nothing of an image of more than `max_pixels`, by default MAX_PIXELS, is decoded.
    """
    return await anyio.to_thread.run_sync(_decode, image, max_pixels or MAX_PIXELS)


def thumbnail_path(name: str) -> str:
    """The path of the thumbnail of an image, by the image's path without its extension."""
    return f"{name}.thumbnail.webp"


def _decode(image: bytes, max_pixels: int) -> CheckedImage:
    if image.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"<":
        return CheckedImage("svg", svg_size(image), None)
    try:
        with _one_at_a_time, Image.open(BytesIO(image), formats=list(EXTENSIONS)) as opened:
            if opened.width * opened.height > max_pixels:
                raise Image.DecompressionBombError(f"{opened.width} x {opened.height} pixels")
            opened.load()
            # A JPEG with several pictures has a name of its own.
            extension = EXTENSIONS.get(opened.format or "", "jpg")
            size = _upright_size(opened)
            return CheckedImage(extension, size, _thumbnail(opened))
    except UnidentifiedImageError as error:
        raise NotAnImage("The file is not an image (PNG, JPEG, WebP, GIF, AVIF or SVG).") from error
    except Image.DecompressionBombError as error:
        limit = max_pixels // 1_000_000
        raise NotAnImage(f"The image has more than {limit} megapixels.") from error
    # Decoders raise whatever a damaged file makes them.
    except Exception as error:
        reason = str(error)[:MAX_REASON] or type(error).__name__
        raise NotAnImage(f"The image cannot be opened: {reason}.") from error


def _upright_size(image: Image.Image) -> tuple[int, int]:
    """Width and height as browsers turn the image."""
    turned = image.getexif().get(ExifTags.Base.Orientation, 1) in (5, 6, 7, 8)
    return (image.height, image.width) if turned else image.size


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
