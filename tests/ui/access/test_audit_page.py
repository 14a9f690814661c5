"""The audit page in a real browser: filters and places in its address, an entry opened, a file."""

import csv
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.slow

LONG = 30_000


def test_entries_are_found_by_address_turned_opened_and_exported(
    make_app, page: Page, database, db
) -> None:
    db.execute(
        "insert into audit_log (at, actor, action, affected, details)"
        " select now() - n * interval '1 minute', 'ann@studio.example', 'cancel_jobs', n,"
        " jsonb_build_object('before', jsonb_build_object('pending', n),"
        " 'after', jsonb_build_object('cancelled', n), 'job_ids', '[\"7e57\"]'::jsonb)"
        " from generate_series(1, 60) n"
    )
    db.execute("select set_async_rollout('ben@studio.example', 7)")
    app = make_app(DATABASE_URL=database).start()
    main = page.get_by_test_id("stMain")

    page.goto(f"{app.url}/audit?who=ann@studio.example&what=cancel_jobs")
    expect(main.get_by_role("combobox", name="User")).to_have_value(
        "ann@studio.example", timeout=LONG
    )
    newest = main.get_by_role("button", name="Newest")
    expect(newest).to_be_disabled()
    main.get_by_role("button", name="Older").click()
    expect(newest).to_be_enabled(timeout=LONG)
    assert "before=" in page.url
    expect(main.get_by_role("button", name="Older")).to_be_disabled()
    main.get_by_role("button", name="Newer").click()
    expect(newest).to_be_disabled(timeout=LONG)

    main.get_by_role("button", name="Export as CSV").click()
    with page.expect_download() as saved:
        main.get_by_role("button", name="Save 60 rows").click(timeout=LONG)
    rows = list(csv.DictReader(Path(saved.value.path()).read_text().splitlines()))
    assert [int(row["affected"]) for row in rows] == list(range(1, 61))

    page.goto(f"{app.url}/audit?who=ben@studio.example")
    # The checkbox of the first row; the table is drawn on a canvas.
    main.get_by_test_id("stDataFrame").first.click(position={"x": 16, "y": 52}, timeout=LONG)
    text = main.get_by_test_id("stText")
    said = "Set async rollout, 1 changed, by ben@studio.example"
    expect(text.get_by_text(said)).to_be_visible(timeout=LONG)
    expect(text.get_by_text("0 → 7")).to_be_visible()
