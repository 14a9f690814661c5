"""The field for input images: files, addresses, and the images of an earlier generation."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from lib.formats import escaped
from lib.generation.uploads import store_upload
from lib.ops.test_runs.submission import Invalid
from lib.settings import settings
from lib.storage import StorageError
from lib.ui.dashboard import pool
from lib.ui.images import preview, storage
from lib.ui.parts.input_images import WIDTH, show_input_images

FORMATS = ("png", "jpg", "jpeg", "webp", "gif")
MAX_MEGABYTES = 25
MAX_ADDRESS_CHARS = 350_000
"""A data URI of 256 kB and some addresses."""
STORED = "stored input images"
NO_SHARED_STORAGE = (
    "Files cannot be uploaded here: the workers run elsewhere and cannot read them. Set"
    " SUPABASE_STORAGE_BUCKET, or enter an image address."
)


def fill_images(key: str, images: Sequence[str]) -> None:
    """Begin a field with the images of an earlier generation."""
    st.session_state[f"{key} kept"] = list(images)
    # A new field, without the files and the address of the present one.
    st.session_state[f"{key} turn"] = _turn(key) + 1


def image_field(
    label: str, key: str, *, several: bool = True, help: str | None = None
) -> list[str | UploadedFile]:
    """Draw the field; its images in order: addresses, references, and files still to be stored."""
    kept: list[str] = st.session_state.get(f"{key} kept", [])
    turn = _turn(key)
    with st.container(gap="small"):
        chosen = st.file_uploader(
            escaped(label),
            FORMATS,
            accept_multiple_files=several,
            key=f"{key} files {turn}",
            help=help,
            max_upload_size=MAX_MEGABYTES,
        )
        files = chosen if isinstance(chosen, list) else [chosen] if chosen else []
        if files:
            _previews(files, label)
        if kept:
            show_input_images(kept, label)
            st.button("Remove previous images", key=f"{key} remove", on_click=_remove, args=(key,))
        address = st.text_input(
            escaped(f"Address: {label}"),
            key=f"{key} address {turn}",
            persist_state="session",
            max_chars=MAX_ADDRESS_CHARS,
            placeholder="Or an image address: https://…",
            label_visibility="collapsed",
        )
    # New ones first: a model that takes one image gets the first.
    return [*files, *(address or "").split(), *kept]


def stored(value: Any, user_id: UUID | None) -> Any:
    """A value with its files stored, each replaced by its reference; other values as they are.

    A file is stored once in a session. Raises Invalid and DatabaseError.
    """
    if isinstance(value, Mapping):
        return {name: stored(one, user_id) for name, one in value.items()}
    if isinstance(value, list):
        return [stored(one, user_id) for one in value]
    if not isinstance(value, UploadedFile):
        return value
    known: dict[tuple[str, UUID | None], str] = st.session_state.setdefault(STORED, {})
    key = (value.file_id, user_id)
    if key not in known:
        if settings().functions_elsewhere and not settings().storage_bucket:
            # Their workers cannot read files of this machine.
            raise Invalid(value.name, NO_SHARED_STORAGE)
        content = value.getvalue()
        try:
            upload = store_upload(pool(), storage(), user_id=user_id, content=content)
        except StorageError as error:
            raise Invalid(value.name, str(error)) from error
        known[key] = upload.reference
    return known[key]


def forget_stored() -> None:
    """Store files again, after their references were refused: they may have been deleted."""
    st.session_state.pop(STORED, None)


def _previews(files: Sequence[UploadedFile], label: str) -> None:
    with st.container(horizontal=True, gap="small"):
        for file in files:
            if thumbnail := preview(file.getvalue(), file.file_id):
                st.image(thumbnail, width=WIDTH, alt=f"{label}: {file.name}")
            else:
                st.caption(f"Not an image: {escaped(file.name[:60])}", width=WIDTH)


def _remove(key: str) -> None:
    del st.session_state[f"{key} kept"]


def _turn(key: str) -> int:
    return int(st.session_state.get(f"{key} turn", 0))
