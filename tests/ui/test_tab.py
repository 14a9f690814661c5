"""The browser's tab and the sidebar say what is wrong while a page stays open."""

import base64
import re

import pytest
from playwright.sync_api import Page, expect

from lib.ops.alerts.watch import EVALUATE_SECONDS
from lib.ui import sidebar
from lib.ui.tab import ICONS, FrameState, tab_state

LONG = 60_000
STUCK = """insert into job_queue (job_type, status, attempts, started_at, updated_at)
values ('a', 'processing', 1, now() - interval '1 hour', now() - interval '1 hour')"""
QUIET = FrameState(
    alerts_known=True,
    critical=0,
    warnings=0,
    pending=0,
    pending_at_least=False,
    failure_groups=0,
    failure_groups_at_least=False,
    workers_alive=1,
    workers_expected=1,
)


@pytest.mark.parametrize(
    ("state", "label"),
    [
        (QUIET, ""),
        (QUIET | {"warnings": 2}, "Warning (2)"),
        (QUIET | {"warnings": 2, "critical": 1}, "Critical (1)"),
        (QUIET | {"critical": 1, "alerts_known": False}, "Alerts not evaluated"),
    ],
)
def test_names_the_worst_alerts_and_does_not_trust_old_ones(state: FrameState, label: str):
    assert tab_state(state).label == label


@pytest.mark.parametrize(("intervals", "badge"), [(1.9, ""), (2.1, ":orange-badge[stale]")])
def test_a_fresh_start_does_not_call_alerts_stale(
    monkeypatch: pytest.MonkeyPatch, intervals: float, badge: str
):
    started = sidebar.monotonic() - intervals * EVALUATE_SECONDS
    monkeypatch.setattr(sidebar, "STARTED", started)
    assert sidebar.badge("alerts", QUIET | {"alerts_known": False}) == badge


def shows(page: Page, title: str, picture: str) -> None:
    expect(page).to_have_title(title, timeout=LONG)
    icon = page.locator("link[rel='shortcut icon']")
    drawn = base64.b64encode((ICONS / picture).read_bytes()).decode()
    expect(icon).to_have_attribute("href", re.compile(re.escape(drawn)), timeout=LONG)


@pytest.mark.slow
def test_follows_the_state_while_a_page_is_open(make_app, page: Page, database, db, database_away):
    db.execute(
        "insert into workers (id, kind, host, pid, process_started_at, version, job_types,"
        " concurrency, last_seen_at) select gen_random_uuid(), 'worker', 'here', 1, now(), '1',"
        " '{a}', 1, now() + interval '1 hour'"
    )
    page.goto(f"{make_app(DATABASE_URL=database).start().url}/models")
    entry = page.get_by_test_id("stSidebar").get_by_role("link")
    shows(page, "Models – Darkroom", "icon.svg")
    expect(entry.filter(has_text="Workers")).to_have_text("memoryWorkers 1/1")
    expect(entry.filter(has_text="Alerts")).to_have_text("notificationsAlerts")
    db.execute(STUCK)
    shows(page, "Warning (1) · Models – Darkroom", "icon_look.svg")
    expect(entry.filter(has_text="Alerts")).to_have_text("notificationsAlerts 1")
    db.execute(
        "insert into provider_breakers (provider, opened_at, open_until)"
        " values ('replicate', now() - interval '12 minutes', now())"
    )
    shows(page, "Critical (1) · Models – Darkroom", "icon_act.svg")
    expect(entry.filter(has_text="Alerts")).to_have_text("notificationsAlerts 2")
    db.execute("insert into job_queue (job_type) select 'b' from generate_series(1, 4)")
    expect(entry.filter(has_text="Jobs")).to_have_text("listJobs 4", timeout=LONG)
    entry.filter(has_text="Admin").click()
    shows(page, "Critical (1) · Admin – Darkroom", "icon_act.svg")
    with database_away():
        shows(page, "Database unreachable · Admin – Darkroom", "icon_unreachable.svg")
        expect(entry.filter(has_text="Jobs")).to_have_text("listJobs")
    shows(page, "Critical (1) · Admin – Darkroom", "icon_act.svg")
    with db.transaction():
        # Whoever reads it waits until the time limit.
        db.execute("lock table failure_rollup")
        shows(page, "Database slow · Admin – Darkroom", "icon_look.svg")
    shows(page, "Critical (1) · Admin – Darkroom", "icon_act.svg")
    db.execute("delete from provider_breakers")
    db.execute("delete from job_queue")
    shows(page, "Admin – Darkroom", "icon.svg")
