"""The images of a completed generation, on the page Job."""

from collections.abc import Sequence

import streamlit as st

from lib.formats import size
from lib.storage import StorageFailed
from lib.ui.images import Row, image_source, thumbnail_sources


def show_images(images: Sequence[Row], prompt: str) -> None:
    """Draw the rows of the query `images` of queries/job.sql, several in two columns."""
    sources = thumbnail_sources(images)
    with st.grid(min(len(images), 2)):
        for number, (image, source) in enumerate(zip(images, sources, strict=True), 1):
            of = f"Image {number} of {len(images)}: " if len(images) > 1 else ""
            with st.container(gap="small"):
                _show(image, source, f"{of}{prompt}")


def _show(image: Row, source: str | None, alt: str) -> None:
    try:
        address = source and image_source(image)
    except (StorageFailed, FileNotFoundError):
        address = None
    if not source or not address:
        st.text("Image unavailable: the storage does not answer.")
        return
    st.image(source, width="stretch", alt=alt)
    st.link_button("Open full size", address, icon=":material/open_in_new:")
    if image["bytes"] is not None:
        st.caption(_details(image))


def _details(image: Row) -> str:
    """Size and format of a stored image, such as "1024 x 576, webp, 83 kB"."""
    sides = f"{image['width']} x {image['height']}, " if image["width"] else ""
    return f"{sides}{image['media_type'].rpartition('/')[2]}, {size(image['bytes'])}"
