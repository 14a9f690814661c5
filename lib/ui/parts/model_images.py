"""The latest images of a model on its page, each beside the image that it started from."""

from itertools import islice

import streamlit as st

from lib.formats import duration, escaped, plural
from lib.ui.dashboard import read
from lib.ui.images import thumbnail_sources
from lib.ui.parts.input_images import input_images

CARD_WIDTH, IMAGE_WIDTH = 210, 90
MAX_CAPTION = 80


def show_model_images(model_id: str) -> None:
    """Draw the latest images of a model with links to their jobs."""
    rows = read("models", "images", model=model_id)
    if not rows:
        return
    st.header("Latest images")
    outputs = iter(thumbnail_sources([image for row in rows for image in row["outputs"]]))
    references = [row["input"] for row in rows if row["input"]]
    inputs = {image.reference: image.thumbnail for image in input_images(references)}
    with st.grid("auto", min_column_width=CARD_WIDTH):
        for row in rows:
            sources = list(islice(outputs, len(row["outputs"])))
            name = row["prompt"] or f"Image by {model_id}"
            with st.container(gap="xsmall"):
                with st.container(horizontal=True, gap="xsmall", vertical_alignment="center"):
                    if source := inputs.get(row["input"]):
                        st.image(source, width=IMAGE_WIDTH, alt=f"Input image: {name}")
                        st.markdown(":material/arrow_forward:", width="content")
                    for output in filter(None, sources):
                        link = f"/job?id={row['id']}"
                        st.image(output, width=IMAGE_WIDTH, alt=name, link=link)
                parts = [duration(row["run_seconds"])]
                if row["images"] > 1:
                    parts.append(plural(row["images"], "image"))
                st.caption(f"{', '.join(parts)}. {escaped((row['prompt'] or '')[:MAX_CAPTION])}")
