"""The page Jobs: views with counts, filters, actions on all that match, and the way back."""

import re
from collections.abc import Callable, Iterator
from urllib.parse import quote

import pytest
from playwright.sync_api import Locator, Page, expect
from running_app import App, apps

from lib.database import connect
from lib.database.pool import Connection

pytestmark = pytest.mark.slow

LONG = 30_000
HOSTILE = "<img src=x> **bold** :red[x] `a` [link](http://evil.example)"
ANN = "4ad0be00-1111-4111-8111-111111111111"


@pytest.fixture(scope="module")
def app(eventually: Callable, shared_database: str) -> Iterator[App]:
    with apps(eventually) as make:
        yield make(DATABASE_URL=shared_database).start()


@pytest.fixture
def rows(shared_database: str) -> Iterator[Connection]:
    """A connection to that app's database, which has two jobs now and none afterwards."""
    with connect(shared_database) as db:
        db.execute(
            "insert into job_queue (id, job_type, status, payload, error_message, attempts,"
            " started_at, completed_at) values (%s, 'a', 'failed', jsonb_build_object('model_id',"
            " %s::text, 'prompt', 'A red kite'), 'Out of memory', 3, now(), now())",
            ["1ad0be00-1111-4111-8111-111111111111", HOSTILE],
        )
        pending(db, 1, "b")
        yield db
        db.execute("truncate job_queue, image_generations, audit_log, auth.users cascade")


def pending(db: Connection, count: int, job_type: str, model: str = "m") -> None:
    db.execute(
        "insert into job_queue (job_type, payload, scheduled_at) select %s,"
        " jsonb_build_object('model_id', %s::text), now() + interval '1 day'"
        " from generate_series(1, %s)",
        [job_type, model, count],
    )


def tab(page: Page, text: str) -> Locator:
    return page.get_by_role("radio", name=text, exact=True)


def button(page: Page, name: str) -> Locator:
    return page.get_by_role("button", name=name, exact=True)


def in_dialog(page: Page, name: str) -> Locator:
    return page.get_by_role("dialog").get_by_role("button", name=name, exact=True)


def table(page: Page) -> Locator:
    return page.get_by_test_id("stDataFrame").first


def test_views_have_counts_and_addresses(app: App, page: Page, rows):
    page.goto(f"{app.url}/jobs")
    for text in ("All 2", "Pending 1", "Running 0", "Failed 1", "Stuck 0", "Duplicates"):
        expect(tab(page, text)).to_be_visible(timeout=LONG)
    tab(page, "Failed 1").click()
    expect(page).to_have_url(f"{app.url}/jobs?view=failed", timeout=LONG)
    expect(button(page, "Retry all 1")).to_be_visible(timeout=LONG)
    tab(page, "Running 0").click()
    expect(page.get_by_text("No running jobs.")).to_be_visible(timeout=LONG)
    page.goto(f"{app.url}/jobs?status=processing")
    expect(tab(page, "Running 0")).to_be_checked(timeout=LONG)
    expect(page).to_have_url(f"{app.url}/jobs?view=running", timeout=LONG)


def test_filters_that_are_folded_away_are_named_and_cleared(app: App, page: Page, rows):
    page.goto(
        f"{app.url}/jobs?view=failed&time=24+h&type=a&model={quote(HOSTILE)}&error=memory"
        "&field=prompt&value=*kite*"
    )
    named = page.get_by_text("Also filtered by:")
    expect(tab(page, "Failed 1")).to_be_checked(timeout=LONG)
    expect(button(page, "Retry all 1 matching")).to_be_visible(timeout=LONG)
    expect(named.locator("img, strong, code, a, [style]")).to_have_count(0)
    assert named.inner_text().replace("\u2060", "") == (
        "Also filtered by: type a · error contains memory · prompt is *kite*"
    )
    place = table(page).bounding_box()
    assert place
    assert place["y"] < 500
    clear = button(page, "Clear")
    tab_to(page, clear)
    page.keyboard.press("Enter")
    expect(tab(page, "All 2")).to_be_visible(timeout=LONG)
    expect(page).to_have_url(f"{app.url}/jobs?view=failed")
    expect(named).to_be_hidden()


def test_without_a_match_filters_can_be_cleared(app: App, page: Page, rows):
    page.goto(f"{app.url}/jobs?model=nobody")
    expect(page.get_by_text("No jobs match these filters.")).to_be_visible(timeout=LONG)
    button(page, "Clear filters").click()
    expect(tab(page, "All 2")).to_be_visible(timeout=LONG)


def test_a_payload_filter_without_a_time_searches_thirty_days(app: App, page: Page, rows):
    page.goto(f"{app.url}/jobs?field=prompt&value=*kite*")
    searching = page.get_by_text("Searching payloads from the last 30 days.")
    expect(searching).to_be_visible(timeout=LONG)
    expect(tab(page, "All 1")).to_be_visible(timeout=LONG)


