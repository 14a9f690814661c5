"""Input images of generations: thumbnails of uploads and data URIs, hosts of web addresses."""

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit
from uuid import UUID

import streamlit as st

from lib.formats import escaped, size
from lib.ui.dashboard import read
from lib.ui.images import preview, private_image, storage

UPLOAD, DATA, WEB = "upload:", "data:", ("https://", "http://")
WIDTH = 110
MAX_SHOWN = 20


@dataclass(frozen=True, slots=True)
class InputImage:
    """An input image as it can be shown: `thumbnail` is None if there is nothing to show.

    `path` is where it is stored, None unless it was uploaded. `caption` is Markdown.
    """

    reference: str
    thumbnail: bytes | None
    caption: str
    path: str | None = None

    def read(self) -> bytes:
        """The file itself. Raises StorageFailed and FileNotFoundError."""
        if self.path:
            return storage().read(self.path)
        return data_bytes(self.reference) or b""


def references_of(values: Mapping[str, Any]) -> dict[str, list[str]]:
    """Those of a request's parameters that are files, each with its references and addresses."""
    found = {}
    for name, value in values.items():
        items = value if isinstance(value, list) else [value]
        if items and all(map(_is_reference, items)):
            found[name] = items
    return found


def source_images(values: Mapping[str, Any]) -> list[str]:
    """The images that a request starts from, in order: a mask is none of them."""
    files = references_of(values).items()
    return [one for name, references in files if "mask" not in name for one in references]


def input_images(references: Sequence[str]) -> list[InputImage]:
    """Images as they can be shown, in order."""
    ids = [id for reference in references if (id := upload_id(reference))]
    rows = {row["id"]: row for row in read("inputs", "uploads", ids=ids)} if ids else {}
    return [_input_image(reference, rows) for reference in references]


def show_input_images(references: Sequence[str], label: str) -> None:
    """Draw input images beside one another. Of a web address only the host: it is not loaded."""
    images = input_images(references[:MAX_SHOWN])
    with st.container(horizontal=True, gap="small"):
        for number, image in enumerate(images, 1):
            place = f" {number} of {len(images)}" if len(images) > 1 else ""
            with st.container(width=WIDTH, gap="xsmall"):
                if image.thumbnail:
                    st.image(image.thumbnail, width="stretch", alt=f"{label}{place}")
                st.caption(image.caption)


def upload_id(reference: str) -> UUID | None:
    """The id in the reference of an upload."""
    try:
        return UUID(reference.removeprefix(UPLOAD)) if reference.startswith(UPLOAD) else None
    except ValueError:
        return None


def data_bytes(address: str) -> bytes | None:
    """The content of a data URI; None if it has none or is another address."""
    head, comma, body = address.partition(",")
    if not comma or not head.startswith(DATA):
        return None
    try:
        is_base64 = head.endswith(";base64")
        return base64.b64decode(body, validate=True) if is_base64 else unquote_to_bytes(body)
    except binascii.Error:
        return None


def _is_reference(value: Any) -> bool:
    return isinstance(value, str) and value.startswith((UPLOAD, DATA, *WEB))


def _host(address: str) -> str:
    try:
        return (urlsplit(address).hostname or "web address")[:60]
    except ValueError:
        return "web address"


def _input_image(reference: str, uploads: Mapping[UUID, Mapping[str, Any]]) -> InputImage:
    if reference.startswith(WEB):
        return InputImage(reference, None, f":material/link: {escaped(_host(reference))}")
    if content := data_bytes(reference):
        thumbnail = preview(content, sha256(content).hexdigest())
        return InputImage(reference, thumbnail, f"Data URI, {size(len(content))}")
    id = upload_id(reference)
    if id is None or id not in uploads:
        return InputImage(reference, None, "Upload deleted" if id else "Not an image")
    row = uploads[id]
    caption = f"{row['width']} x {row['height']}, {size(row['bytes'])}"
    thumbnail = private_image(row["thumbnail_path"])
    return InputImage(reference, thumbnail, caption, row["storage_path"])
