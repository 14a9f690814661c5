"""People sign in at a provider, and see and do what their role allows, as long as it does."""

import time

import pytest
from people import LISTS, LONG, PEOPLE, secrets, sign_in
from playwright.sync_api import Page, expect

from lib.navigation import SECTIONS, address

OPEN = {"viewer": ["Monitor"], "operator": [*SECTIONS], "admin": [*SECTIONS]}


def stuck(db) -> None:
    db.execute(
        "insert into job_queue (job_type, status, attempts, started_at, updated_at)"
        " values ('a', 'processing', 1, now() - interval '1 hour', now() - interval '1 hour')"
    )


def audit(db) -> list[tuple[str, str]]:
    rows = db.execute("select actor, action from audit_log order by id").fetchall()
    return [(row["actor"], row["action"]) for row in rows]


def test_pages_are_those_of_the_role(signed_app, provider, browser) -> None:
    for role, sections in OPEN.items():
        context = browser.new_context(viewport={"width": 1440, "height": 900})
        page = context.new_page()
        sign_in(page, signed_app, provider, email=PEOPLE[role].upper())
        expect(page.get_by_role("heading", name="Overview")).to_be_visible(timeout=LONG)
        expect(page.get_by_test_id("stSidebar").get_by_text(f"role {role}:")).to_be_visible()
        shown = page.get_by_test_id("stSidebarNavLink").all_inner_texts()
        titles = [title for section in sections for title in SECTIONS[section].values()]
        assert [title for title in titles if title != "Job"] == shown
        for section in set(SECTIONS) - set(sections):
            for file, title in SECTIONS[section].items():
                page.goto(f"{signed_app.url}{address(file)}")
                expect(page.get_by_role("heading", name="Overview")).to_be_visible(timeout=LONG)
                expect(page.get_by_role("heading", name=title, exact=True)).to_be_hidden()
        context.close()


@pytest.mark.parametrize(
    "claims",
    [
        {"email": "eve@studio.example"},
        {"email": PEOPLE["admin"], "email_verified": False},
        {"sub": PEOPLE["admin"]},
    ],
)
def test_who_has_no_role_is_told_so_and_sees_nothing(
    signed_app, provider, page: Page, db, claims
) -> None:
    stuck(db)
    sign_in(page, signed_app, provider, **claims)
    for path in ("/", "/stuck-jobs", "/audit"):
        page.goto(f"{signed_app.url}{path}")
        expect(page.get_by_text("Nobody has given you a role here.")).to_be_visible(timeout=LONG)
        expect(page.get_by_test_id("stSidebar")).to_be_hidden()
        expect(page.get_by_test_id("stDataFrame")).to_be_hidden()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("button", name="Sign in", exact=True)).to_be_visible(timeout=LONG)


def test_a_viewer_is_refused_and_an_operator_is_recorded(signed_app, provider, browser, db) -> None:
    stuck(db)
    for role in ("viewer", "operator"):
        context = browser.new_context(viewport={"width": 1440, "height": 900})
        page = context.new_page()
        sign_in(page, signed_app, provider, email=PEOPLE[role])
        page.goto(f"{signed_app.url}/stuck-jobs")
        page.get_by_role("button", name="Reset all 1").click(timeout=LONG)
        if role == "viewer":
            expect(
                page.get_by_text("This takes the role operator; yours is viewer.")
            ).to_be_visible()
            expect(page.get_by_role("dialog")).to_be_hidden()
            assert audit(db) == []
        else:
            page.get_by_role("dialog").get_by_role("button", name="Reset 1 job").click(timeout=LONG)
            expect(page.get_by_text("1 job put back on the queue.")).to_be_visible(timeout=LONG)
        context.close()
    assert audit(db) == [(PEOPLE["operator"], "reset_stuck_jobs")]


def test_a_role_that_is_taken_away_is_lost_at_the_next_action_and_look(
    signed_app, provider, secrets_file, page: Page, db
) -> None:
    stuck(db)
    sign_in(page, signed_app, provider, email=PEOPLE["operator"])
    page.goto(f"{signed_app.url}/stuck-jobs?live=false")
    page.get_by_role("button", name="Reset all 1").click(timeout=LONG)
    confirm = page.get_by_role("dialog").get_by_role("button", name="Reset 1 job")
    expect(confirm).to_be_visible(timeout=LONG)

    lists = LISTS | {"DARKROOM_OPERATORS": "", "DARKROOM_VIEWERS": PEOPLE["operator"]}
    secrets_file.write_text(secrets(provider.auth, lists))
    # The dialog stands still: only a second session can tell that the file has been read.
    other = page.context.new_page()
    other.goto(signed_app.url)
    expect(other.get_by_text("role viewer:")).to_be_visible(timeout=LONG)
    confirm.click()
    expect(page.get_by_text("This takes the role operator; yours is viewer.")).to_be_visible(
        timeout=LONG
    )
    assert audit(db) == []

    # A page that is live says so by itself.
    secrets_file.write_text(secrets(provider.auth, LISTS | {"DARKROOM_OPERATORS": ""}))
    refused = other.get_by_text("Nobody has given you a role here.")
    expect(refused).to_be_visible(timeout=LONG)


def test_a_sign_in_counts_for_so_many_hours(signed_app, provider, page: Page) -> None:
    soon = int(time.time()) - 12 * 3600 + 15
    sign_in(page, signed_app, provider, email=PEOPLE["admin"], iat=soon)
    expect(page.get_by_role("heading", name="Overview")).to_be_visible(timeout=LONG)
    ended = page.get_by_text("A sign-in counts for 12 hours, and yours has ended.")
    expect(ended).to_be_visible(timeout=LONG)
    provider.claims.pop("iat")
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("heading", name="Overview")).to_be_visible(timeout=LONG)
