"""The search field of every page: where it leads, and what it says when nothing is found."""

import re
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import pytest
from playwright.sync_api import Page, expect
from running_app import App, apps

from lib.database import connect

pytestmark = pytest.mark.slow

JOB, TWIN, GENERATION, USER = (UUID(f"{n}ad0be00-1111-4111-8111-11111111111{n}") for n in "1234")
NEAR_JOB = UUID("1ad0be00-2222-4222-8222-222222222222")
HOSTILE = "<img src=x onerror=alert(1)> **bold** $x$ :red[x] %_\\"
LONG = 30_000


@pytest.fixture(scope="module")
def app(eventually, shared_database: str) -> Iterator[App]:
    with connect(shared_database) as db:
        db.execute("insert into auth.users (id, email) values (%s, 'ann@studio.example')", [USER])
        db.execute(
            "insert into image_generations (id, user_id, prompt, model_id)"
            " select %s, %s, 'A red kite over dunes', id from models limit 1",
            [GENERATION, USER],
        )
        db.execute(
            "insert into job_queue (id, job_type, payload, created_by) values"
            " (%(job)s, 'generate-image', jsonb_build_object('prompt', 'A red kite over dunes',"
            " 'generation_id', %(generation)s::text), %(user)s),"
            " (%(twin)s, 'other', jsonb_build_object('prompt', %(hostile)s::text), null),"
            " (%(near)s, 'other', '{}', null)",
            {
                "job": JOB,
                "generation": GENERATION,
                "user": USER,
                "twin": TWIN,
                "hostile": HOSTILE,
                "near": NEAR_JOB,
            },
        )
    with apps(eventually) as make:
        yield make(DATABASE_URL=shared_database).start()


def look_for(page: Page, text: str, *, by_mouse: bool = False) -> None:
    field = page.get_by_role("searchbox", name="Search")
    field.fill(text)
    if by_mouse:
        page.get_by_role("button", name="Search", exact=True).click()
    else:
        field.press("Enter")


def leads_to(page: Page, path: str, **filters: str) -> None:
    """The address names the page and these filters, and no others."""
    page.wait_for_url(
        lambda url: (
            (urlsplit(url).path, parse_qs(urlsplit(url).query))
            == (path, {name: [value] for name, value in filters.items()})
        ),
        timeout=LONG,
    )


def test_leads_to_what_it_finds_from_any_page(app: App, page: Page):
    """Also from the page that it leads to, which then forgets what it showed."""
    page.goto(app.url)
    look_for(page, f" {JOB} ")
    leads_to(page, "/job", id=str(JOB))
    expect(page.get_by_text("A red kite over dunes").first).to_be_visible(timeout=LONG)
    look_for(page, str(TWIN)[:8])
    leads_to(page, "/job", id=str(TWIN))
    expect(page.get_by_text(str(TWIN), exact=True)).to_be_visible(timeout=LONG)
    look_for(page, str(GENERATION).upper())
    leads_to(page, "/job", id=str(GENERATION))
    expect(page.get_by_text("A red kite over dunes").first).to_be_visible(timeout=LONG)
    page.goto(f"{app.url}/jobs?status=failed&error=memory&live=false")
    look_for(page, str(JOB)[:8])
    # Whether it is live is no filter.
    leads_to(page, "/jobs", job=JOB.hex[:8], live="false")
    page.get_by_text("Live", exact=True).click()
    leads_to(page, "/jobs", job=JOB.hex[:8])
    expect(page.get_by_role("heading", name="2 jobs")).to_be_visible(timeout=LONG)
    for text in (str(USER), "Ann@Studio.example"):
        look_for(page, text)
        leads_to(page, "/jobs", created_by=str(USER))
        expect(page.get_by_role("heading", name="1 job", exact=True)).to_be_visible(timeout=LONG)
    look_for(page, "red  dunes")
    leads_to(page, "/jobs", field="prompt", value="*red*dunes*")
    expect(page.get_by_role("heading", name="1 job", exact=True)).to_be_visible(timeout=LONG)
    expect(page.get_by_role("searchbox", name="Search")).to_have_value("")


def test_what_is_typed_stays_text(app: App, page: Page):
    page.goto(f"{app.url}/alerts")
    look_for(page, HOSTILE, by_mouse=True)
    leads_to(page, "/jobs", field="prompt", value=f"*{HOSTILE.replace(' ', '*')}*")
    expect(page.get_by_role("heading", name="1 job", exact=True)).to_be_visible(timeout=LONG)
    named = f"Filtered: prompt is *{HOSTILE.replace(' ', '*')}*"
    expect(page.get_by_text(named, exact=True)).to_be_visible()
    expect(page.locator("img[src=x]")).to_have_count(0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "Type an id"),
        ("00000000", "No job's and no generation's id begins so."),
        (str(UUID(int=9)), "nobody who asked for one has this id."),
        ("eve@studio.example", "No user has this e-mail address."),
    ],
)
def test_says_that_nothing_is_found_and_keeps_the_page(app: App, page: Page, text, said):
    page.goto(f"{app.url}/models")
    look_for(page, text)
    expect(page.get_by_text(said)).to_be_visible(timeout=LONG)
    expect(page).to_have_url(re.compile("/models$"))
    expect(page.get_by_role("searchbox", name="Search")).to_have_value(text)
    page.get_by_role("link", name="Throughput").first.click()
    expect(page.get_by_role("heading", name="Throughput")).to_be_visible(timeout=LONG)
    expect(page.get_by_text(said)).to_be_hidden(timeout=LONG)


def test_is_near_for_the_keyboard(app: App, page: Page):
    page.goto(f"{app.url}/users")
    expect(page.get_by_role("searchbox", name="Search")).to_be_visible(timeout=LONG)
    # Past the navigation by Streamlit's own link to the content.
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    for _ in range(3):
        page.keyboard.press("Tab")
        if page.get_by_role("searchbox", name="Search").evaluate(
            "e => e === document.activeElement"
        ):
            return
    pytest.fail("The keyboard does not reach the field.")


def test_says_that_the_database_is_away(make_app, page: Page, database, database_away):
    page.goto(make_app(DATABASE_URL=database).start().url)
    expect(page.get_by_text("Workers alive")).to_be_visible(timeout=LONG)
    with database_away():
        expect(page.get_by_text("Workers alive")).to_be_hidden(timeout=LONG)
        look_for(page, str(JOB))
        expect(page.get_by_text("Nothing can be looked up")).to_be_visible(timeout=LONG)
    expect(page.get_by_text("Workers alive")).to_be_visible(timeout=LONG)
    look_for(page, str(JOB))
    expect(page.get_by_text("nobody who asked for one has this id.")).to_be_visible(timeout=LONG)
