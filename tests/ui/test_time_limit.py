"""A question that reaches its time limit is not taken for a database that is away."""

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.slow

LONG = 60_000
SENTENCE = "The query hit its time limit"


# The one reads the table in its live panel, the other before.
@pytest.mark.parametrize(
    ("path", "table", "drawn"),
    [
        ("jobs?view=stuck", "models", "No jobs are stuck."),
        ("audit", "audit_log", "No entries match these filters."),
    ],
)
def test_says_so_until_it_is_answered(make_app, page: Page, database, db, path, table, drawn):
    app = make_app(DATABASE_URL=database).start()
    with db.transaction():
        # Whoever reads it waits.
        db.execute(f"lock table {table}")
        page.goto(f"{app.url}/{path}")
        expect(page.get_by_text(SENTENCE)).to_be_visible(timeout=LONG)
        expect(page.get_by_text("Database unreachable")).to_have_count(0)
        page.evaluate("window.still_open = true")
    expect(page.get_by_text(SENTENCE)).to_be_hidden(timeout=LONG)
    expect(page.get_by_text(drawn)).to_be_visible(timeout=LONG)
    assert page.evaluate("window.still_open")
