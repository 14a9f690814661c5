"""Does a generation run through, now, with this model?"""

import textwrap
from uuid import uuid4

import streamlit as st

from lib.client import StartRefused, start_image_generation
from lib.dashboard import (
    REFRESH_SECONDS,
    functions_url,
    image_source,
    read,
    read_anew,
    say_when_away,
)
from lib.formats import duration
from lib.service import project_keys
from lib.settings import settings

STATUS_WORDS = {
    "queued": "Waits for a worker",
    "processing": "Running",
    "completed": "Completed",
    "failed": "Failed",
    "cancelled": "Cancelled",
}

st.title("Generate")
st.caption("Test generations go through the real queue. They count for no user's limit.")


def form() -> None:
    with say_when_away():
        models = {model["id"]: model for model in read("generate", "models")}
        with st.form("generate"):
            prompt = st.text_area(
                "Prompt", placeholder="What should the image show?", max_chars=10_000, key="prompt"
            )
            model_id = st.selectbox(
                "Model", models, format_func=lambda id: f"{models[id]['display_name']} – {id}"
            )
            with st.grid("auto", min_column_width=140):
                width = st.number_input("Width in pixels", 64, 2048, 1024, step=64)
                height = st.number_input("Height in pixels", 64, 2048, 1024, step=64)
                seed = st.number_input(
                    "Seed", 0, 2**32 - 1, None, step=1, help="The same seed gives the same image."
                )
            if st.form_submit_button("Generate", type="primary"):
                start(prompt, model_id, width, height, seed)


def start(prompt: str, model_id: str, width: int, height: int, seed: int | None) -> None:
    if not prompt.strip():
        st.error("Write a prompt first: what should the image show?")
        return
    try:
        started = start_image_generation(
            functions_url(),
            project_keys(settings()).secret,
            prompt=prompt,
            model_id=model_id,
            idempotency_key=str(uuid4()),
            test=True,
            width=width,
            height=height,
            seed=seed,
        )
    except StartRefused as refusal:
        st.error("Not started:")
        st.text(str(refusal))
        return
    st.session_state["watched"] = started.generation_id
    read_anew()


@st.fragment(run_every=REFRESH_SECONDS / 2)
def live() -> None:
    with say_when_away():
        tests = read("generate", "last_tests")
        if not tests:
            st.info("No test yet. Write a prompt above and press Generate: the image appears here.")
            return
        watched = [test for test in tests if test["id"] == st.session_state.get("watched")]
        for test in watched:
            large(test)
        st.subheader("The last twenty tests")
        with st.grid("auto", min_column_width=150, border=True):
            for test in tests:
                with st.container():
                    small(test)


def large(test: dict) -> None:
    with st.container(border=True):
        progress(test)
        st.text(test["prompt"])
        if test["status"] == "completed":
            st.image(image_source(test), width=512, alt=test["prompt"])
        elif test["error_message"]:
            st.text(test["error_message"])


def progress(test: dict) -> None:
    words = f"{STATUS_WORDS[test['status']]} · waited {duration(test['wait_seconds'])}"
    if test["run_seconds"] is not None:
        words += f", ran {duration(test['run_seconds'])}"
    st.progress(test["progress"], words)


def small(test: dict) -> None:
    match test["status"]:
        case "completed":
            st.image(image_source(test), width="stretch", alt=test["prompt"])
        case "failed" | "cancelled":
            st.badge(STATUS_WORDS[test["status"]], color="red")
        case _:
            st.progress(test["progress"], STATUS_WORDS[test["status"]])
    st.text(textwrap.shorten(test["prompt"], 80))
    st.text(f"{test['model_id']}\n{duration(test['run_seconds'])}")
    if test["error_message"]:
        st.text(textwrap.shorten(test["error_message"], 160))


form()
live()
