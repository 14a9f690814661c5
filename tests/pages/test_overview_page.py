"""The Overview in a real browser, while much is wrong."""

import re

from playwright.sync_api import Page, expect

HOSTILE = (
    "502 <b>Bad</b> ![x](http://evil.example/x.png) www.evil.example :red[$x$] --> me@e.example"
)


def test_says_all_that_is_wrong_as_text_and_links_to_the_page_that_explains_it(
    make_app, page: Page, database, db
):
    db.execute(
        "insert into provider_breakers (provider, opened_at, open_until, reason)"
        " values ('replicate', now() - interval '12 minutes', now(), %s)",
        [HOSTILE],
    )
    db.execute("select pause_queue(%s, 'a', %s)", [f"Eve {HOSTILE}", HOSTILE])
    db.execute(
        "insert into job_queue (job_type, status, attempts, started_at, updated_at)"
        " values ('a', 'processing', 1, now() - interval '1 hour', now() - interval '1 hour')"
    )
    page.goto(make_app(DATABASE_URL=database).start().url)
    main = page.get_by_test_id("stMain")
    alerts = main.get_by_test_id("stAlert").filter(has_text=re.compile("Critical|Warning"))
    expect(alerts).to_have_count(4, timeout=30_000)
    found = "\n".join(alerts.all_inner_texts()).replace("\u2060", "")
    assert re.findall("Critical|Warning", found) == ["Critical", *["Warning"] * 3]
    assert f"its jobs stay pending. {HOSTILE}" in found
    assert f"by Eve {HOSTILE}: {HOSTILE}" in found
    expect(alerts.get_by_role("link")).to_have_count(0)
    expect(alerts.get_by_role("img")).to_have_count(0)
    expect(page.get_by_role("button", name="Resume a")).to_be_visible()
    main.get_by_role("link", name="Stuck jobs").first.click()
    expect(page.get_by_role("button", name="Reset all 1")).to_be_visible(timeout=30_000)
