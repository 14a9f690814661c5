"""An operator retries all failed jobs of an error group, and cancels them again."""

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.slow


def failed_jobs(db, count):
    for number in range(count):
        db.execute("select public.enqueue_job('generate-image', %s)", [f'{{"prompt": "{number}"}}'])
    for row in db.execute("select id from public.claim_jobs(%s)", [count]).fetchall():
        db.execute(
            "select public.complete_job(%s, false, 'No luck.', '{\"permanent\": true}')",
            [row["id"]],
        )


def test_all_failed_jobs_are_retried_and_cancelled(make_app, page: Page, database, db):
    failed_jobs(db, 3)
    app = make_app(DATABASE_URL=database).start()
    page.goto(f"{app.url}/failures")
    page.get_by_role("button", name="Retry all 3").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Puts 3 jobs back on the queue")
    dialog.get_by_role("button", name="Retry 3 jobs").click()
    expect(page.get_by_text("3 jobs put back on the queue.")).to_be_visible(timeout=30_000)
    expect(page.get_by_text("No failed jobs in")).to_be_visible(timeout=30_000)

    page.get_by_role("button", name="Cancel all 3").click()
    dialog.get_by_role("button", name="Cancel 3 jobs").click()
    expect(page.get_by_text("3 jobs cancelled.")).to_be_visible(timeout=30_000)
    audit = db.execute("select action, affected from public.audit_log order by id").fetchall()
    assert [tuple(row.values()) for row in audit] == [("retry_jobs", 3), ("cancel_jobs", 3)]


def test_a_group_says_what_to_do_and_a_refused_one_does_not_offer_a_retry_first(
    make_app, page: Page, database, db
):
    details = '{"permanent": true, "code": "refused"}'
    db.execute("select public.enqueue_job('generate-image', '{\"prompt\": \"x\"}')")
    [row] = db.execute("select id from public.claim_jobs(1)").fetchall()
    db.execute(
        "select public.complete_job(%s, false, 'Flagged by the **safety** filter.', %s)",
        [row["id"], details],
    )
    [group] = db.execute("select key from public.failure_groups").fetchall()
    app = make_app(DATABASE_URL=database).start()
    page.goto(f"{app.url}/failures?kind={group['key']}")
    main = page.get_by_test_id("stMain")
    summary = main.get_by_text("No failed jobs, 1 refused in the last 24 h.")
    expect(summary).to_be_visible(timeout=30_000)
    table = main.locator("canvas", has_text="Refused: Flagged by the **safety** filter.")
    expect(table).to_have_count(1, timeout=30_000)
    expect(main.get_by_text("Unknown outcome: 0 of 1 generation, last 24 h")).to_be_visible()
    expect(main.get_by_role("heading", name="Jobs in this group")).to_be_visible()
    expect(main.get_by_text("Refused.", exact=True)).to_be_visible()
    expect(main.get_by_text("A retry will most likely fail again.")).to_be_visible()
    jobs = main.get_by_role("link", name="Show jobs")
    expect(jobs).to_be_visible()
    assert "view=failed" in str(jobs.get_attribute("href"))
    retry = main.get_by_role("button", name="Retry all 1")
    assert retry.bounding_box()["x"] > jobs.bounding_box()["x"]
    assert retry.get_attribute("data-testid") == "stBaseButton-secondary"
    retry.click()
    expect(page.get_by_role("dialog")).to_contain_text("Puts 1 job back on the queue")


def test_unknown_outcomes_are_counted_and_explained(make_app, page: Page, database, db):
    failed_jobs(db, 3)
    db.execute(
        "with made as ("
        " insert into image_generations (prompt, model_id) values ('a fox', 'a/b') returning id"
        ") insert into predictions (provider, model_id, generation_id, input, status)"
        " select 'replicate', 'a/b', id, '{}', 'unknown' from made, generate_series(1, 2)"
    )
    app = make_app(DATABASE_URL=database).start()
    page.goto(f"{app.url}/failures")
    main = page.get_by_test_id("stMain")
    rate = main.get_by_text("Unknown outcome: 1 of 3 generations, last 24 h.")
    expect(rate).to_be_visible(timeout=30_000)
    expect(main.get_by_text("You may be charged for each in addition")).to_be_visible()
