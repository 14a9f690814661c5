"""An operator finds out in a browser why jobs wait, and repairs it by one confirmed click."""

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.slow

LONG = 30_000
HOSTILE = "<img src=x onerror=alert(1)> **bold** [a](http://evil.example) :red[$x$]"


def test_what_is_wrong_stands_first_and_is_repaired(make_app, page: Page, eventually):
    app = make_app(DARKROOM_SAMPLE_DATA="0", DARKROOM_SIMULATOR_SPEED="50").start()
    page.goto(f"{app.url}/troubleshooting")
    main, dialog = page.get_by_test_id("stMain"), page.get_by_role("dialog")
    expect(main.get_by_text("All good.")).to_be_visible(timeout=LONG)
    app.rows(f"select public.pause_queue('Eve', 'generate-image', '{HOSTILE}')")
    asked = {"prompt": "A kite", "model_id": "black-forest-labs/flux-schnell", "test": True}
    app.call("start-generation", asked)
    alert = main.get_by_test_id("stAlert").first
    expect(alert).to_contain_text("Jobs not starting: Queue paused by Eve", timeout=LONG)
    # Streamlit would make a link of the address: an invisible character parts it.
    expect(alert).to_contain_text(f"(generate-image): {HOSTILE}.".replace("http:", "http\u2060:"))
    expect(main.get_by_text("1 pending job affected.")).to_be_visible()
    expect(main.get_by_role("img", name="x")).to_have_count(0)
    main.get_by_role("button", name="Resume generate-image jobs").click()
    expect(dialog.get_by_text("(1 pending)")).to_be_visible(timeout=LONG)
    dialog.get_by_role("button", name="Cancel").click()
    expect(dialog).to_be_hidden()
    main.get_by_role("button", name="Resume generate-image jobs").click()
    dialog.get_by_role("button", name="Resume generate-image jobs").click(timeout=LONG)
    expect(page.get_by_text("generate-image jobs resumed.")).to_be_visible(timeout=LONG)
    expect(main.get_by_text("All good.")).to_be_visible(timeout=LONG)
    done = "select from public.job_queue where status = 'completed'"
    eventually(lambda: app.rows(done))
    audit = app.rows("select action, actor from public.audit_log order by id desc limit 1")
    assert audit[0]["action"] == "resume_queue"
    assert audit[0]["actor"].endswith("(local)")
