"""The page Generate in a real browser: from the click to the image, and what can go wrong."""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect
from running_app import App, apps

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


def generate(page: Page) -> None:
    page.get_by_role("button", name="Generate", exact=True).click()


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
    assert image.evaluate("image => image.decode().then(() => image.naturalWidth)") == 1024
    expect(page.get_by_text("1 completed, 1 in all.")).to_be_visible()
    expect(page.get_by_text("total")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_test_id("stDownloadButton").get_by_role("button").click()
    assert download.value.path().read_bytes().startswith(b"RIFF")

    other = browser.new_context().new_page()
    other.goto(f"{app.url}/generate?run={run_of(page)}")
    expect(other.get_by_role("img", name=prompt)).to_be_visible(timeout=30_000)
    other.get_by_role("button", name="Change and submit again").click()
    expect(other.get_by_label("Prompt", exact=True)).to_have_value(prompt)
    other.context.close()


@pytest.mark.slow
def test_two_models_side_by_side(app: App, page: Page):
    open_form(page, app, f"?models={SCHNELL}&models={DEV}")
    page.get_by_label("Images of each model", exact=True).fill("2")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Starts 4 jobs. Costs nothing")).to_be_visible()
    write(page, "Two models")
    page.get_by_label("Seed", exact=True).fill("7")
    generate(page)
    expect(page.get_by_role("img", name="Two models")).to_have_count(4, timeout=30_000)
    expect(page.get_by_text("4 completed, 4 in all.")).to_be_visible()
    boxes = [image.bounding_box() for image in page.get_by_role("img", name="Two models").all()]
    columns = {round(box["x"]) for box in boxes if box}
    assert len(columns) == 2
    rows = app.rows(
        "select model_id, parameters from public.image_generations where prompt = 'Two models'"
        " order by model_id, parameters ->> 'seed'"
    )
    assert [(row["model_id"], row["parameters"]["seed"]) for row in rows] == [
        (DEV, 7), (DEV, 8), (SCHNELL, 7), (SCHNELL, 8),
    ]  # fmt: skip
    assert rows[0]["parameters"]["num_inference_steps"] == 28


@pytest.mark.slow
def test_a_load_test_of_fifty_adds_up(app: App, page: Page):
    open_form(page, app)
    page.get_by_role("combobox", name="Size").click()
    page.get_by_role("option", name="Small").click()
    page.get_by_text("Load test").click()
    page.get_by_label("Jobs per second", exact=True).fill("20")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Starts 50 jobs, due over 2 s.")).to_be_visible()
    write(page, "Fifty")
    generate(page)
    expect(page.get_by_text("50 completed, 50 in all.")).to_be_visible(timeout=60_000)
    expect(page.get_by_text("50 of 50 jobs have ended")).to_be_visible()
    assert statuses(app, "Fifty") == {"completed": 50}
    [span] = app.rows(
        "select count(distinct due_at), extract(epoch from max(due_at) - min(due_at)) as seconds"
        " from public.test_run_jobs t join public.image_generations g on g.id = t.generation_id"
        " where g.prompt = 'Fifty'"
    )
    assert (span["count"], float(span["seconds"])) == (50, pytest.approx(49 / 20))


def test_a_running_job_is_cancelled(app: App, page: Page):
    open_form(page, app)
    write(page, "Never ends [hang]")
    generate(page)
    expect(page.get_by_text("1 running, 1 in all.")).to_be_visible(timeout=30_000)
    page.get_by_role("button", name="Cancel 1 job").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel 1 job").click()
    expect(page.get_by_text("1 cancelled, 1 in all.")).to_be_visible(timeout=30_000)
    assert statuses(app, "Never ends [hang]") == {"cancelled": 1}


def test_what_is_wrong_is_named_and_starts_nothing(app: App, page: Page):
    open_form(page, app, "?models=nobody/nothing")
    write(page, "Wrong model")
    generate(page)
    expect(alert(page)).to_contain_text("Models: there is no enabled model nobody/nothing.")
    open_form(page, app)
    generate(page)
    expect(alert(page)).to_contain_text("Prompt: write what the image shall show.")
    write(page, "Wrong")
    page.get_by_label("Negative prompt", exact=True).fill("fog")
    generate(page)
    expect(alert(page)).to_contain_text("Negative prompt: none of the chosen models")
    assert statuses(app, "Wrong model") == statuses(app, "Wrong") == {}
    assert not app.rows("select from public.test_runs where prompt like 'Wrong%'")


def test_a_double_click_starts_one(app: App, page: Page):
    prompt = "Twice [slow]"
    open_form(page, app, f"?models={DEV}")
    write(page, prompt)
    page.get_by_role("button", name="Generate", exact=True).dblclick()
    expect(page.get_by_text("1 running, 1 in all.")).to_be_visible()
    generate(page)
    expect(page.get_by_text("Under way already: nothing new was started.")).to_be_visible()
    expect(page.get_by_role("img", name=prompt)).to_be_visible(timeout=30_000)
    assert statuses(app, prompt) == {"completed": 1}


@pytest.mark.slow
def test_a_deleted_run_leaves_nothing_and_touches_nothing_else(
    app: App, page: Page, eventually: Callable[..., Any]
):
    app.call("start-generation", {"prompt": "Real", "model_id": SCHNELL})
    eventually(lambda: statuses(app, "Real") == {"completed": 1})
    images = set((app.folder / "images").iterdir())
    jobs = app.rows("select count(*) from public.job_queue")
    open_form(page, app)
    page.get_by_label("Images of each model", exact=True).fill("2")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Starts 2 jobs")).to_be_visible()
    write(page, "To be deleted")
    generate(page)
    expect(page.get_by_text("2 completed, 2 in all.")).to_be_visible(timeout=30_000)
    run = run_of(page)
    page.get_by_role("button", name="Delete this run").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete 1 run").click()
    expect(page.get_by_text("1 test run with 2 jobs deleted.")).to_be_visible(timeout=30_000)
    assert statuses(app, "To be deleted") == {}
    assert statuses(app, "Real") == {"completed": 1}
    assert app.rows("select count(*) from public.job_queue") == jobs
    assert set((app.folder / "images").iterdir()) == images
    [audit] = app.rows(
        "select action, affected, details from public.audit_log order by id desc limit 1"
    )
    assert (audit["action"], audit["affected"]) == ("delete_test_run", 2)
    assert audit["details"]["run_id"] == run
    page.goto(f"{app.url}/generate?run={run}")
    expect(page.get_by_text("There is no such test run (any more).")).to_be_visible(timeout=30_000)
