"""The page Generate in a real browser: from the click to the image, and what can go wrong."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect
from running_app import App, apps

pytestmark = pytest.mark.slow

SCHNELL, DEV = "black-forest-labs/flux-schnell", "black-forest-labs/flux-dev"


@pytest.fixture(scope="module")
def app(eventually: Callable[..., Any]) -> Iterator[App]:
    with apps(eventually) as make:
        yield make(
            DARKROOM_SAMPLE_DATA="0",
            DARKROOM_SIMULATOR_SPEED="20",
            DARKROOM_HEARTBEAT_SECONDS="0.5",
        ).start()


def open_form(page: Page, app: App, query: str = "") -> None:
    page.goto(f"{app.url}/generate{query}")
    expect(page.get_by_label("Prompt", exact=True)).to_be_visible(timeout=30_000)


def write(page: Page, prompt: str) -> None:
    page.get_by_label("Prompt", exact=True).fill(prompt)


def generate(page: Page, count: int = 1) -> None:
    words = f"{count} image" if count == 1 else f"{count} images"
    page.get_by_role("button", name=f"Generate {words}", exact=True).click()


def run_of(page: Page) -> str:
    page.wait_for_url("**run=*")
    return page.url.partition("run=")[2][:36]


def alert(page: Page) -> Locator:
    return page.get_by_test_id("stAlert").filter(has_text="Not started.")


def statuses(app: App, prompt: str) -> dict[str, int]:
    """How many generations of a prompt are in each status."""
    rows = app.rows("select prompt, status from public.image_generations")
    return Counter(row["status"] for row in rows if row["prompt"] == prompt)


def test_a_generation_is_watched_to_its_image_and_its_address_shows_it_to_others(
    app: App, page: Page, browser: Browser
):
    prompt = "A red kite over <b>dunes</b>"
    open_form(page, app)
    write(page, prompt)
    generate(page)
    image = page.get_by_role("img", name=prompt)
    expect(image).to_be_visible(timeout=30_000)
    assert image.evaluate("image => image.decode().then(() => image.naturalWidth)") == 512
    expect(page.get_by_text("1 of 1 completed")).to_be_visible()
    expect(page.get_by_text("Ran ")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_test_id("stDownloadButton").get_by_role("button").click()
    with Image.open(download.value.path()) as whole:
        assert (whole.format, whole.size) == ("WEBP", (1024, 1024))
    job = image.locator("xpath=ancestor::a").get_attribute("href")
    opens = page.get_by_role("link", name="Open").get_attribute("href")
    assert job == f"/{opens}"

    other = browser.new_context().new_page()
    other.goto(f"{app.url}/generate?run={run_of(page)}")
    expect(other.get_by_role("img", name=prompt)).to_be_visible(timeout=30_000)
    other.get_by_role("button", name="Edit settings").click()
    expect(other.get_by_label("Prompt", exact=True)).to_have_value(prompt)
    other.context.close()


def test_two_models_side_by_side(app: App, page: Page):
    open_form(page, app, f"?models={SCHNELL}&models={DEV}")
    page.get_by_label("Jobs per model", exact=True).fill("2")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Free of charge")).to_be_visible()
    write(page, "Two models")
    page.get_by_label("Seed", exact=True).fill("7")
    generate(page, 4)
    expect(page.get_by_role("img", name="Two models")).to_have_count(4, timeout=30_000)
    expect(page.get_by_text("4 of 4 completed")).to_be_visible()
    boxes = [image.bounding_box() for image in page.get_by_role("img", name="Two models").all()]
    # Four across: those of the first model, then those of the second.
    assert len({round(box["x"]) for box in boxes if box}) == 4
    assert len({round(box["y"]) for box in boxes if box}) == 1
    page.set_viewport_size({"width": 390, "height": 844})
    page.wait_for_function(
        "new Set([...document.querySelectorAll('img[alt=\"Two models\"]')]"
        ".map((image) => Math.round(image.getBoundingClientRect().x))).size === 2"
    )
    rows = app.rows(
        "select model_id, parameters from public.image_generations where prompt = 'Two models'"
        " order by model_id, parameters ->> 'seed'"
    )
    assert [(row["model_id"], row["parameters"]["seed"]) for row in rows] == [
        (DEV, 7), (DEV, 8), (SCHNELL, 7), (SCHNELL, 8),
    ]  # fmt: skip
    assert rows[0]["parameters"]["num_inference_steps"] == 28


def test_a_load_test_of_fifty_adds_up(app: App, page: Page):
    open_form(page, app, "?show=Load+test")
    page.get_by_role("combobox", name="Size").fill("512")
    page.get_by_role("option", name="1:1 (about 512 x 512)").click()
    page.get_by_label("Jobs per second", exact=True).fill("20")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Scheduled over 2.0 s.")).to_be_visible()
    write(page, "Fifty")
    page.get_by_role("button", name="Start 50 jobs").click()
    expect(page.get_by_text("50 completed, 50 in total")).to_be_visible(timeout=60_000)
    expect(page.get_by_text("50 of 50 jobs ended")).to_be_visible()
    assert statuses(app, "Fifty") == {"completed": 50}
    [span] = app.rows(
        "select count(distinct due_at), extract(epoch from max(due_at) - min(due_at)) as seconds"
        " from public.test_run_jobs t join public.image_generations g on g.id = t.generation_id"
        " where g.prompt = 'Fifty'"
    )
    assert (span["count"], float(span["seconds"])) == (50, pytest.approx(49 / 20))


def test_a_running_job_is_cancelled_with_one_click(app: App, page: Page):
    open_form(page, app)
    write(page, "Never ends [hang]")
    generate(page)
    expect(page.get_by_text(re.compile(r"Running \d+%"))).to_be_visible(timeout=30_000)
    page.get_by_role("button", name="Cancel job", exact=True).click()
    expect(page.get_by_text("1 job cancelled.")).to_be_visible(timeout=30_000)
    expect(page.get_by_text("0 of 1 completed · 1 cancelled")).to_be_visible(timeout=30_000)
    assert statuses(app, "Never ends [hang]") == {"cancelled": 1}
    [audit] = app.rows("select action, affected from public.audit_log order by id desc limit 1")
    assert (audit["action"], audit["affected"]) == ("cancel_jobs", 1)

    page.get_by_role("button", name="Run again").click()
    expect(page.get_by_role("button", name="Cancel job", exact=True)).to_be_visible(timeout=30_000)
    assert Counter(statuses(app, "Never ends [hang]").keys()) == {"cancelled": 1, "processing": 1}
    page.get_by_role("button", name="Cancel job", exact=True).click()
    expect(page.get_by_text("0 of 1 completed · 1 cancelled")).to_be_visible(timeout=30_000)


def test_before_the_first_run_examples_fill_the_prompt(app: App, page: Page):
    open_form(page, app)
    expect(page.get_by_role("heading", name="Examples")).to_be_visible()
    expect(page.get_by_role("button", name="Use prompt")).to_have_count(3)
    island = page.get_by_role("img", name="A small island")
    assert island.evaluate("image => image.decode().then(() => image.naturalWidth)") == 512
    page.get_by_role("button", name="Use prompt").nth(1).click()
    expect(page.get_by_label("Prompt", exact=True)).to_have_value(
        "A small island with palm trees, flat vector poster, at sunset"
    )
    # What is typed is kept on the other tab, and back.
    page.get_by_role("tab", name="Load test").click()
    expect(page.get_by_role("button", name="Start 50 jobs")).to_be_visible(timeout=30_000)
    expect(page.get_by_label("Prompt", exact=True)).to_have_value(
        "A small island with palm trees, flat vector poster, at sunset"
    )


def test_an_earlier_run_opens_on_its_tab(app: App, page: Page):
    open_form(page, app)
    write(page, "Earlier")
    generate(page)
    expect(page.get_by_text("1 of 1 completed")).to_be_visible(timeout=30_000)
    page.goto(f"{app.url}/generate?show=Earlier+runs")
    # The checkbox of the first row; the table is drawn on a canvas.
    page.get_by_test_id("stDataFrame").first.click(position={"x": 16, "y": 62}, timeout=30_000)
    page.get_by_role("button", name="Open run").click()
    expect(page.get_by_role("img", name="Earlier", exact=True)).to_be_visible(timeout=30_000)
    expect(page.get_by_role("tab", name="Images")).to_have_attribute("aria-selected", "true")
    assert "run=" in page.url


def test_what_is_wrong_is_named_and_starts_nothing(app: App, page: Page):
    open_form(page, app, "?models=nobody/nothing")
    write(page, "Wrong model")
    generate(page)
    expect(alert(page)).to_contain_text("Models: nobody/nothing is not an enabled model.")
    open_form(page, app)
    generate(page)
    expect(alert(page)).to_contain_text("Prompt: describe the image.")
    # Only models that take one have a field for it.
    expect(page.get_by_label("Negative prompt", exact=True)).to_be_hidden()
    assert statuses(app, "Wrong model") == {}
    assert not app.rows("select from public.test_runs where prompt like 'Wrong%'")


def test_a_double_click_starts_one(app: App, page: Page):
    prompt = "Twice [slow]"
    open_form(page, app, f"?models={DEV}")
    write(page, prompt)
    page.get_by_role("button", name="Generate 1 image", exact=True).dblclick()
    expect(page.get_by_text(re.compile(r"Running \d+%"))).to_be_visible()
    generate(page)
    expect(page.get_by_text("Already running. Nothing new was started.")).to_be_visible()
    expect(page.get_by_role("img", name=prompt)).to_be_visible(timeout=30_000)
    assert statuses(app, prompt) == {"completed": 1}


def test_a_deleted_run_leaves_nothing_and_touches_nothing_else(
    app: App, page: Page, eventually: Callable[..., Any]
):
    app.call("start-generation", {"prompt": "Real", "model_id": SCHNELL})
    eventually(lambda: statuses(app, "Real") == {"completed": 1})
    images = set((app.folder / "images").rglob("*"))
    jobs = app.rows("select count(*) from public.job_queue")
    open_form(page, app)
    page.get_by_label("Jobs per model", exact=True).fill("2")
    page.keyboard.press("Enter")
    write(page, "To be deleted")
    generate(page, 2)
    expect(page.get_by_text("2 of 2 completed")).to_be_visible(timeout=30_000)
    run = run_of(page)
    page.get_by_role("button", name="Delete run").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete 1 run").click()
    expect(page.get_by_text("1 test run with 2 jobs deleted.")).to_be_visible(timeout=30_000)
    assert statuses(app, "To be deleted") == {}
    assert statuses(app, "Real") == {"completed": 1}
    assert app.rows("select count(*) from public.job_queue") == jobs
    assert set((app.folder / "images").rglob("*")) == images
    [audit] = app.rows(
        "select action, affected, details from public.audit_log order by id desc limit 1"
    )
    assert (audit["action"], audit["affected"]) == ("delete_test_run", 2)
    assert audit["details"]["run_id"] == run
    page.goto(f"{app.url}/generate?run={run}")
    expect(page.get_by_text("This run no longer exists.")).to_be_visible(timeout=30_000)
