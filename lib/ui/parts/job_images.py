"""The images of a completed generation, on the page Job."""

from collections.abc import Sequence

import streamlit as st

from lib.formats import size
from lib.storage import StorageFailed
from lib.ui.images import Row, image_source, thumbnail_sources

MIN_WIDTH = 140
"""Narrowest column of the grid, in pixels: two fit on a phone."""


def show_images(images: Sequence[Row], prompt: str) -> None:
    """Draw the rows of the query `images` of queries/job.sql, several as a grid of links."""
    sources = thumbnail_sources(images)
    if len(images) == 1:
        address = _show(images[0], sources[0], prompt)
        if address:
            st.link_button("Open full size", address, icon=":material/open_in_new:")
        return
    with st.grid(2, min_column_width=MIN_WIDTH):
        for number, (image, source) in enumerate(zip(images, sources, strict=True), 1):
            with st.container(gap="xsmall"):
                _show(image, source, f"Image {number} of {len(images)}: {prompt}", link=True)


def _show(image: Row, source: str | None, alt: str, *, link: bool = False) -> str | None:
    """Draw an image with its details. Returns the URL of its full size, None without it."""
    try:
        address = source and image_source(image)
    except (StorageFailed, FileNotFoundError):
        address = None
    if not source or not address:
        st.text("Image unavailable: storage is not responding.")
        return None
    st.image(source, width="stretch", alt=alt, link=address if link else None)
    if image["bytes"] is not None:
        st.caption(_details(image))
    return address


def _details(image: Row) -> str:
    """Size and format of a stored image, such as "1024 x 576, webp, 83 kB"."""
    sides = f"{image['width']} x {image['height']}, " if image["width"] else ""
    return f"{sides}{image['media_type'].rpartition('/')[2]}, {size(image['bytes'])}"
