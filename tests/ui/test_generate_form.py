"""The form of Generate is drawn from the models' schemas: what a model lacks is not offered."""

from io import BytesIO

import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from lib.database import connect, load
from lib.ops.test_runs.sizes import Model
from lib.ops.test_runs.submission import Submission

SCHNELL, DEV = "black-forest-labs/flux-schnell", "black-forest-labs/flux-dev"
IDEOGRAM = "ideogram-ai/ideogram-v3-turbo"
UPSCALER, KONTEXT = "topazlabs/image-upscale", "black-forest-labs/flux-kontext-pro"


def page(models: dict, chosen: list) -> None:
    import streamlit as st

    from lib.ui.parts.test_run_form import form

    st.session_state.setdefault("models", chosen)
    st.session_state["submission"] = form(models, load_test=False)


def refilled(models: dict, saved: dict) -> None:
    import streamlit as st

    from lib.ui.parts.test_run_form import form, refill

    if "submission" not in st.session_state:
        refill(saved, models)
    st.session_state["submission"] = form(models, load_test=False)


@pytest.fixture(scope="module")
def models(shared_database: str) -> dict[str, Model]:
    with connect(shared_database) as db:
        return {row["id"]: row for row in load("generate").models(db)}


@pytest.fixture(scope="module")
def picture() -> tuple[str, bytes, str]:
    file = BytesIO()
    Image.new("RGB", (64, 48), "teal").save(file, "PNG")
    return "boat.png", file.getvalue(), "image/png"


def drawn(models: dict[str, Model], *chosen: str) -> AppTest:
    script = AppTest.from_function(page, args=(models, list(chosen)), default_timeout=20).run()
    assert not script.exception
    return script


def labels(script: AppTest) -> set[str]:
    kinds = ("text_area", "file_uploader", "selectbox", "slider", "toggle", "number_input")
    return {widget.label for kind in kinds for widget in script.get(kind)}


def submitted(script: AppTest) -> Submission:
    script.button(key="generate").click().run()
    assert not script.exception
    found: Submission = script.session_state["submission"]
    return found


def test_each_input_has_the_control_that_fits_it(models):
    script = drawn(models, DEV)
    assert labels(script) >= {"Prompt", "Input image", "Size", "Seed", "Images per job"}
    steps = next(slider for slider in script.slider if slider.label == "Steps")
    assert (steps.min, steps.max, steps.value) == (1, 50, 28)
    assert {toggle.label for toggle in script.toggle} == {"Go fast", "Disable safety checker"}
    assert "Output format" in {box.label for box in script.selectbox}
    assert [part.label for part in script.expander] == [r"Settings of FLUX\.1 dev"]
    strength = next(one for one in script.slider if one.label == "Prompt strength")
    strength.set_value(0.35)
    assert submitted(script).parameters[DEV]["prompt_strength"] == 0.35


def test_what_a_model_lacks_is_not_offered(models):
    offered = labels(drawn(models, UPSCALER))
    assert not offered & {"Prompt", "Size", "Seed", "Images per job"}
    assert "Input image" in offered
    assert "Input image" not in labels(drawn(models, SCHNELL))


def test_models_share_what_they_share(models, picture):
    script = drawn(models, SCHNELL, DEV)
    found = {part.label.replace("\\", "") for part in script.expander}
    assert found == {
        "Settings of all models",
        "Settings of FLUX.1 schnell",
        "Settings of FLUX.1 dev",
    }
    shared = [toggle for toggle in script.toggle if toggle.label == "Go fast"]
    assert len(shared) == 1
    # Steps differ in their range and default.
    assert sorted(one.value for one in script.slider if one.label == "Steps") == [4, 28]
    shared[0].set_value(False)
    parameters = submitted(script).parameters
    assert parameters[SCHNELL]["go_fast"] is parameters[DEV]["go_fast"] is False


def test_an_earlier_run_fills_in_all_its_images(models):
    mask, style = "https://studio.example/mask.png", "https://studio.example/style.png"
    parameters = {"image": "https://studio.example/a.png", "mask": mask}
    saved = {
        "models": [IDEOGRAM],
        "prompt": "A boat",
        "width": None,
        "height": None,
        "seed": 7,
        "parameters": {IDEOGRAM: parameters | {"style_reference_images": [style]}},
    }
    script = AppTest.from_function(refilled, args=(models, saved), default_timeout=20).run()
    assert not script.exception
    found = submitted(script)
    assert (found.prompt, found.seed, found.models) == ("A boat", 7, [IDEOGRAM])
    assert found.parameters[IDEOGRAM].items() >= saved["parameters"][IDEOGRAM].items()


def test_what_an_earlier_run_left_out_gets_its_default(models):
    saved = {"models": [IDEOGRAM], "prompt": "A boat", "width": None, "height": None, "seed": None}
    script = AppTest.from_function(
        refilled, args=(models, saved | {"parameters": {IDEOGRAM: {}}}), default_timeout=20
    )
    script.session_state[f"magic_prompt_option of {IDEOGRAM}"] = "Off"
    script.run()
    assert not script.exception
    assert submitted(script).parameters[IDEOGRAM].get("magic_prompt_option", "Auto") == "Auto"


def test_with_an_image_the_size_is_that_of_the_image(models, picture):
    script = drawn(models, KONTEXT)
    assert script.selectbox(key="run size").value.startswith("1:1")
    script.file_uploader[0].set_value([picture]).run()
    assert script.selectbox(key="run size").value == "Same as input image"
    assert (submitted(script).width, submitted(script).height) == (None, None)
