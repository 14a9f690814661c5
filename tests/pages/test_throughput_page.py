"""The page Throughput in a real browser."""

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.slow

COMPLETED = (
    "insert into job_queue (job_type, status, attempts, created_at, started_at, completed_at)"
    " select 'a', 'completed', 1, at, at, at"
    " from (select date_trunc('hour', now()) - make_interval(hours => %s) as at) t"
)


def test_charts_follow_the_jobs_while_the_page_stays_open(make_app, page: Page, database, db):
    # A chart's specification stays the same, and its figures are exchanged in what is drawn.
    db.execute(COMPLETED, [2])
    page.goto(f"{make_app(DATABASE_URL=database).start().url}/throughput")
    bars = page.locator("[data-testid=stVegaLiteChart]").first.locator("path[aria-label*=jobs]")
    one, two = (bars.and_(page.locator(f"[aria-label$='jobs: {jobs}']")) for jobs in (1, 2))
    expect(one).to_have_count(1, timeout=30_000)
    db.execute(COMPLETED, [2])
    db.execute(COMPLETED, [5])
    expect(two).to_have_count(1)
    expect(one).to_have_count(1)
