"""What a view of a page takes besides time: bytes, runs of scripts, processor."""

from dataclasses import dataclass

import psutil
from playwright.sync_api import Browser, BrowserContext

from bench.browser import App, new_context, painted
from bench.traffic import Exchange, Traffic

REFRESH_PATIENCE = 12.0
"""Seconds; pages about long times are drawn again more seldom."""
CHOICE_PATIENCE = 5.0
# The first choice that a page offers: another part of a row of choices, or of a list.
ROW = "[data-testid=stMain] [data-testid=stButtonGroup] button:not([aria-checked=true])"
LIST = "[data-testid=stMain] [data-testid=stSelectbox] input"


@dataclass(frozen=True)
class Inspected:
    """What one first visit took, besides time."""

    load: Exchange
    assets: int
    """Bytes."""
    refresh: Exchange | None
    choice: Exchange | None
    app: float
    """Seconds of processor."""
    browser: float
    """Seconds of its main thread."""


def inspect(browser: Browser, app: App, url: str) -> Inspected:
    """Looks at a first visit, at a refresh and at a choice."""
    process = psutil.Process(app.pid)
    with new_context(browser) as context:
        page = context.new_page()
        traffic = Traffic(page)
        session = context.new_cdp_session(page)
        session.send("Performance.enable", {"timeDomain": "threadTicks"})
        before = sum(process.cpu_times()[:2])
        painted(page, url)
        charged = sum(process.cpu_times()[:2]) - before
        metrics = session.send("Performance.getMetrics")["metrics"]
        load, assets = traffic.so_far(), traffic.assets()
        refresh = traffic.of_refresh(REFRESH_PATIENCE) if traffic.refreshes else None
        return Inspected(
            load,
            assets,
            refresh,
            choice(context, url),
            charged,
            next(metric["value"] for metric in metrics if metric["name"] == "TaskDuration"),
        )


def choice(context: BrowserContext, url: str) -> Exchange | None:
    """What another choice takes on a page that stands still; None for a page without one."""
    page = context.new_page()
    traffic = Traffic(page)
    painted(page, f"{url}{'&' if '?' in url else '?'}live=false")
    row, options = page.locator(ROW).first, page.locator(LIST).first

    def choose() -> None:
        options.click()
        options.press("ArrowDown")
        options.press("Enter")

    if row.is_visible():
        return traffic.of(row.click, CHOICE_PATIENCE)
    return traffic.of(choose, CHOICE_PATIENCE) if options.is_visible() else None
