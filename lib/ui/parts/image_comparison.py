"""An input image and an output of a generation, compared with a divider."""

from io import BytesIO

import streamlit as st
from PIL import Image, ImageOps

from lib.storage import StorageFailed
from lib.storage.images import MAX_PIXELS
from lib.ui.images import Row, stored_image
from lib.ui.parts.input_images import InputImage

SIDE = 1024
"""Longest side of the compared images, in pixels."""
SIMILAR = 1.05
"""Ratios that differ by less are the same: models round the sizes of their inputs."""
LINE_WIDTH = 3


def show_comparison(before: InputImage, after: Row, key: str) -> None:
    """Draw a divider between an input image and an output; beside one another if they differ."""
    try:
        output = _reduced(after["storage_path"] or after["image_url"], after)
        source = _reduced(before.reference, before)
    except (StorageFailed, FileNotFoundError):
        output = source = None
    if output is None or source is None:
        st.text("The images cannot be compared: one of them cannot be read.")
        return
    if not _similar(source, output):
        left, right = st.columns(2)
        left.image(source, "Input", width="stretch", alt="Input image")
        right.image(output, "Output", width="stretch", alt="Output image")
        return
    percent = st.slider("Divider", 0, 100, 50, step=2, format="%d%%", key=key)
    st.image(
        _divided(source, output, percent),
        width="stretch",
        alt=f"Input image in the left {percent}% of the width, output in the rest",
    )
    st.caption("Input to the left of the divider, output to the right.")


@st.cache_data(max_entries=64, show_spinner=False)
def _reduced(key: str, _image: Row | InputImage) -> bytes | None:
    """A smaller WebP of an image, upright; None if it cannot be drawn. `key` stands for it."""
    content = _image.read() if isinstance(_image, InputImage) else stored_image(_image)
    try:
        with Image.open(BytesIO(content)) as opened:
            if opened.width * opened.height > MAX_PIXELS:
                return None
            opened.draft("RGB", (SIDE, SIDE))
            # Palettes cannot be averaged; all else is reduced first, which takes less memory.
            small = opened.convert("RGBA") if opened.mode in ("P", "PA", "1") else opened
            small.thumbnail((SIDE, SIDE))
            image = ImageOps.exif_transpose(small).convert("RGBA")
    except (OSError, ValueError, SyntaxError):
        # An SVG. All else was decoded when it was stored or shown before.
        return None
    white = Image.new("RGBA", image.size, "white")
    return _webp(Image.alpha_composite(white, image).convert("RGB"))


@st.cache_data(max_entries=256, show_spinner=False)
def _divided(before: bytes, after: bytes, percent: int) -> bytes:
    """The left `percent` of the one image and the rest of the other."""
    with Image.open(BytesIO(before)) as source, Image.open(BytesIO(after)) as output:
        image = output.convert("RGB")
        edge = round(image.width * percent / 100)
        fitted = ImageOps.fit(source.convert("RGB"), image.size)
        image.paste(fitted.crop((0, 0, edge, image.height)), (0, 0))
        if 0 < percent < 100:
            image.paste("white", (edge - 1, 0, edge - 1 + LINE_WIDTH, image.height))
        return _webp(image)


def _similar(one: bytes, other: bytes) -> bool:
    ratios = []
    for content in (one, other):
        with Image.open(BytesIO(content)) as image:
            ratios.append(image.width / image.height)
    return max(ratios) / min(ratios) < SIMILAR


def _webp(image: Image.Image) -> bytes:
    written = BytesIO()
    image.save(written, "WEBP", quality=85, method=1)
    return written.getvalue()
