"""The images of a test run, as files for the operator."""

import io
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

import httpx

from lib.dashboard import own_url
from lib.settings import settings
from lib.storage import LocalStorage

Row = Mapping[str, Any]
"""A completed row of the query `jobs` of queries/generate.sql."""


def storage() -> LocalStorage:
    """Where this app keeps images."""
    return LocalStorage(settings().images, own_url())


def file_name(job: Row) -> str:
    """What the image is called on the operator's computer."""
    ending = str(job["storage_path"] or job["image_url"] or "").rpartition(".")[2].lower()
    model = job["model_id"].rpartition("/")[2]
    ending = ending if ending in ("png", "webp", "jpg") else "png"
    return f"{model}-{str(job['generation_id'])[:8]}.{ending}"


def image_bytes(job: Row) -> bytes:
    """The image, from the folder of this app or, in a project, from its address."""
    if settings().supabase_url:
        return httpx.get(job["image_url"], follow_redirects=True).raise_for_status().content
    return storage().read(job["storage_path"])


def archive(jobs: Sequence[Row]) -> bytes:
    """The images of several jobs as a ZIP file."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as written:
        for job in jobs:
            written.writestr(file_name(job), image_bytes(job))
    return file.getvalue()
