"""The Models page names the slowest model and what got worse; a model's page changes it."""

import re

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.slow

LONG = 30_000
SLOW, FAST = "black-forest-labs/flux-dev", "black-forest-labs/flux-schnell"


def ended(db, model: str, count: int, seconds: float, ago: str) -> None:
    db.execute(
        "insert into job_queue (job_type, payload, status, attempts, scheduled_at, started_at,"
        " completed_at) select 'generate-image', jsonb_build_object('model_id', %s::text),"
        " 'completed', 1, at - make_interval(secs => %s), at - make_interval(secs => %s), at"
        " from (select now() - %s::interval - n * interval '1 min' as at"
        " from generate_series(1, %s) n) j",
        [model, seconds, seconds, ago, count],
    )


def test_what_got_slower_is_seen_opened_and_disabled(make_app, page: Page, database, db):
    ended(db, SLOW, 60, 9, "2 hours")
    ended(db, SLOW, 20, 4, "4 days")
    ended(db, SLOW, 60, 4, "9 days")
    ended(db, FAST, 60, 1, "2 hours")
    app = make_app(DATABASE_URL=database).start()
    page.goto(f"{app.url}/models")
    main, dialog = page.get_by_test_id("stMain"), page.get_by_role("dialog")
    verdict = main.get_by_test_id("stAlert")
    rise = re.compile(r"flux-dev: p50 run time is up \d+% \(.* s → .* s\) since \w{3} \d+ \w{3}")
    expect(verdict).to_contain_text(rise, timeout=LONG)
    expect(verdict).to_contain_text("Slowest: flux-dev, p95 run")
    table = main.get_by_test_id("stDataFrame")
    expect(table.locator("canvas").first).to_be_visible()
    # The slowest comes first; a click anywhere on its row opens it.
    page.wait_for_timeout(1_000)
    table.click(position={"x": 300, "y": 52})
    expect(main.get_by_text(SLOW, exact=True)).to_be_visible(timeout=LONG)
    assert "model=black-forest-labs" in page.url
    expect(verdict).to_contain_text("Regression: p50 run time is up")
    main.get_by_text("Enabled: users may request it").click()
    main.get_by_role("button", name="Save model").click()
    expect(dialog).to_contain_text("New requests for it are rejected", timeout=LONG)
    dialog.get_by_role("button", name="Save model").click()
    expect(page.get_by_text("flux-dev saved.")).to_be_visible(timeout=LONG)
    [model] = db.execute("select enabled from models where id = %s", [SLOW]).fetchall()
    assert model == {"enabled": False}
    main.get_by_role("link", name="All models").first.click()
    expect(main.get_by_text("Slowest: flux-dev, p95 run")).to_be_visible(timeout=LONG)
