"""Every shipped model with input images through the page Generate, and what the pages then show."""

import re
import zipfile
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from PIL import Image
from playwright.sync_api import Page, expect
from running_app import App, apps
from streamlit.testing.v1 import AppTest

from bench.recording import framed
from lib.database import embedded
from lib.provider.simulator.models import SHIPPED
from lib.settings import settings
from lib.ui import dashboard
from lib.ui.access import roles

pytestmark = pytest.mark.slow

PROJECT = Path(__file__).parents[2]
LONG = 60_000
KONTEXT, UPSCALER = "black-forest-labs/flux-kontext-pro", "topazlabs/image-upscale"
BLUE = (30, 60, 220)


def takes_images(field: Any) -> bool:
    return "uri" in (field.get("format"), field.get("items", {}).get("format"))


WITH_IMAGES = [id for id, one in SHIPPED.items() if any(map(takes_images, one.inputs.values()))]


def png() -> bytes:
    file = BytesIO()
    Image.new("RGB", (96, 64), BLUE).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="module")
def app(eventually: Callable[..., Any]) -> Iterator[App]:
    with apps(eventually) as make:
        yield make(DARKROOM_SAMPLE_DATA="0", DARKROOM_SIMULATOR_SPEED="50").start()


@pytest.fixture
def generate(app: App, monkeypatch: pytest.MonkeyPatch) -> Iterator[AppTest]:
    """The page of that app, without a browser."""
    monkeypatch.setenv("DATABASE_URL", embedded.start(app.folder / "postgres").url)
    monkeypatch.setenv("DARKROOM_DATA", str(app.folder))
    monkeypatch.setenv("DARKROOM_URL", app.url)
    monkeypatch.setattr(roles, "is_local_request", lambda *_: True)
    settings.cache_clear()
    st.cache_resource.clear()
    with framed():
        page = AppTest.from_file(str(PROJECT / "app.py"), default_timeout=60).run()
        yield page.switch_page("pages/generate.py").run()
    dashboard.pool().close()
    st.cache_resource.clear()
    settings.cache_clear()


@pytest.mark.parametrize("model", WITH_IMAGES)
def test_every_model_makes_an_image_of_an_uploaded_one(app, generate, eventually, model):
    generate.multiselect(key="models").set_value([model]).run()
    prompt = f"In the style of {model}" if "prompt" in SHIPPED[model].inputs else ""
    assert [area.label for area in generate.text_area] == (["Prompt"] if prompt else [])
    examples = [button for button in generate.button if button.label == "Use prompt"]
    assert bool(examples) is bool(prompt)
    if prompt:
        generate.text_area(key="run prompt").set_value(prompt)
    [uploader] = [one for one in generate.file_uploader if one.label.startswith("Input image")]
    uploader.set_value([("boat.png", png(), "image/png")]).run()
    generate.button(key="generate").click().run()
    assert not generate.exception
    assert [error.value for error in generate.error] == []
    query = (
        "select g.model_id, g.status, g.error_message, u.width from public.test_run_jobs t"
        " join public.image_generations g on g.id = t.generation_id"
        " left join public.generation_uploads n on n.generation_id = g.id"
        " left join public.uploads u on u.id = n.upload_id"
        " where t.run_id = (select r.id from public.test_runs r order by r.created_at desc limit 1)"
    )
    eventually(lambda: app.rows(query)[0]["status"] in ("completed", "failed"), 60)
    assert app.rows(query) == [
        {"model_id": model, "status": "completed", "error_message": None, "width": 96}
    ]


def uploaded(page: Page, app: App, *models: str) -> None:
    """Open the form for some models and give them an image."""
    query = "&".join(f"models={model}" for model in models)
    page.goto(f"{app.url}/generate?{query}")
    file = {"name": "boat.png", "mimeType": "image/png", "buffer": png()}
    page.locator("input[type=file]").first.set_input_files(file, timeout=LONG)
    expect(page.get_by_role("img", name="boat.png")).to_be_visible(timeout=LONG)


