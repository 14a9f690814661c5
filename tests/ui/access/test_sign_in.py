"""People sign in at a provider, and see and do what their role allows, as long as it does."""

import time

import pytest
from people import LISTS, LONG, PEOPLE, audit, secrets, see_stuck, sign_in, stuck
from playwright.sync_api import Page, expect

from lib.roles import Role
from lib.ui.pages import PAGES, may_open, page_path, sidebar_pages

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("role", ["viewer", "operator", "admin"])
def test_pages_are_those_of_the_role(signed_app, people, role) -> None:
    page = people[role]
    page.goto(signed_app.url)
    expect(page.get_by_role("heading", name="Overview")).to_be_visible(timeout=LONG)
    expect(page.get_by_test_id("stSidebar").get_by_text(f"Signed in as {role}")).to_be_visible()
    entries = sidebar_pages(Role[role.upper()])
    links = page.get_by_test_id("stSidebar").get_by_role("link")
    expect(links).to_have_count(len(entries), timeout=LONG)
    for link, file in zip(links.all(), entries, strict=True):
        expect(link).to_contain_text(PAGES[file].title)
    for file, entry in PAGES.items():
        if may_open(Role[role.upper()], file):
            continue
        page.goto(f"{signed_app.url}{page_path(file)}")
        expect(page.get_by_role("heading", name="Overview")).to_be_visible(timeout=LONG)
        expect(page.get_by_role("heading", name=entry.title, exact=True)).to_be_hidden()


@pytest.mark.parametrize(
    "claims",
    [
        {"email": "eve@studio.example"},
        {"email": PEOPLE["admin"], "email_verified": False},
        {"sub": PEOPLE["admin"]},
    ],
)
def test_who_has_no_role_is_told_so_and_sees_nothing(
    signed_app, provider, page: Page, rows, claims
) -> None:
    stuck(rows)
    sign_in(page, signed_app, provider, **claims)
    for path in ("/", "/jobs?view=stuck", "/audit"):
        page.goto(f"{signed_app.url}{path}")
        expect(page.get_by_text("You have no role in this app.")).to_be_visible(timeout=LONG)
        expect(page.get_by_test_id("stSidebar")).to_be_hidden()
        expect(page.get_by_test_id("stDataFrame")).to_be_hidden()
        expect(page.get_by_text("Ctrl + K")).to_be_hidden()
        expect(page).to_have_title("Darkroom")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("button", name="Sign in", exact=True)).to_be_visible(timeout=LONG)


def test_a_viewer_may_search(signed_app, people, rows) -> None:
    stuck(rows)
    [job] = rows.execute("select id from job_queue").fetchall()
    page = people["viewer"]
    page.goto(signed_app.url)
    page.get_by_role("button", name="Search Shortcut").click(timeout=LONG)
    page.get_by_role("searchbox", name="Search").fill(str(job["id"]))
    expect(page).to_have_url(f"{signed_app.url}/job?id={job['id']}", timeout=LONG)


def test_a_viewer_is_refused_and_an_operator_is_recorded(signed_app, people, rows) -> None:
    stuck(rows)
    viewer, operator = people["viewer"], people["operator"]
    for page in (viewer, operator):
        page.goto(f"{signed_app.url}/jobs?view=stuck")
        page.get_by_role("button", name="Reset all 1").click(timeout=LONG)
    refused = viewer.get_by_text("Requires the operator role; yours is viewer.")
    expect(refused).to_be_visible(timeout=LONG)
    expect(viewer.get_by_role("dialog")).to_be_hidden()
    dialog = operator.get_by_role("dialog")
    dialog.get_by_role("button", name="Reset 1 stuck job").click(timeout=LONG)
    expect(operator.get_by_text("1 job put back on the queue.")).to_be_visible(timeout=LONG)
    assert audit(rows) == [(PEOPLE["operator"], "reset_stuck_jobs")]


def test_a_role_that_is_taken_away_is_lost_at_the_next_action_and_look(
    signed_app, provider, secrets_file, page: Page, rows
) -> None:
    stuck(rows)
    sign_in(page, signed_app, provider, email=PEOPLE["operator"])
    see_stuck(page, signed_app)
    page.goto(f"{signed_app.url}/jobs?view=stuck&live=false")
    page.get_by_role("button", name="Reset all 1").click(timeout=LONG)
    confirm = page.get_by_role("dialog").get_by_role("button", name="Reset 1 stuck job")
    expect(confirm).to_be_visible(timeout=LONG)

    lists = LISTS | {"DARKROOM_OPERATORS": "", "DARKROOM_VIEWERS": PEOPLE["operator"]}
    secrets_file.write_text(secrets(provider.auth, lists))
    # The dialog stands still: only a second session can tell that the file has been read.
    other = page.context.new_page()
    other.goto(signed_app.url)
    expect(other.get_by_text("Signed in as viewer")).to_be_visible(timeout=LONG)
    confirm.click()
    expect(page.get_by_text("Requires the operator role; yours is viewer.")).to_be_visible(
        timeout=LONG
    )
    assert audit(rows) == []

    # A page that is live says so by itself.
    secrets_file.write_text(secrets(provider.auth, LISTS | {"DARKROOM_OPERATORS": ""}))
    refused = other.get_by_text("You have no role in this app.")
    expect(refused).to_be_visible(timeout=LONG)
    secrets_file.write_text(secrets(provider.auth, LISTS))
    role = other.get_by_text("Signed in as operator")
    for _ in range(10):
        # The app notices the file by itself; a page that has refused stands still.
        other.reload()
        other.wait_for_timeout(3_000)
        if role.is_visible():
            return
    pytest.fail("The role that was given back is not noticed.")


def test_a_sign_in_counts_for_so_many_hours(signed_app, provider, page: Page) -> None:
    soon = int(time.time()) - 12 * 3600 + 20
    sign_in(page, signed_app, provider, email=PEOPLE["admin"], iat=soon)
    expect(page.get_by_role("heading", name="Overview")).to_be_visible(timeout=LONG)
    ended = page.get_by_text("Your session has expired. Sessions last 12 hours.")
    expect(ended).to_be_visible(timeout=LONG)
    provider.claims.pop("iat")
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("heading", name="Overview")).to_be_visible(timeout=LONG)
