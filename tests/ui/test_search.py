"""The search of every page: what it finds, where it leads, and what it says when nothing is."""

import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import pytest
from playwright.sync_api import Locator, Page, expect
from running_app import App, apps

from lib.database import connect, load
from lib.database.pool import Connection
from lib.ui.search import find, more

JOB, TWIN, GENERATION, USER = (UUID(f"{n}ad0be00-1111-4111-8111-11111111111{n}") for n in "1234")
NEAR_JOB = UUID("1ad0be00-2222-4222-8222-222222222222")
HOSTILE = "<img src=x onerror=alert(1)> **bold** $x$ :red[x] %_\\"
LONG = 30_000


def fill(db: Connection) -> None:
    db.execute("insert into auth.users (id, email) values (%s, 'ann@studio.example')", [USER])
    db.execute(
        "insert into image_generations (id, user_id, prompt, model_id)"
        " select %s, %s, 'A red kite over dunes', id from models limit 1",
        [GENERATION, USER],
    )
    db.execute(
        "insert into image_generations (prompt, model_id) select %s, id from models limit 1",
        [HOSTILE],
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
    db.execute(
        "insert into failure_rollup (hour, job_type, model_id, error_group, error_code, purged,"
        " jobs, first_at, last_at, users) values (date_trunc('hour', now()), 'a', 'm',"
        " 'no such host <url> after <n> tries', 'unreachable', false, 3, now(), now(), '{}')"
    )


@pytest.fixture
def search(db: Connection) -> Callable[[str], dict[str, list[str]]]:
    """Searches a small database: the labels of the hits without their times, by group."""
    fill(db)

    def ask(page: str, query: str, **parameters: Any) -> Any:
        return getattr(load(page), query)(db, **parameters)

    def labels(text: str) -> dict[str, list[str]]:
        return {
            title: [re.sub(r", \d+ \w+ \d\d:\d\d\)$", ")", hit.label) for hit in hits]
            for title, hits in find(ask, text).groups.items()
        }

    return labels


@pytest.mark.parametrize(
    ("text", "groups"),
    [
        (f" {JOB} ", {"Jobs": [f"Pending: {JOB}"]}),
        (str(GENERATION).upper(), {"Jobs": [f"Pending: {JOB}"]}),
        (str(TWIN)[:8], {"Jobs": [f"Pending: {TWIN}"]}),
        (str(USER), {"Users": [f"User {USER}"]}),
        ("Studio.Ex", {"Users": ["ann@studio.example"]}),
        ("ann@studio.example", {"Users": ["ann@studio.example"]}),
        ("red  dunes", {"Jobs": ["Pending: A red kite over dunes (flux-schnell)"]}),
        (HOSTILE, {"Jobs": [f"Pending: {HOSTILE} (flux-schnell)"]}),
        ("unreach", {"Failures": ["no such host <url> after <n> tries, 3 jobs"]}),
        (
            "no such host https://x.example/7 after 12 tries",
            {"Failures": ["no such host <url> after <n> tries, 3 jobs"]},
        ),
        ("flux-schnell", {"Models": ["FLUX.1 schnell (black-forest-labs/flux-schnell)"]}),
        (str(UUID(int=9)), {}),
        ("eve@studio.example", {}),
        ("%%", {}),
        ("x", {}),
        ("", {}),
    ],
)
def test_finds(search: Callable[[str], dict[str, list[str]]], text: str, groups: Any):
    assert search(text) == groups


def test_an_ambiguous_id_gives_all_its_jobs(search: Callable[[str], dict[str, list[str]]]):
    assert set(search(str(JOB)[:8])["Jobs"]) == {f"Pending: {JOB}", f"Pending: {NEAR_JOB}"}


def test_only_a_whole_id_opens_its_job_at_once(db: Connection):
    fill(db)
    ask = lambda page, query, **values: getattr(load(page), query)(db, **values)  # noqa: E731
    found = partial(find, ask)
    assert found(str(TWIN)[:8]).exact is None
    assert found(str(USER)).exact is None
    exact = found(str(TWIN)).exact
    assert exact is not None
    assert (exact.page, exact.filters) == ("job", {"id": str(TWIN)})


def test_leads_to_lists_of_all_jobs_with_the_text():
    assert [hit.filters for hit in more("red  kite")] == [
        {"field": "prompt", "value": "*red*kite*"},
        {"view": "failed", "error": "red  kite"},
    ]


@pytest.fixture(scope="module")
def app(eventually, shared_database: str) -> Iterator[App]:
    with connect(shared_database) as db:
        fill(db)
    with apps(eventually) as make:
        yield make(DATABASE_URL=shared_database).start()


def look_for(page: Page, text: str) -> Locator:
    """The dialog, opened by its shortcut, after typing."""
    expect(page.get_by_role("dialog")).to_have_count(0, timeout=LONG)
    button = page.get_by_role("button", name="Search Shortcut Ctrl + K").first
    expect(button).to_be_visible(timeout=LONG)
    page.keyboard.press("Control+k")
    field = page.get_by_role("searchbox", name="Search")
    # Nobody has to click into it.
    expect(field).to_be_focused(timeout=LONG)
    page.keyboard.insert_text(text)
    return page.get_by_role("dialog")


def leads_to(page: Page, path: str, **filters: str) -> None:
    """The address names the page and these filters, and no others."""
    page.wait_for_url(
        lambda url: (
            (urlsplit(url).path, parse_qs(urlsplit(url).query))
            == (path, {name: [value] for name, value in filters.items()})
        ),
        timeout=LONG,
    )


@pytest.mark.slow
def test_leads_to_what_it_finds_from_any_page(app: App, page: Page):
    """Also from the page that it leads to, which then forgets what it showed."""
    page.goto(app.url)
    look_for(page, str(JOB))
    leads_to(page, "/job", id=str(JOB))
    expect(page.get_by_text("A red kite over dunes").first).to_be_visible(timeout=LONG)
    look_for(page, "2ad0be00").get_by_text(str(TWIN)).click()
    leads_to(page, "/job", id=str(TWIN))
    look_for(page, "ann@").get_by_role("link", name="studio.example").click()
    leads_to(page, "/users", user="ann@studio.example")
    look_for(page, "red").get_by_role("link", name="Jobs with “red” in the prompt").click()
    leads_to(page, "/jobs", field="prompt", value="*red*")
    expect(page.get_by_role("dialog")).to_have_count(0)


@pytest.mark.slow
def test_what_is_typed_stays_text(app: App, page: Page):
    page.goto(f"{app.url}/alerts")
    dialog = look_for(page, HOSTILE)
    found = dialog.get_by_text(f"Pending: {HOSTILE} (flux-schnell, ")
    expect(found).to_be_visible(timeout=LONG)
    expect(page.locator("img[src=x]")).to_have_count(0)
    dialog.get_by_role("link", name="in the prompt").click()
    value = f"*{HOSTILE.replace(' ', '*')}*"
    leads_to(page, "/jobs", field="prompt", value=value)


@pytest.mark.slow
def test_says_that_nothing_is_found_and_keeps_the_page(app: App, page: Page):
    page.goto(f"{app.url}/models")
    expect(look_for(page, "eve@studio.example").get_by_text("No matches.")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page).to_have_url(re.compile("/models$"))


@pytest.mark.slow
def test_says_that_the_database_is_unreachable(make_app, page: Page, database, database_away):
    page.goto(make_app(DATABASE_URL=database).start().url)
    expect(page.get_by_text("Updated")).to_be_visible(timeout=LONG)
    with database_away():
        dialog = look_for(page, "red kite")
        expect(dialog.get_by_text("The database did not respond in time.")).to_be_visible(
            timeout=LONG
        )
