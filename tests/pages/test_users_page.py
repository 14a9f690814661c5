"""A user is found by a part of the address; why an image is missing; a limit is changed."""

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.slow

LONG = 30_000
MODEL = "black-forest-labs/flux-schnell"


def test_a_missing_image_is_found_and_a_limit_changed(make_app, page: Page, database, db):
    for name in ("ann@studio.example", "bob@studio.example"):
        db.execute("insert into auth.users (id, email) values (gen_random_uuid(), %s)", [name])
    for prompt in ("A red kite", "A lighthouse"):
        db.execute(
            "select start_generation(id, %s, %s) from auth.users where email like 'ann%%'",
            [prompt, MODEL],
        )
    [job] = db.execute("select id from claim_jobs(1)").fetchall()
    db.execute(
        'select complete_job(%s, false, \'flagged\', \'{"permanent": true, "code": "refused"}\')',
        [job["id"]],
    )
    app = make_app(DATABASE_URL=database).start()
    page.goto(f"{app.url}/users")
    main, dialog = page.get_by_test_id("stMain"), page.get_by_role("dialog")
    search = main.get_by_role("textbox", name="Search by e-mail or user id")
    search.fill("STUDIO")
    search.press("Enter")
    expect(main.get_by_text("2 users found")).to_be_visible(timeout=LONG)
    search.fill("nobody@")
    search.press("Enter")
    expect(main.get_by_text("No users match.")).to_be_visible(timeout=LONG)
    search.fill("ann@")
    search.press("Enter")
    # It is no link, and holds no invisible character.
    heading = main.get_by_role("heading", name="ann@studio.example")
    expect(heading).to_be_visible(timeout=LONG)
    prompt = main.get_by_role("textbox", name="Prompt contains")
    prompt.fill("KITE")
    prompt.press("Enter")
    why = "Refused: flagged"
    expect(main.locator("canvas", has_text=why)).to_have_count(1, timeout=LONG)
    expect(main.locator("canvas", has_text="A lighthouse")).to_have_count(0)

    hourly = main.get_by_role("spinbutton", name="Images per hour")
    hourly.fill("3")
    main.get_by_role("button", name="Set limits").click()
    expect(dialog).to_contain_text(
        "to 3 images per hour and the default number of images per 24 hours", timeout=LONG
    )
    dialog.get_by_role("button", name="Set limits").click()
    expect(page.get_by_text("set: 3 images per hour")).to_be_visible(timeout=LONG)
    expect(main.get_by_text("2 of 3")).to_be_visible(timeout=LONG)
    [limits] = db.execute("select hourly_limit, daily_limit from user_limits").fetchall()
    assert limits == {"hourly_limit": 3, "daily_limit": None}
