"""What was asked of the model and what was sent to it, on the page Job."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from lib.formats import escaped, size
from lib.ui.parts.input_images import references_of, show_input_images

BOX_HEIGHT, PROMPT_HEIGHT = 400, 160
"""Longer texts are shown in a scrolling box of this height."""
MAX_DATA = 60

Job = Mapping[str, Any]
"""A row of the query `job` of queries/job.sql."""


def show_request(job: Job, predictions: Sequence[Job]) -> None:
    """Draw a job's input: its prompt, images and other parameters, and all of it as JSON."""
    asked = json.loads(job["parameters"])
    sent = json.loads((predictions[-1]["input"] if predictions else None) or "{}")
    files = references_of(sent | asked)
    labels = {name: job[name] for name in ("application", "metadata") if job[name] is not None}
    fields, raw = st.tabs(["Input", "JSON"])
    with fields:
        if job["prompt"]:
            show_text(job["prompt"], height=PROMPT_HEIGHT)
        for name, references in files.items():
            st.caption(escaped(_parameter_label(name)))
            show_input_images(references, _parameter_label(name))
        with st.container(horizontal=True, gap="medium"):
            _field("Model", job["model_id"])
            if sides := _size_text(job, asked, sent):
                _field("Size", sides)
            if "seed" in asked or "seed" in sent or not sent:
                _field("Seed", _both(asked.get("seed", "random"), sent.get("seed")))
            shown = {"prompt", "seed", "width", "height", *files}
            for name in sorted((asked.keys() | sent.keys()) - shown):
                _field(_parameter_label(name), _both(asked.get(name), sent.get(name)))
            _field("Requested by", job["email"] or job["user_id"] or job["source"] or "no user")
            for name, value in labels.items():
                text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
                _field(name.capitalize(), text)
        for notice in job["notices"] or ():
            st.caption(escaped(notice))
    with raw:
        st.caption("Requested")
        _show_json(
            {"model": job["model_id"], "prompt": job["prompt"]}
            | json.loads(job["parameters"])
            | labels
        )
        if predictions and predictions[-1]["input"]:
            st.caption("Sent to the provider")
            _show_json(json.loads(predictions[-1]["input"]))


def _size_text(job: Job, asked: Mapping[str, Any], sent: Mapping[str, Any]) -> str | None:
    """The size that was asked for, and that of the image if it differs."""
    before, after = _dimensions(asked), _dimensions(sent)
    if known := job["size"]:
        before = _dimensions(known["requested"]) or known["requested"].get("aspect_ratio")
        after = _dimensions(known["expected"] or {})
        if after and not known["expected"]["exact"]:
            after = f"about {after}"
    return _both(before, after) if before or after else None


def _dimensions(values: Mapping[str, Any]) -> str | None:
    if not {"width", "height"} & values.keys():
        return None
    return f"{values.get('width', '?')} x {values.get('height', '?')}"


def _both(asked: object, sent: object) -> str:
    """What was asked for, and what was sent instead."""
    if asked is None:
        return str(sent)
    return str(asked) if sent is None or sent == asked else f"{asked} → {sent}"


def _parameter_label(name: str) -> str:
    """Such as "Aspect ratio" for aspect_ratio."""
    return name.removeprefix("num_").replace("_", " ").capitalize()


def _field(label: str, value: object) -> None:
    with st.container(width="content", gap=None):
        st.caption(escaped(label[:60]))
        st.text(str(value)[:300])


def _show_json(values: Mapping[str, Any]) -> None:
    shown = {name: _shortened(value) for name, value in values.items()}
    show_text(json.dumps(shown, indent=2, ensure_ascii=False), "json")


def _shortened(value: Any) -> Any:
    """A value with only the start of its data URIs, which are as long as their files."""
    if isinstance(value, list):
        return [_shortened(item) for item in value]
    if isinstance(value, str) and value.startswith("data:") and len(value) > MAX_DATA:
        return f"{value[:MAX_DATA]}… ({size(len(value))})"
    return value


def show_text(text: str, language: str | None = None, height: int = BOX_HEIGHT) -> None:
    """Draw a text as code, in a scrolling box if it is higher than `height` pixels."""
    is_long = len(text) > 3 * height
    # Code that scrolls by itself cannot be scrolled by keyboard.
    with st.container(height=height if is_long else "content", border=False):
        st.code(text, language=language, wrap_lines=True)
