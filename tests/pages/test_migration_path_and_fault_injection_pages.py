"""Operators move users to the queue and back, and make the simulated provider misbehave."""

import re

import pytest
from playwright.sync_api import Page, expect
from running_app import apps

pytestmark = pytest.mark.slow

MODEL = "black-forest-labs/flux-schnell"
LONG = 30_000


@pytest.fixture(scope="module")
def app(eventually):
    with apps(eventually) as make:
        made = make(DARKROOM_SAMPLE_DATA="0", DARKROOM_SIMULATOR_SPEED="20").start()
        made.rows(
            "with people as (insert into auth.users (id) select gen_random_uuid()"
            " from generate_series(1, 20) returning id)"
            " insert into public.image_generations (user_id, prompt, model_id, status)"
            " select id, 'a', 'black-forest-labs/flux-schnell', 'failed' from people returning id"
        )
        yield made


def test_users_are_moved_to_the_queue_and_back(app, page: Page):
    page.goto(f"{app.url}/migration-path")
    main, dialog = page.get_by_test_id("stMain"), page.get_by_role("dialog")
    expect(main.get_by_text("of 20 active")).to_be_visible(timeout=LONG)
    expect(main.get_by_text("No generations ended in this time range.").first).to_be_visible()
    expect(main.get_by_role("button", name="Move all users back")).to_be_disabled()
    main.get_by_role("slider").press("End")
    expect(main.get_by_text("Moves about 20 of the 20 active users to the queue.")).to_be_visible()
    main.get_by_role("button", name="Set 100%").click()
    expect(dialog.get_by_text("to the queue: from 0% to 100%")).to_be_visible(timeout=LONG)
    dialog.get_by_role("button", name="Cancel").click()
    expect(dialog).to_be_hidden()
    assert app.rows("select percentage from public.async_rollout") == [{"percentage": 0}]

    main.get_by_role("button", name="Set 100%").click()
    dialog.get_by_role("button", name="Set 100%").click()
    expect(page.get_by_text("100% of users will use the queue")).to_be_visible(timeout=LONG)
    # Until the page is drawn, the row of before stands beside the new one.
    main.get_by_role("button", name="Move all users back", disabled=False).click()
    expect(dialog.get_by_text("20 of the 20 active users back")).to_be_visible(timeout=LONG)
    dialog.get_by_role("button", name="Move all users back").click()
    nobody = re.compile("^0% of users will use the queue")
    expect(page.get_by_text(nobody)).to_be_visible(timeout=LONG)
    audit = app.rows("select details, actor from public.audit_log order by id")
    assert [row["details"] for row in audit] == [
        {"before": 0, "after": 100},
        {"before": 100, "after": 0},
    ]
    assert all(row["actor"].endswith("(local)") for row in audit)


def test_a_provider_is_put_down_seen_and_healed(app, page: Page, eventually):
    page.goto(f"{app.url}/fault-injection")
    main, dialog = page.get_by_test_id("stMain"), page.get_by_role("dialog")
    expect(main.get_by_text("No active faults.")).to_be_visible(timeout=LONG)
    in_sidebar = page.get_by_role("link", name="Faults active")
    expect(in_sidebar).to_be_hidden()
    main.get_by_role("button", name="Provider down").click()
    expect(dialog.get_by_text("Every connection is dropped")).to_be_visible(timeout=LONG)
    dialog.get_by_role("button", name="Apply faults").click()
    expect(main.get_by_text("Faults active since")).to_be_visible(timeout=LONG)
    expect(in_sidebar).to_be_visible()
    for n in range(6):
        asked = {"prompt": f"A kite {n}", "model_id": MODEL, "test": True}
        app.call("start-generation", asked)
    expect(main.get_by_text("Open", exact=True)).to_be_visible(timeout=LONG)
    expect(main.get_by_text("Last provider failure")).to_be_visible()

    main.get_by_role("button", name="Clear all faults").click()
    expect(page.get_by_text("All faults cleared")).to_be_visible(timeout=LONG)
    expect(main.get_by_text("No active faults.")).to_be_visible(timeout=LONG)
    expect(in_sidebar).to_be_hidden()
    app.rows("update public.provider_breakers set open_until = now() returning 1")
    app.rows(
        "update public.job_queue set scheduled_at = now() where status = 'pending' returning 1"
    )
    expect(main.get_by_text("Closed", exact=True)).to_be_visible(timeout=LONG)
    done = "select from public.job_queue where status = 'completed'"
    # What may have been created in the outage is looked for, for 40 seconds.
    eventually(lambda: len(app.rows(done)) == 6, 90)


def test_faults_of_one_model_are_set_in_detail(app, page: Page):
    page.goto(f"{app.url}/fault-injection?model={MODEL}")
    main, dialog = page.get_by_test_id("stMain"), page.get_by_role("dialog")
    share = main.get_by_label("No credit (HTTP 402)")
    share.fill("70")
    share.press("Tab")
    other = main.get_by_label("Rate-limited (HTTP 429)")
    other.fill("40")
    other.press("Tab")
    main.get_by_role("button", name="Apply faults").click()
    expect(main.get_by_text("more than 100%")).to_be_visible(timeout=LONG)
    other.fill("0")
    other.press("Tab")
    main.get_by_role("button", name="Apply faults").click()
    expect(dialog.get_by_text("no credit (HTTP 402, 70% of predictions")).to_be_visible(
        timeout=LONG
    )
    dialog.get_by_role("button", name="Apply faults").click()
    expect(main.get_by_text("Faults active since")).to_be_visible(timeout=LONG)
    expect(main.get_by_label("No credit (HTTP 402)")).to_have_value("70")
    main.get_by_role("button", name="Clear all faults").click()
    expect(page.get_by_text("All faults cleared")).to_be_visible(timeout=LONG)
    expect(main.get_by_label("No credit (HTTP 402)")).to_have_value("0")
