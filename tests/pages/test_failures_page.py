"""An operator puts all failed jobs of a kind back on the queue, and thinks better of it."""

from playwright.sync_api import Page, expect


def failed_jobs(db, count):
    for number in range(count):
        db.execute("select public.enqueue_job('generate-image', %s)", [f'{{"prompt": "{number}"}}'])
    for row in db.execute("select id from public.claim_jobs(%s)", [count]).fetchall():
        db.execute(
            "select public.complete_job(%s, false, 'No luck.', '{\"permanent\": true}')",
            [row["id"]],
        )


def test_a_kind_of_failed_jobs_is_retried_and_cancelled(make_app, page: Page, database, db):
    failed_jobs(db, 3)
    app = make_app(DATABASE_URL=database).start()
    page.goto(f"{app.url}/failures")
    page.get_by_role("button", name="Retry all of this time").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Puts 3 jobs back on the queue")
    dialog.get_by_role("button", name="Retry 3 jobs").click()
    expect(page.get_by_text("3 jobs put back on the queue.")).to_be_visible(timeout=30_000)
    expect(page.get_by_text("No job failed in")).to_be_visible(timeout=30_000)

    page.get_by_role("button", name="Cancel all 3").click()
    dialog.get_by_role("button", name="Cancel 3 jobs").click()
    expect(page.get_by_text("3 jobs cancelled.")).to_be_visible(timeout=30_000)
    audit = db.execute("select action, affected from public.audit_log order by id").fetchall()
    assert [tuple(row.values()) for row in audit] == [("retry_jobs", 3), ("cancel_jobs", 3)]
