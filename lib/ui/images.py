"""Generated images: URLs for the viewer's browser, and files to download."""

import base64
import io
import zipfile
from collections.abc import Mapping, Sequence
from time import monotonic
from typing import Any
from urllib.parse import urljoin, urlsplit

import anyio
import streamlit as st
from PIL import Image

from lib.resources import image_elsewhere, image_storage
from lib.settings import settings
from lib.storage import NotAnImage, Storage, StorageFailed
from lib.storage.images import MEDIA_TYPES, check_image
from lib.ui.dashboard import app_url

Row = Mapping[str, Any]
"""A completed generation or an output, with at least storage_path and image_url."""

SIGNED_URL_SECONDS = 30
"""How long a signed Supabase URL is cached: less than the shortest lifetime allowed."""
MAX_KNOWN_URLS = 5000
ICON_SIDE = 128


@st.cache_resource
def storage() -> Storage:
    """This app's image storage."""
    return image_storage(settings())


def image_source(generation: Row) -> str:
    """URL of an image, reachable from the viewer's browser.

    Raises StorageFailed and FileNotFoundError.
    """
    if settings().storage_bucket and generation["storage_path"]:
        return _signed_url(generation["storage_path"])
    if elsewhere := settings().functions_elsewhere:
        return urljoin(f"{elsewhere}/", str(generation["image_url"]))
    return _local_url(generation["storage_path"])


def thumbnail_sources(generations: Sequence[Row]) -> list[str | None]:
    """URLs of thumbnails, or of images without one, in order; None without a stored image.

    The rows also have thumbnail_path. Reachable from the viewer's browser, with at most one request
    to a remote storage.
    """
    if not settings().storage_bucket:
        return [_thumbnail_url(generation) for generation in generations]
    paths = [row["thumbnail_path"] or row["storage_path"] for row in generations]
    urls = _bucket_urls([path for path in paths if path])
    return [urls.get(path) for path in paths]


def _thumbnail_url(generation: Row) -> str | None:
    path = generation["thumbnail_path"]
    if not settings().functions_elsewhere:
        stored = path or generation["storage_path"]
        return _local_url(stored) if stored else None
    if not generation["image_url"]:
        return None
    image, stored = image_source(generation), str(generation["storage_path"] or "")
    # A signature is that of the image alone.
    if not path or urlsplit(image).query or not stored or not image.endswith(stored):
        return image
    return f"{image.removesuffix(stored)}{path}"


def _local_url(path: str) -> str:
    page = urlsplit(st.context.url or app_url())
    return f"{page.scheme}://{page.netloc}/images/{path}"


def _bucket_urls(paths: Sequence[str]) -> dict[str, str]:
    """URLs of stored files, each kept for half of its lifetime so that browsers reuse it.

    Without those that do not exist, and without any that are not known while the storage is down.
    """
    known, now = _known_urls(), monotonic()
    asked = [path for path in dict.fromkeys(paths) if known.get(path, ("", 0.0))[1] <= now]
    if asked:
        try:
            found, seconds = storage().urls_for(asked), settings().storage_url_seconds / 2
        except (StorageFailed, FileNotFoundError):
            # Asked for again a little later: a page is redrawn every few seconds.
            found, seconds = {}, SIGNED_URL_SECONDS
        if len(known) > MAX_KNOWN_URLS:
            known.clear()
        known |= {path: (found.get(path, ""), now + seconds) for path in asked}
    return {path: url for path in paths if (url := known.get(path, ("", 0.0))[0])}


@st.cache_resource
def _known_urls() -> dict[str, tuple[str, float]]:
    """URL by path, empty for none, and until when it is used."""
    return {}


@st.cache_data(ttl=SIGNED_URL_SECONDS, max_entries=5000, show_spinner=False)
def _signed_url(path: str) -> str:
    return storage().url_for(path)


def private_image(path: str | None) -> bytes | None:
    """A stored file that has no URL of its own, such as an upload's thumbnail; None without it."""
    try:
        return _private_image(path) if path else None
    except (StorageFailed, FileNotFoundError):
        return None


@st.cache_data(max_entries=200, show_spinner=False)
def _private_image(path: str) -> bytes:
    return storage().read(path)


@st.cache_data(max_entries=200, show_spinner=False)
def icon(image: bytes) -> str:
    """An image as a small data URI, for a cell of a table."""
    with Image.open(io.BytesIO(image)) as opened:
        opened.thumbnail((ICON_SIDE, ICON_SIDE))
        written = io.BytesIO()
        opened.save(written, "WEBP")
    return f"data:image/webp;base64,{base64.b64encode(written.getvalue()).decode()}"


@st.cache_data(max_entries=200, show_spinner=False)
def preview(_content: bytes, key: str) -> bytes | None:
    """A thumbnail of an image that is not stored; None if it is not an image.

    `key` stands for the content, such as its hash.
    """
    try:
        return anyio.run(check_image, _content).thumbnail
    except NotAnImage:
        return None


def file_name(job: Row) -> str:
    """File name for downloading the image of a job, or a ZIP file of its images."""
    ending = str(job["storage_path"] or job["image_url"] or "").rpartition(".")[2].lower()
    if len(job["outputs"]) > 1:
        ending = "zip"
    elif ending not in MEDIA_TYPES:
        ending = "png"
    return f"{_base_name(job)}.{ending}"


def image_file(job: Row) -> bytes:
    """The file of that name. Raises StorageFailed and FileNotFoundError."""
    return archive([job]) if len(job["outputs"]) > 1 else stored_image(job)


def archive(jobs: Sequence[Row]) -> bytes:
    """All images of some jobs as a ZIP file. Raises what image_file raises."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as written:
        for job in jobs:
            if len(job["outputs"]) < 2:
                written.writestr(file_name(job), stored_image(job))
                continue
            for number, output in enumerate(job["outputs"], 1):
                ending = output["storage_path"].rpartition(".")[2]
                written.writestr(f"{_base_name(job)}-{number}.{ending}", stored_image(output))
    return file.getvalue()


def _base_name(job: Row) -> str:
    return f"{job['model_id'].rpartition('/')[2]}-{str(job['generation_id'])[:8]}"


def stored_image(image: Row) -> bytes:
    """An image's bytes: from this app's storage, or its URL if external functions store it."""
    if settings().functions_elsewhere and not settings().storage_bucket:
        return image_elsewhere(settings(), image_source(image))
    return storage().read(image["storage_path"])