@pytest.mark.parametrize("name", ["type", "value"])
def test_text_that_the_database_cannot_hold_is_refused(app: App, page: Page, rows, name: str):
    page.goto(f"{app.url}/jobs?{name}=a%00b&field=prompt&time=24+h")
    expect(page.get_by_text("The database rejected a filter value.")).to_be_visible(timeout=LONG)
    expect(page.get_by_test_id("stException")).to_have_count(0)


def test_a_user_is_found_by_e_mail_address(app: App, page: Page, rows):
    rows.execute("insert into auth.users (id, email) values (%s, 'ann@studio.example')", [ANN])
    rows.execute(
        "with asked as (insert into image_generations (user_id, prompt, model_id)"
        " select %s, 'A red kite', id from models limit 1 returning *)"
        " insert into job_queue (job_type, payload, created_by, scheduled_at)"
        " select 'generate-image', jsonb_build_object('generation_id', id), user_id,"
        " now() + interval '1 day' from asked",
        [ANN],
    )
    page.goto(f"{app.url}/jobs?created_by=ann")
    expect(page.get_by_text("Enter the user's e-mail address or id.")).to_be_visible(timeout=LONG)
    for who in ("Ann@studio.example", ANN):
        page.goto(f"{app.url}/jobs?created_by={who}")
        expect(tab(page, "All 1")).to_be_visible(timeout=LONG)
    page.goto(f"{app.url}/jobs?created_by=eve@studio.example")
    expect(page.get_by_text("No user has this e-mail address.")).to_be_visible(timeout=LONG)
    button(page, "Clear").click()
    expect(tab(page, "All 3")).to_be_visible(timeout=LONG)


def test_an_id_prefix_overrides_other_filters(app: App, page: Page, rows):
    page.goto(f"{app.url}/jobs?job=1ad0be00&model=other")
    expect(tab(page, "All 1")).to_be_visible(timeout=LONG)
    expect(page.get_by_text("Also filtered by: id begins with 1ad0be00")).to_be_visible()
    page.goto(f"{app.url}/jobs?job=xyz")
    expect(page.get_by_text("An id consists of the digits")).to_be_visible(timeout=LONG)


def test_a_click_opens_a_job_and_back_leads_to_the_same_place(app: App, page: Page, rows):
    pending(rows, 120, "c", "owner/many")
    page.goto(f"{app.url}/jobs?view=pending&model=owner/many")
    expect(tab(page, "Pending 120")).to_be_visible(timeout=LONG)
    button(page, "Older").click()
    expect(page).to_have_url(re.compile("after=pending"), timeout=LONG)
    expect(button(page, "Newer")).to_be_enabled(timeout=LONG)
    place = page.url
    table(page).click(position={"x": 300, "y": 90})
    expect(page).to_have_url(re.compile("/job\\?id="), timeout=LONG)
    expect(page.get_by_role("heading", name="Job", exact=True)).to_be_visible(timeout=LONG)
    page.go_back()
    expect(tab(page, "Pending 120")).to_be_checked(timeout=LONG)
    expect(button(page, "Newer")).to_be_enabled(timeout=LONG)
    expect(page.get_by_role("combobox", name="Model")).to_have_value("owner/many")
    assert sorted(page.url.partition("?")[2].split("&")) == sorted(
        place.partition("?")[2].split("&")
    )
    # A link with filters of its own leads to those alone.
    page.goto(f"{app.url}/jobs?view=failed")
    expect(tab(page, "Failed 1")).to_be_checked(timeout=LONG)
    expect(page.get_by_role("combobox", name="Model")).to_have_value("")


def test_the_sidebar_leads_to_all_jobs_whatever_was_filtered_before(app: App, page: Page, rows):
    page.goto(f"{app.url}/jobs?view=failed&model=owner/many")
    expect(page.get_by_role("combobox", name="Model")).to_have_value("owner/many", timeout=LONG)
    sidebar = page.get_by_test_id("stSidebar")
    sidebar.get_by_role("link", name="Models").click()
    expect(page.get_by_role("heading", name="Models", exact=True)).to_be_visible(timeout=LONG)
    sidebar.get_by_role("link", name=re.compile("Jobs")).click()
    expect(tab(page, "All 2")).to_be_checked(timeout=LONG)
    expect(page.get_by_role("combobox", name="Model")).to_have_value("")
    expect(page).to_have_url(f"{app.url}/jobs")