def test_an_edit_is_compared_with_its_input_and_run_again_with_it(app: App, page: Page):
    uploaded(page, app, KONTEXT)
    page.get_by_label("Prompt", exact=True).fill("The boat at night")
    page.get_by_role("button", name="Generate 1 image", exact=True).click()
    expect(page.get_by_text("1 of 1 completed")).to_be_visible(timeout=LONG)
    expect(page.get_by_role("img", name="Input image", exact=True)).to_be_visible()
    page.get_by_role("link", name="Open").click()
    job = re.compile(r"/job\?id=[0-9a-f-]{36}")
    expect(page).to_have_url(job, timeout=LONG)
    first = page.url
    main = page.get_by_test_id("stMain")
    # The address of an upload is no text that anybody has to read.
    expect(main.get_by_role("img", name="Input image", exact=True)).to_be_visible(timeout=LONG)
    expect(main.get_by_text(re.compile(r"^96 x 64, \d+ B$"))).to_be_visible()
    main.get_by_role("tab", name="Comparison").click()
    divided = main.get_by_role("img", name="Input image in the left 50%")
    expect(divided).to_be_visible(timeout=LONG)
    main.get_by_role("slider", name="Divider").press("ArrowRight")
    expect(main.get_by_role("img", name="Input image in the left 52%")).to_be_visible(timeout=LONG)

    page.get_by_role("button", name="Run again…").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("img")).to_have_count(1, timeout=LONG)
    dialog.get_by_role("textbox", name="Prompt", exact=True).fill("The boat in fog")
    dialog.get_by_role("textbox", name="Prompt", exact=True).press("Tab")
    dialog.get_by_role("button", name="Run again", exact=True).click()
    expect(page).not_to_have_url(first, timeout=LONG)
    expect(main.get_by_text("The boat in fog", exact=True)).to_be_visible(timeout=LONG)
    rows = app.rows(
        "select count(distinct n.upload_id) as uploads, count(*) as generations"
        " from public.generation_uploads n"
        " join public.image_generations g on g.id = n.generation_id where g.prompt ~ '^The boat'"
    )
    assert rows == [{"uploads": 1, "generations": 2}]


def test_settings_of_a_run_are_edited_with_its_image(app: App, page: Page):
    uploaded(page, app, UPSCALER)
    page.get_by_role("button", name="Generate 1 image", exact=True).click()
    expect(page.get_by_text("1 of 1 completed")).to_be_visible(timeout=LONG)
    page.get_by_role("button", name="Edit settings").click()
    page.get_by_role("button", name="Remove previous images").click(timeout=LONG)
    expect(page.get_by_role("button", name="Remove previous images")).to_be_hidden(timeout=LONG)
    page.get_by_role("button", name="Generate 1 image", exact=True).click()
    refusal = page.get_by_test_id("stAlert").filter(has_text="Not started.")
    expect(refusal).to_contain_text("Image of topazlabs/image-upscale: is required.", timeout=LONG)


def test_a_file_that_is_no_image_starts_nothing(app: App, page: Page):
    page.goto(f"{app.url}/generate?models={UPSCALER}")
    file = {"name": "boat.png", "mimeType": "image/png", "buffer": b"<b>no</b> image"}
    page.locator("input[type=file]").first.set_input_files(file, timeout=LONG)
    expect(page.get_by_text("Not an image: boat.png")).to_be_visible(timeout=LONG)
    page.get_by_role("button", name="Generate 1 image", exact=True).click()
    refusal = page.get_by_test_id("stAlert").filter(has_text="Not started.")
    expect(refusal).to_contain_text("boat.png", timeout=LONG)


def test_several_images_of_a_job_are_a_gallery_and_one_archive(app: App, page: Page):
    page.goto(f"{app.url}/generate?models=black-forest-labs/flux-schnell")
    page.get_by_label("Images per job", exact=True).fill("4", timeout=LONG)
    page.keyboard.press("Enter")
    page.get_by_label("Prompt", exact=True).fill("Four boats")
    page.get_by_role("button", name="Generate 4 images", exact=True).click()
    images = page.get_by_role("img", name=re.compile(r"^Image \d of 4: Four boats"))
    expect(images).to_have_count(4, timeout=LONG)
    expect(page.get_by_text(re.compile(r"^Ran .*, seed \d+, 4 images$"))).to_be_visible()
    with page.expect_download() as download:
        page.get_by_test_id("stDownloadButton").get_by_role("button").first.click()
    with zipfile.ZipFile(download.value.path()) as archive:
        assert len(archive.namelist()) == 4
    page.get_by_role("link", name="Open").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download 4 images").click(timeout=LONG)
    with zipfile.ZipFile(download.value.path()) as archive:
        assert len(archive.namelist()) == 4
