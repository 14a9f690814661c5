"""The page Job: status with advice, the request, the attempts, the log, and running it again."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect
from running_app import App, apps

from lib.database import connect, embedded

pytestmark = pytest.mark.slow

LONG = 30_000
SCHNELL, DEV = "black-forest-labs/flux-schnell", "black-forest-labs/flux-dev"
HOSTILE = "A kite **bold** :red[x] <img src=x> [402]"
USER = "6f1d0d0e-0000-4000-8000-000000000001"


@pytest.fixture(scope="module")
def app(eventually) -> Iterator[App]:
    with apps(eventually) as make:
        made = make(DARKROOM_SAMPLE_DATA="0").start()
        change(made, "insert into auth.users (id, email) values (%s, 'ann@studio.example')", USER)
        yield made


def change(app: App, statement: str, *args: object) -> None:
    with connect(embedded.start(app.folder / "postgres").url) as db:
        db.execute(statement.encode(), args)


def rows(app: App, query: str, *args: object) -> list[dict[str, Any]]:
    with connect(embedded.start(app.folder / "postgres").url) as db:
        return db.execute(query.encode(), args).fetchall()


def status(app: App, job: str) -> str:
    return str(rows(app, "select status from job_queue where id = %s", job)[0]["status"])


def start(app: App, prompt: str, **fields: Any) -> str:
    """The id of the job of a new generation."""
    asked = {"prompt": prompt, "model_id": SCHNELL, "user_id": USER} | fields
    return str(app.call("start-generation", asked)["job_id"])


def opened(page: Page, app: App, job: str, **parameters: str) -> Page:
    extra = "".join(f"&{name}={value}" for name, value in parameters.items())
    page.goto(f"{app.url}/job?id={job}{extra}")
    return page


def ended(eventually, app: App, job: str) -> None:
    eventually(lambda: status(app, job) in ("completed", "failed"))


def sees(place: Page | Locator, text: str | re.Pattern[str]) -> None:
    expect(place.get_by_text(text).first).to_be_visible(timeout=LONG)


def test_a_permanent_error_is_shown_once_and_offers_changes_first(app, page, eventually):
    job = start(app, HOSTILE)
    ended(eventually, app, job)
    opened(page, app, job, details="Attempts")
    main = page.get_by_test_id("stMain")
    sees(main, "Add credit or a payment method")
    expect(page.get_by_role("button", name="Run again with changes…")).to_be_visible(timeout=LONG)
    first = main.locator("[data-testid=stBaseButton-primary]")
    expect(first).to_have_count(1)
    expect(first).to_have_text("Run again with changes…")
    expect(main.get_by_text("insufficient credit")).to_have_count(1)
    sees(main, re.compile(r"Failed (just now|\d+ \w+ ago), attempt 1 of 3"))
    expect(main.locator("img[src=x]")).to_have_count(0)


def test_a_refused_job_says_what_its_user_reads(app, page, eventually):
    labels = {"application": "Postcards", "metadata": {"order": 7}}
    job = start(app, "A fox [nsfw]", **labels)
    ended(eventually, app, job)
    [generation] = rows(app, "select error_message from image_generations where prompt ~ 'nsfw'")
    sentence = f"The safety filter of {SCHNELL} refused the prompt or the image. Change the"
    assert generation["error_message"].startswith(sentence)
    opened(page, app, job)
    main = page.get_by_test_id("stMain")
    sees(main, generation["error_message"])
    sees(main, re.compile(r"Refused (just now|\d+ \w+ ago), attempt 1 of 3"))
    sees(main, "Postcards")
    sees(main, '{"order": 7}')
    expect(main.get_by_role("button", name="Retry job")).to_have_count(0)
    page.goto(f"{app.url}/")
    overview = page.get_by_test_id("stMain")
    sees(overview, re.compile(re.escape(generation["error_message"])))


def test_a_completed_job_shows_its_image_and_what_was_sent(app, page, eventually):
    job = start(app, "A lighthouse", width=512, height=256)
    ended(eventually, app, job)
    opened(page, app, job)
    main = page.get_by_test_id("stMain")
    expect(main.get_by_alt_text("A lighthouse")).to_be_visible(timeout=LONG)
    sees(main, "Completed in")
    sees(main, re.compile("512 x 256 → (about )?[0-9]+ x [0-9]+"))
    sees(main, re.compile("random → [0-9]+"))
    sees(main, "ann@studio.example")
    expect(
        main.get_by_role("button", name=re.compile("Show data: .*running .*, completed"))
    ).to_be_attached(timeout=LONG)
    # The stored log.
    sees(main, "Using seed")


def test_the_log_streams_while_the_job_runs(app, page, eventually):
    job = start(app, "A boat [slow]", model_id=DEV, num_inference_steps=30)
    opened(page, app, job)
    log = page.get_by_test_id("stMain").get_by_test_id("stCode").filter(has_text="Using seed")
    expect(log).to_contain_text("1/30", timeout=LONG)
    assert status(app, job) == "processing"
    expect(log).to_contain_text("4/30", timeout=LONG)
    sees(page, "attempt 1 of 3")
    change(app, "select cancel_jobs('me', array[%s::uuid])", job)
    token = (app.folder / "replicate" / "token").read_text()
    assert token not in page.content()


def run_again(page: Page, prompt: str) -> Locator:
    page.get_by_role("button", name="Run again…").click(timeout=LONG)
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("textbox", name="Prompt").fill(prompt, timeout=LONG)
    dialog.get_by_role("spinbutton", name="Seed").fill("42")
    return dialog


@pytest.mark.parametrize(
    ("choice", "user", "source"),
    [("As a test", None, "test"), ("On behalf of the user", USER, "app")],
)
def test_run_again_with_changes(app, page, eventually, choice, user, source):
    job = start(app, "A lighthouse", width=256, height=256)
    ended(eventually, app, job)
    opened(page, app, job)
    dialog = run_again(page, f"A lighthouse, {choice}")
    dialog.get_by_text(choice, exact=True).click()
    dialog.get_by_role("button", name="Run again", exact=True).click()
    expect(page).not_to_have_url(re.compile(job), timeout=LONG)
    new = page.url.partition("id=")[2][:36]
    sees(page, f"A lighthouse, {choice}")
    [generation] = rows(
        app,
        "select g.user_id::text, g.source, g.parameters from image_generations g"
        " join job_queue q on generation_of(q.payload) = g.id where q.id = %s",
        new,
    )
    assert generation == {
        "user_id": user,
        "source": source,
        "parameters": {"aspect_ratio": "1:1", "megapixels": "0.25", "seed": 42},
    }
    [entry] = rows(
        app, "select details from audit_log where action = 'run_job_again' order by id desc limit 1"
    )
    assert entry["details"]["job_ids"] == [job, new]


def test_a_refused_change_says_why_and_starts_nothing(app, page, eventually):
    # A model of which nothing is known but what is asked of it.
    change(app, "update models set input_schema = null where id = %s", DEV)
    job = start(app, "A lighthouse", model_id=DEV)
    ended(eventually, app, job)
    opened(page, app, job)
    dialog = run_again(page, "A fox")
    dialog.get_by_role("textbox", name="Parameters").fill('{"width": 9000}')
    dialog.get_by_role("button", name="Run again", exact=True).click()
    sees(dialog, "width must be 64 to 8,192 pixels.")
    dialog.get_by_role("textbox", name="Parameters").fill("[")
    dialog.get_by_role("button", name="Run again", exact=True).click()
    sees(dialog, "not valid JSON")
    dialog.get_by_role("button", name="Cancel").click()
    expect(dialog).to_be_hidden(timeout=LONG)
    assert rows(app, "select id from image_generations where prompt = 'A fox'") == []


def test_a_pending_job_is_moved_up_and_cancelled(app, page):
    [job] = rows(
        app, "insert into job_queue (job_type, payload) values ('a', '{}') returning id::text"
    )
    opened(page, app, job["id"])
    sees(page, "No worker alive for a jobs.")
    page.get_by_role("button", name="Raise priority").click(timeout=LONG)
    dialog = page.get_by_role("dialog")
    sees(dialog, "Raises the priority from 0 to 10.")
    dialog.get_by_role("button", name="Raise priority").click()
    sees(page, "1 job given a higher priority.")
    assert rows(app, "select priority from job_queue where job_type = 'a'") == [{"priority": 10}]
    expect(dialog).to_have_count(0)
    page.get_by_role("button", name="Cancel job").first.click(timeout=LONG)
    page.get_by_role("dialog").get_by_role("button", name="Cancel 1 job").click(timeout=LONG)
    sees(page, re.compile("Cancelled by .*"))


@pytest.mark.parametrize(
    ("id", "said"),
    [
        ("", "No job selected."),
        ("?id=ab", "Not a complete job id."),
        (f"?id={USER}", "No job or generation has this id. It may have been purged."),
    ],
)
def test_without_a_job_it_leads_to_the_list(app, page, id, said):
    page.goto(f"{app.url}/job{id}")
    sees(page, said)
    expect(page.get_by_test_id("stMain").get_by_role("link", name="All jobs")).to_be_visible()


def test_all_images_are_shown_and_open_in_full_size(app: App, page: Page, eventually):
    job = start(app, "A lighthouse [flagged]", num_outputs=4)
    ended(eventually, app, job)
    opened(page, app, job)
    sees(page, "3 of 4 images; 1 withheld by the safety filter.")
    images = page.get_by_role("img", name=re.compile(r"^Image \d of 3: A lighthouse"))
    expect(images).to_have_count(3, timeout=LONG)
    stored = rows(
        app,
        "select o.url, o.width, o.height from outputs o"
        " join image_generations g on g.id = o.generation_id"
        " where g.prompt = 'A lighthouse [flagged]' order by o.index",
    )
    links = page.get_by_role("link", name=re.compile("A lighthouse"))
    assert [links.nth(n).get_attribute("href") for n in range(3)] == [
        f"{app.url}{one['url']}" for one in stored
    ]
    sees(page, re.compile(rf"^{stored[0]['width']} x {stored[0]['height']}, webp, "))