def test_all_matching_jobs_are_cancelled_but_not_running_ones(app: App, page: Page, rows):
    pending(rows, 1300, "c", "owner/many")
    pending(rows, 3, "c", "owner/other")
    page.goto(f"{app.url}/jobs?view=pending&model=owner/many")
    button(page, "Cancel all 1,300 matching").click(timeout=LONG)
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Cancels 1,300 pending jobs.", timeout=LONG)
    # What arrives or starts meanwhile is not meant.
    pending(rows, 2, "c", "owner/many")
    rows.execute(
        "update job_queue set status = 'processing', attempts = 1, started_at = now() where id ="
        " (select id from job_queue where payload ->> 'model_id' = 'owner/many'"
        " order by created_at, id limit 1)"
    )
    in_dialog(page, "Cancel 1,300 jobs").click()
    expect(page.get_by_text("1,299 jobs cancelled. 1 job not affected.")).to_be_visible(
        timeout=LONG
    )
    expect(tab(page, "Pending 2")).to_be_visible(timeout=LONG)
    left = rows.execute("select status, count(*) from job_queue group by 1 order by 1").fetchall()
    assert [tuple(row.values()) for row in left] == [
        ("cancelled", 1299),
        ("failed", 1),
        ("pending", 6),
        ("processing", 1),
    ]
    audit = rows.execute("select sum(affected)::int as jobs from audit_log").fetchall()
    assert audit == [{"jobs": 1299}]


def test_a_long_action_can_be_stopped(app: App, page: Page, rows):
    pending(rows, 3000, "slow")
    rows.execute(
        "create function slowly() returns trigger language plpgsql"
        " as 'begin perform pg_sleep(0.002); return new; end';"
        "create trigger slowly before update on job_queue for each row"
        " when (new.job_type = 'slow') execute function slowly()"
    )
    try:
        page.goto(f"{app.url}/jobs?view=pending&type=slow")
        button(page, "Change priority of all 3,000 matching").click(timeout=LONG)
        field = page.get_by_role("dialog").get_by_test_id("stNumberInputField")
        field.fill("7", timeout=LONG)
        field.press("Tab")
        in_dialog(page, "Change priority of 3,000 jobs").click()
        in_dialog(page, "Stop").click(timeout=LONG)
        expect(page.get_by_text(re.compile("Stopped: .* jobs left"))).to_be_visible(timeout=LONG)
    finally:
        rows.execute("drop function slowly cascade")
    [changed] = rows.execute("select count(*) from job_queue where priority = 7").fetchall()
    assert 0 < changed["count"] < 3000


def test_selected_jobs_are_retried(app: App, page: Page, rows):
    page.goto(f"{app.url}/jobs?live=false")
    expect(tab(page, "All 2")).to_be_visible(timeout=LONG)
    # The boxes of both rows; the table is drawn on a canvas.
    for y in (52, 88):
        table(page).click(position={"x": 16, "y": y})
    expect(page.get_by_text("2 selected:")).to_be_visible(timeout=LONG)
    expect(button(page, "Cancel 1")).to_be_visible()
    expect(button(page, "Change priority of 1")).to_be_visible()
    button(page, "Retry 1").click()
    in_dialog(page, "Retry 1 job").click(timeout=LONG)
    expect(page.get_by_text("1 job put back on the queue.")).to_be_visible(timeout=LONG)


def test_a_job_of_any_type_is_enqueued(app: App, page: Page, rows):
    page.goto(f"{app.url}/jobs")
    expect(tab(page, "All 2")).to_be_visible(timeout=LONG)
    button(page, "Enqueue job").click(timeout=LONG)
    dialog = page.get_by_role("dialog")
    kind = dialog.get_by_role("combobox", name="Type")
    kind.fill("resize", timeout=LONG)
    kind.press("Enter")
    payload = dialog.get_by_label("Payload (JSON object)")
    payload.fill('{"width": 5,}')
    payload.press("Control+Enter")
    expect(dialog.get_by_text("Not valid JSON")).to_be_visible(timeout=LONG)
    payload.fill('{"width": 5}')
    in_dialog(page, "Enqueue job").click()
    link = page.get_by_role("link", name=re.compile("^Job [0-9a-f]{8}$"))
    expect(link).to_be_visible(timeout=LONG)
    [job] = rows.execute("select id, payload from job_queue where job_type = 'resize'").fetchall()
    assert job["payload"] == {"width": 5}
    expect(link).to_have_attribute("href", re.compile(str(job["id"])))


def test_an_empty_queue_says_where_jobs_come_from(app: App, page: Page, rows):
    rows.execute("truncate job_queue")
    page.goto(f"{app.url}/jobs")
    expect(page.get_by_text("The queue is empty.")).to_be_visible(timeout=LONG)
    expect(page.get_by_role("link", name="Generate the first image")).to_be_visible()


def tab_to(page: Page, target: Locator) -> None:
    for _ in range(80):
        page.keyboard.press("Tab")
        if target.evaluate("element => element === document.activeElement"):
            return
    pytest.fail("The keyboard does not reach it.")
