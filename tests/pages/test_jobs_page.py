"""The page Jobs: the filters in force are named and cleared, and the list is seen at once."""

from collections.abc import Iterator
from urllib.parse import quote

import pytest
from playwright.sync_api import Locator, Page, expect
from running_app import App, apps

from lib.database import connect

LONG = 30_000
HOSTILE = "<img src=x> **bold** :red[x] `a` [link](http://evil.example)"


@pytest.fixture(scope="module")
def app(eventually, shared_database: str) -> Iterator[App]:
    with connect(shared_database) as db:
        db.execute(
            "insert into job_queue (id, job_type, status, payload, error_message, attempts,"
            " started_at, completed_at) values (%s, 'a', 'failed', jsonb_build_object('model_id',"
            " %s::text, 'prompt', 'A red kite'), 'Out of memory', 3, now(), now())",
            ["1ad0be00-1111-4111-8111-111111111111", HOSTILE],
        )
        db.execute("insert into job_queue (job_type, payload) values ('b', '{}')")
    with apps(eventually) as make:
        yield make(DATABASE_URL=shared_database).start()


def test_filters_in_force_are_named_and_cleared(app: App, page: Page):
    page.goto(
        f"{app.url}/jobs?status=failed&time=24+h&type=a&model={quote(HOSTILE)}&error=memory"
        "&field=prompt&value=*kite*"
    )
    named = page.get_by_text("Filtered:")
    expect(heading(page, "1 job")).to_be_visible(timeout=LONG)
    expect(named.locator("img, strong, code, a, [style]")).to_have_count(0)
    said = named.inner_text().replace("\u2060", "")
    assert said == (
        f"Filtered: status failed · type a · model {HOSTILE} · error contains memory"
        " · prompt is *kite* · the last 24 h"
    )
    # They are folded away, so that the list begins in the upper two thirds of the window.
    expect(page.get_by_label("Error contains")).to_be_hidden()
    table = page.get_by_test_id("stDataFrame").bounding_box()
    assert table
    assert table["y"] < 600

    clear = page.get_by_role("button", name="Clear filters")
    tab_to(page, clear)
    page.keyboard.press("Enter")
    expect(heading(page, "2 jobs")).to_be_visible(timeout=LONG)
    expect(page).to_have_url(f"{app.url}/jobs")
    expect(named).to_be_hidden()
    expect(clear).to_be_hidden()


def test_an_id_is_named_alone_since_no_other_filter_counts(app: App, page: Page):
    page.goto(f"{app.url}/jobs?job=1ad0be00&status=pending")
    expect(heading(page, "1 job")).to_be_visible(timeout=LONG)
    expect(page.get_by_text("Filtered: id begins with 1ad0be00", exact=True)).to_be_visible()
    page.get_by_role("button", name="Clear filters").click()
    expect(heading(page, "2 jobs")).to_be_visible(timeout=LONG)


@pytest.mark.parametrize("name", ["type", "value"])
def test_a_parameter_that_no_text_can_be_is_said(app: App, page: Page, name: str):
    page.goto(f"{app.url}/jobs?{name}=a%00b&field=prompt")
    expect(
        page.get_by_text("The database cannot read what this page was asked for.")
    ).to_be_visible(timeout=LONG)
    expect(page.get_by_test_id("stException")).to_have_count(0)


def test_a_user_who_is_none_can_be_cleared(app: App, page: Page):
    page.goto(f"{app.url}/jobs?created_by=ann")
    expect(page.get_by_text("A user is given by id")).to_be_visible(timeout=LONG)
    page.get_by_role("button", name="Clear filters").click()
    expect(heading(page, "2 jobs")).to_be_visible(timeout=LONG)


def test_choices_are_read_when_they_are_to_be_seen(app: App, page: Page, shared_database: str):
    with connect(shared_database) as db, db.transaction():
        # Whoever reads them waits.
        db.execute("lock table models")
        page.goto(f"{app.url}/jobs?job=1ad0be00")
        expect(heading(page, "1 job")).to_be_visible(timeout=LONG)
    tab_to(page, page.locator("summary", has_text="More filters"))
    page.keyboard.press("Enter")
    model = page.get_by_role("combobox", name="Model")
    option = page.get_by_role("option", name="black-forest-labs/flux-schnell")
    # A menu that is opened while the page is drawn may be empty, or close again.
    for _ in range(50):
        model.click(timeout=LONG)
        page.wait_for_timeout(300)
        if option.is_visible():
            return
        page.keyboard.press("Escape")
    pytest.fail("The model is not offered.")


def heading(page: Page, text: str) -> Locator:
    return page.get_by_role("heading", name=text, exact=True)


def tab_to(page: Page, target: Locator) -> None:
    for _ in range(80):
        page.keyboard.press("Tab")
        if target.evaluate("element => element === document.activeElement"):
            return
    pytest.fail("The keyboard does not reach it.")
