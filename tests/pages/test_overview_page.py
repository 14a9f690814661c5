"""The Overview in a real browser: what is wrong, what to do about it, and what happened."""

import re
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Locator, Page, expect

pytestmark = pytest.mark.slow

LONG = 30_000
HOSTILE = (
    "502 <b>Bad</b> ![x](http://evil.example/x.png) www.evil.example :red[$x$] --> me@e.example"
)
ALIVE = (
    "insert into workers (id, kind, host, pid, process_started_at, version, job_types, concurrency,"
    " last_seen_at) values (gen_random_uuid(), 'worker', 'h', 1, now(), '1',"
    " '{a,generate-image}', 3, now() + interval '10 minutes')"
)
STUCK = (
    "insert into job_queue (job_type, status, attempts, started_at, updated_at)"
    " values ('a', 'processing', 1, now() - interval '1 hour', now() - interval '1 hour')"
)
FAILED = (
    "insert into job_queue (job_type, payload, status, attempts, started_at, completed_at,"
    " error_message) select 'a', '{}', 'failed', 3, now(), now(), %s from generate_series(1, %s)"
)


@pytest.fixture(autouse=True)
def worker(db):
    """A worker that only looks alive."""
    db.execute(ALIVE)


def strip(page: Page) -> Locator:
    label = re.compile("All good|Warning|Critical")
    # While a page is drawn again, the strip of the last drawing may stand below the new one.
    return page.get_by_test_id("stMain").get_by_test_id("stAlert").filter(has_text=label).first


def test_a_provider_that_is_down_is_tried_again_without_leaving_the_page(
    make_app, page: Page, database, db
):
    db.execute(
        "insert into provider_breakers (provider, opened_at, open_until, reason) values"
        " ('replicate', now() - interval '12 minutes', now() + interval '5 minutes', %s)",
        [HOSTILE],
    )
    db.execute("select pause_queue(%s, 'a', %s)", [f"Eve {HOSTILE}", HOSTILE])
    db.execute(
        "insert into job_queue (job_type) select 'generate-image' from generate_series(1, 4)"
    )
    page.goto(make_app(DATABASE_URL=database).start().url)
    expect(strip(page)).to_have_count(1, timeout=LONG)
    text = strip(page).inner_text().replace("\u2060", "")
    assert re.search(
        r"Critical since \d\d:\d\d\. Provider replicate down for 12 min( \d+ s)? \(circuit open\);"
        r" 4 jobs pending\. Next test in (4|5) min",
        text,
    )
    assert text.endswith(HOSTILE)
    expect(strip(page).get_by_role("link")).to_have_count(0)
    expect(strip(page).get_by_role("img")).to_have_count(0)
    main = page.get_by_test_id("stMain")
    expect(main.get_by_role("link", name="1 more alert")).to_be_visible()
    # With the simulated provider there is no status page.
    expect(main.get_by_role("link", name="Provider status")).to_have_count(0)
    pending = main.get_by_role("link", name="Show pending jobs")
    assert str(pending.get_attribute("href")).endswith("jobs?view=pending")
    page.get_by_role("button", name="Test replicate now").click()
    page.get_by_role("dialog").get_by_role("button", name="Test replicate now").click()
    expect(page.get_by_text("The next job tests replicate.")).to_be_visible(timeout=LONG)
    [entry] = db.execute("select action from audit_log where action = 'probe_provider'").fetchall()
    assert entry


def test_stuck_jobs_are_reset_and_the_queue_is_paused_and_resumed(
    make_app, page: Page, database, db
):
    db.execute(STUCK)
    page.goto(make_app(DATABASE_URL=database).start().url)
    expect(strip(page)).to_contain_text("1 job stuck: no heartbeat for 1 h", timeout=LONG)
    page.get_by_role("button", name="Reset 1 stuck job").click()
    page.get_by_role("dialog").get_by_role("button", name="Reset 1 stuck job").click()
    expect(page.get_by_text("1 job put back on the queue.")).to_be_visible(timeout=LONG)
    page.get_by_role("button", name="Pause queue").click()
    page.get_by_role("dialog").get_by_role("button", name="Pause queue").click()
    expect(strip(page)).to_contain_text(
        re.compile(r"Queue paused by .* \(all jobs\)"), timeout=LONG
    )
    expect(page.get_by_role("button", name="Pause queue")).to_have_count(0)
    page.get_by_role("button", name="Resume queue").click()
    page.get_by_role("dialog").get_by_role("button", name="Resume queue").click()
    expect(page.get_by_role("button", name="Pause queue")).to_be_visible(timeout=LONG)


def test_a_failure_group_is_retried_and_a_hostile_one_is_text(make_app, page: Page, database, db):
    db.execute(FAILED, [HOSTILE, 3])
    db.execute(FAILED, ["The image was held back by the safety filter, ended as failed", 2])
    page.goto(make_app(DATABASE_URL=database).start().url)
    group = page.get_by_role("link", name="Bad")
    expect(group).to_be_visible(timeout=LONG)
    assert "kind=" in str(group.get_attribute("href"))
    expect(page.get_by_role("button", name="Retry all 2")).to_have_count(0)
    page.get_by_role("button", name="Retry all 3").click()
    page.get_by_role("dialog").get_by_role("button", name="Retry 3 jobs").click()
    expect(page.get_by_text("3 jobs put back on the queue.")).to_be_visible(timeout=LONG)
    left = db.execute("select count(*) as jobs from job_queue where status = 'failed'").fetchone()
    assert left == {"jobs": 2}


def test_a_click_on_a_bar_opens_the_jobs_of_that_quarter_of_an_hour(
    make_app, page: Page, database, db
):
    db.execute(
        "insert into job_queue (job_type, status, started_at, completed_at, created_at)"
        " select 'a', 'completed', at, at, at - interval '2 hours' from (select"
        " date_bin('15 minutes', now(), 'epoch') - interval '295 minutes' as at) t"
    )
    at = db.execute(
        "select to_char(date_bin('15 minutes', now(), 'epoch') - interval '300 minutes',"
        " 'YYYY-MM-DD\"T\"HH24:MI') as at"
    ).fetchone()["at"]
    page.goto(make_app(DATABASE_URL=database).start().url)
    bar = page.locator("[data-testid=stVegaLiteChart] path[aria-label*='jobs: completed']")
    expect(bar).to_have_count(1, timeout=LONG)
    bar.click()
    expect(page.get_by_role("heading", name="Jobs", exact=True)).to_be_visible(timeout=LONG)
    page.wait_for_url(re.compile("/jobs"))
    filters = parse_qs(urlsplit(page.url).query)
    assert (filters["time"], filters["from"]) == (["From … to …"], [at])


def test_an_empty_queue_offers_a_first_image(make_app, page: Page, database):
    page.goto(make_app(DATABASE_URL=database).start().url)
    expect(strip(page)).to_contain_text("All good. The queue is empty", timeout=LONG)
    page.get_by_role("link", name="Generate the first image").click()
    expect(page.get_by_role("heading", name="Generate", exact=True)).to_be_visible(timeout=LONG)
