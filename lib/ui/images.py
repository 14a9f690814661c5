"""Generated images: where a viewer's browser finds them, and as files for the operator."""

import io
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal
from urllib.parse import urlsplit

import httpx
import streamlit as st

from lib.resources import image_storage
from lib.settings import settings
from lib.storage import Storage, StorageFailed
from lib.ui.dashboard import own_url

Row = Mapping[str, Any]
"""A completed generation, with at least storage_path and image_url."""


ADDRESS_SECONDS = 30
"""How long an address is used that Supabase signed: less than the least that one may last."""


@st.cache_resource
def storage() -> Storage:
    """Where this app keeps images."""
    return image_storage(replace(settings(), public_url=own_url()))


def show_image(generation: Row, width: int | Literal["stretch"]) -> None:
    """Draws an image, or says why it cannot be."""
    try:
        st.image(image_source(generation), width=width, alt=generation["prompt"])
    except (StorageFailed, FileNotFoundError) as error:
        st.text(str(error))


def image_source(generation: Row) -> str:
    """The address of an image, as the viewer's browser reaches it.

    Raises StorageFailed and FileNotFoundError.
    """
    if settings().storage_bucket and generation["storage_path"]:
        return _address(generation["storage_path"])
    if settings().functions_elsewhere:
        return str(generation["image_url"])
    page = urlsplit(st.context.url or own_url())
    return f"{page.scheme}://{page.netloc}/images/{generation['storage_path']}"


@st.cache_data(ttl=ADDRESS_SECONDS, max_entries=5000, show_spinner=False)
def _address(path: str) -> str:
    return storage().address(path)


def file_name(job: Row) -> str:
    """What the image is called on the operator's computer."""
    ending = str(job["storage_path"] or job["image_url"] or "").rpartition(".")[2].lower()
    model = job["model_id"].rpartition("/")[2]
    ending = ending if ending in ("png", "webp", "jpg") else "png"
    return f"{model}-{str(job['generation_id'])[:8]}.{ending}"


def image_bytes(job: Row) -> bytes:
    """The image, from this app's storage or, where a project's own functions keep it, its address.

    Raises StorageFailed, FileNotFoundError and httpx.HTTPError.
    """
    if settings().functions_elsewhere and not settings().storage_bucket:
        return httpx.get(job["image_url"], follow_redirects=True).raise_for_status().content
    return storage().read(job["storage_path"])


def archive(jobs: Sequence[Row]) -> bytes:
    """The images of several jobs as a ZIP file."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as written:
        for job in jobs:
            written.writestr(file_name(job), image_bytes(job))
    return file.getvalue()
