"""An operator without a mouse: Tab leads everywhere, the focus is seen, dialogs are answered."""

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.slow

LONG = 30_000
# Its name, and whether anybody sees that it has the focus.
FOCUSED = """() => {
    const { innerText } = document.activeElement;
    const { outlineStyle, boxShadow } = getComputedStyle(document.activeElement);
    return [innerText?.trim(), outlineStyle !== 'none' || boxShadow !== 'none'];
}"""


def test_stuck_jobs_are_reset_by_keyboard_alone(make_app, page: Page, database, db):
    db.execute(
        "insert into job_queue (job_type, status, attempts, started_at, updated_at)"
        " values ('a', 'processing', 1, now() - interval '1 hour', now() - interval '1 hour')"
    )
    page.goto(f"{make_app(DATABASE_URL=database).start().url}/jobs?view=stuck")
    dialog, keys = page.get_by_role("dialog"), page.keyboard
    expect(page.get_by_role("button", name="Reset all 1")).to_be_visible(timeout=LONG)
    tab_to(page, "Reset all 1")
    keys.press("Enter")
    expect(dialog).to_be_visible(timeout=LONG)
    keys.press("Escape")
    expect(dialog).to_be_hidden(timeout=LONG)
    # From where the focus was.
    expect(page.get_by_role("button", name="Reset all 1")).to_be_focused()
    keys.press("Enter")
    expect(dialog).to_be_visible(timeout=LONG)
    tab_to(page, "Cancel")
    keys.press("Enter")
    expect(dialog).to_be_hidden(timeout=LONG)
    assert db.execute("select status from job_queue").fetchall() == [{"status": "processing"}]
    tab_to(page, "Reset all 1")
    keys.press("Enter")
    expect(dialog).to_be_visible(timeout=LONG)
    tab_to(page, "Reset 1 stuck job")
    keys.press("Enter")
    expect(page.get_by_text("1 job put back on the queue.")).to_be_visible(timeout=LONG)
    assert db.execute("select status from job_queue").fetchall() == [{"status": "pending"}]


def tab_to(page: Page, name: str) -> None:
    """Presses Tab until the focus is on the button of that name, and seen there."""
    for _ in range(80):
        page.keyboard.press("Tab")
        focused, seen = page.evaluate(FOCUSED)
        if focused == name:
            assert seen, f"nobody sees that {name} has the focus"
            return
    raise AssertionError(f"Tab does not lead to {name}")
