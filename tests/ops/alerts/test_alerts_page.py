"""The page Alerts: what is wrong and what to do, who is told, and no secret in the browser."""

import pytest
from playwright.sync_api import Page, expect
from receiver import PASSWORD, TOKEN, receiving
from running_app import apps

pytestmark = pytest.mark.slow

LONG = 30_000


@pytest.fixture(scope="module")
def app(eventually):
    with apps(eventually) as make:
        yield make().start()


@pytest.fixture
def receiver():
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def heard(page: Page):
    """What the server sends to the browser over its websocket."""
    frames: list[bytes] = []

    def keep(payload: bytes | str) -> None:
        frames.append(payload if isinstance(payload, bytes) else payload.encode())

    page.on("websocket", lambda socket: socket.on("framereceived", keep))
    return frames


def confirm(page: Page, button: str) -> None:
    page.get_by_role("dialog").get_by_role("button", name=button, exact=True).click()
    expect(page.get_by_role("dialog")).to_be_hidden(timeout=LONG)


def test_somebody_is_told_and_the_address_stays_secret(app, page: Page, receiver, heard):
    page.goto(f"{app.url}/alerts?view=Channels")
    main = page.get_by_test_id("stMain")
    expect(main.get_by_text("4 jobs stuck: no recent heartbeat.")).to_be_visible(timeout=LONG)
    expect(main.get_by_text("Oldest heartbeat")).to_be_visible()
    expect(main.get_by_text("Nobody is paged")).to_be_visible()

    address = main.get_by_role("textbox", name="Apprise URL")
    main.get_by_label("Name").fill("Pager **bold**")
    address.fill("https://no.such/thing")
    main.get_by_role("button", name="Add channel").click()
    expect(main.get_by_text("Apprise does not accept this URL")).to_be_visible(timeout=LONG)
    main.get_by_label("Name").fill("Pager **bold**")
    address.fill(receiver.url)
    # A refresh of the panel leaves alone what is being typed.
    at = page.get_by_text("Updated").text_content()
    expect(main.get_by_text(at)).to_be_hidden(timeout=LONG)
    heard.clear()
    main.get_by_role("button", name="Add channel").last.click()
    confirm(page, "Add channel")
    expect(main.get_by_text("json://127.0.0.1, receives all alerts")).to_be_visible(timeout=LONG)

    main.get_by_role("button", name="Send test").click()
    confirm(page, "Send test")
    expect(page.get_by_text("Test sent to Pager **bold**.")).to_be_visible(timeout=LONG)
    assert "Darkroom: test" in receiver.titles

    # The worker tells the new channel of what fires already.
    expect(page.get_by_text("1 channel notified.")).to_be_visible(timeout=LONG)
    assert "Darkroom: warning: Stuck jobs" in receiver.titles

    receiver.status = 500
    main.get_by_role("button", name="Send test").click()
    confirm(page, "Send test")
    refused = "Test to Pager **bold** failed: The receiver rejected the message: HTTP 500."
    expect(page.get_by_text(refused)).to_be_visible(timeout=LONG)

    seen = page.content() + app.log.read_text()
    for secret in (TOKEN, PASSWORD):
        assert secret not in seen
        assert not any(secret.encode() in frame for frame in heard)

    main.get_by_role("button", name="Remove channel").click()
    confirm(page, "Remove channel")
    expect(page.get_by_text("removed.")).to_be_visible(timeout=LONG)
    assert app.rows("select * from public.alert_channel_urls") == []


def test_a_silence_is_set_and_ended(app, page: Page):
    page.goto(f"{app.url}/alerts?view=Silences")
    main = page.get_by_test_id("stMain")
    main.get_by_test_id("stMenuButton").get_by_role("button").click(timeout=LONG)
    page.get_by_role("menuitem", name="4 hours").click()
    confirm(page, "Silence alert")
    expect(page.get_by_text("silenced until")).to_be_visible(timeout=LONG)
    [silence] = app.rows("select rule, until - created_at as length from public.alert_silences")
    assert (silence["rule"], silence["length"].total_seconds()) == ("stuck_jobs", 14_400)
    main.get_by_role("button", name="End silence").click()
    confirm(page, "End silence")
    expect(main.get_by_text("No active silences.")).to_be_visible(timeout=LONG)


def test_a_rule_is_changed_and_its_alert_ends(app, page: Page):
    page.goto(f"{app.url}/alerts?rule=stuck_jobs")
    main, dialog = page.get_by_test_id("stMain"), page.get_by_role("dialog")
    above = main.get_by_label("Fires above (jobs)")
    expect(above).to_be_visible(timeout=LONG)
    above.fill("9")
    main.get_by_label("Resolves at (jobs)").fill("12")
    main.get_by_role("button", name="Save rule").click()
    dialog.get_by_role("button", name="Save rule").click()
    expect(dialog.get_by_text("the second value must be between 0 and the first")).to_be_visible()
    dialog.get_by_role("button", name="Cancel").click()
    main.get_by_label("Resolves at (jobs)").fill("5")
    main.get_by_role("button", name="Save rule").click()
    expect(dialog.get_by_text("from “warning above 0 jobs")).to_be_visible(timeout=LONG)
    confirm(page, "Save rule")
    expect(main.get_by_text("All good. 14 rules evaluated")).to_be_visible(timeout=LONG)
    page.goto(f"{app.url}/alerts?view=History")
    expect(main.get_by_text("Alert history")).to_be_visible(timeout=LONG)
    expect(main.get_by_role("button", name="Export as CSV")).to_be_visible()
    actions = [row["action"] for row in app.rows("select action from public.audit_log order by id")]
    assert actions[-1] == "set_alert_rule"
