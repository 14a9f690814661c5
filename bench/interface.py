"""How fast is the control room for who uses it? Prints a line a page; fails above a budget.

    python -m bench.interface --data FOLDER [--jobs 1000000] [--rounds 3] [--page models ...]

FOLDER is kept, and filled by bench.history the first time. A page is opened in a browser that was
never here (first), in one that has Streamlit's assets (again), and by a click in the sidebar of
the page before it (click): seconds until its last chart, table and image is painted, medians of
the rounds; see bench.visitor. "Cold" is the first of all, on an app that has just started. Others
at work on the machine make all of these longer, but hardly what the processor is charged: that of
the app, and that of the browser's main thread while Playwright listens. "kB" is what the first
view takes besides Streamlit's own assets; see bench.traffic. "Database" is what all queries of a
view cost, the frame's included, one after the other; see bench.cost.
"""

import argparse
import asyncio
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from statistics import median
from urllib.parse import urlencode

import psutil
from playwright.sync_api import Browser, BrowserContext

from bench.browser import App, chromium, new_context, painted, running_app
from bench.cost import Cost, all_of, cost, statistics
from bench.history import loaded_database, step
from bench.recording import views
from bench.traffic import Exchange, Traffic
from bench.viewers import watching
from bench.visitor import Visitor, visitor
from lib.database import connect
from lib.ui.pages import PAGES, page_path

JOBS = 1_000_000
BUDGETS = {"overview": 1.0}
"""Seconds until a page is painted, by its file; 1.5 for the others."""
BUDGET = 1.5
DATABASE_BUDGETS = {"job": (10.0, 100)}
"""Milliseconds and rows that all queries of a page may take, by its file."""
MOST_BYTES = 300_000
"""Of a first view, besides Streamlit's own assets."""
VIEWERS = 30
REFRESH_PATIENCE = 12.0
"""Seconds; pages about long times are drawn again more seldom."""
CHOICE_PATIENCE = 5.0
# The first choice that a page offers: another part of a row of choices, or of a list.
ROW = "[data-testid=stMain] [data-testid=stButtonGroup] button:not([aria-checked=true])"
LIST = "[data-testid=stMain] [data-testid=stSelectbox] input"


@dataclass(frozen=True)
class Place:
    """A page of the navigation."""

    file: str
    title: str
    query: str

    @property
    def path(self) -> str:
        return page_path(self.file)

    @property
    def budget(self) -> float:
        return BUDGETS.get(self.file, BUDGET)


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


@dataclass(frozen=True)
class Times:
    """Seconds until a page was painted."""

    cold: float
    first: list[float] = field(default_factory=list)
    again: list[float] = field(default_factory=list)
    click: list[float] = field(default_factory=list)


def places(database_url: str, files: Sequence[str]) -> list[Place]:
    """The pages of the navigation, or only some of them."""
    with connect(database_url) as connection:
        examples = {row["path"]: row["parameters"] for row in statistics.examples(connection)}
    return [
        Place(file, entry.title, f"?{urlencode(examples[file])}" if file in examples else "")
        for file, entry in PAGES.items()
        if not files or file in files
    ]


def database_costs(url: str, seen: Sequence[Place]) -> dict[str, Cost]:
    """What all queries of each page cost together, by the page's file."""
    wanted = {place.path.lstrip("/"): place.file for place in seen}
    costs = {}
    with connect(url) as connection:
        examples = {row["path"]: row["parameters"] for row in statistics.examples(connection)}
        for view in views(url, examples):
            if view.url_path in wanted:
                each = [cost(connection, call) for call in view.calls.values()]
                costs[wanted[view.url_path]] = all_of(each)
    return costs


def memory(app: App) -> dict[int, float]:
    """Megabytes that the app's process holds, by the number of open Overviews."""
    process = psutil.Process(app.pid)

    async def of(viewers: int) -> float:
        async with watching(viewers, app, ""):
            return process.memory_info().rss / 2**20

    return {viewers: asyncio.run(of(viewers)) for viewers in (1, VIEWERS)}


def inspect(browser: Browser, app: App, place: Place) -> Inspected:
    """Looks at a first visit, at a refresh and at a choice."""
    process = psutil.Process(app.pid)
    with new_context(browser) as context:
        page = context.new_page()
        traffic = Traffic(page)
        session = context.new_cdp_session(page)
        session.send("Performance.enable", {"timeDomain": "threadTicks"})
        before = sum(process.cpu_times()[:2])
        painted(page, app.url + place.path + place.query)
        charged = sum(process.cpu_times()[:2]) - before
        metrics = session.send("Performance.getMetrics")["metrics"]
        load, assets = traffic.so_far(), traffic.assets()
        refresh = traffic.of_refresh(REFRESH_PATIENCE) if traffic.refreshes else None
        return Inspected(
            load,
            assets,
            refresh,
            choice(context, app.url + place.path + place.query),
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


def cold_visits(looking: Visitor, app: App, seen: Sequence[Place]) -> dict[str, Times]:
    """The app meets each page for the first time, by the page's file."""
    return {place.file: Times(first_visit(looking, app, place)) for place in seen}


def first_visit(looking: Visitor, app: App, place: Place) -> float:
    """In a browser that was never here."""
    with looking.tab() as tab:
        return tab.painted(app.url + place.path + place.query)


def visits(
    looking: Visitor, app: App, seen: Sequence[Place], rounds: int, times: Mapping[str, Times]
) -> None:
    """Adds the times of so many rounds over all pages."""
    for _ in range(rounds):
        for place in seen:
            times[place.file].first.append(first_visit(looking, app, place))
    with looking.tab() as known:
        for place in seen:
            known.painted(app.url + place.path + place.query)
        for _ in range(rounds):
            for place, following in zip(seen, [*seen[1:], seen[0]], strict=True):
                again = known.painted(app.url + place.path + place.query)
                times[place.file].again.append(again)
                if following is not place and PAGES[following.file].parent is None:
                    times[following.file].click.append(known.followed(following.path))


def report(
    seen: Sequence[Place],
    inspected: Mapping[str, Inspected],
    times: Mapping[str, Times],
    costs: Mapping[str, Cost],
) -> int:
    """One line a page; the number of pages above a budget."""
    print(
        f"\n{'':15}{'painted after, s':^34}{'processor, ms':^15}{'first view':^19}"
        f"{'refresh':^12}{'choice':^12}{'database':^13}"
    )
    print(
        f"{'Page':15}{'most':>6}{'cold':>7}{'first':>7}{'again':>7}{'click':>7}"
        f"{'app':>7}{'browser':>9}{'kB':>6}{'assets':>8}{'runs':>5}"
        f"{'kB':>6}{'runs':>5}{'kB':>6}{'runs':>5}{'ms':>6}{'rows':>7}"
    )
    above = 0
    for place in seen:
        took, of_place, asked = times[place.file], inspected[place.file], costs[place.file]
        usual = [median(each) if each else None for each in (took.first, took.again, took.click)]
        slow = any(seconds and seconds > place.budget for seconds in usual)
        heavy = of_place.load.bytes > MOST_BYTES
        milliseconds, rows = DATABASE_BUDGETS.get(place.file, (inf, inf))
        costly = asked.milliseconds > milliseconds or asked.rows > rows
        above += slow or heavy or costly
        print(
            f"{place.title:15}{place.budget:6.2f}{took.cold:7.2f}"
            + "".join(f"{seconds:7.2f}" if seconds else f"{'–':>7}" for seconds in usual)
            + f"{of_place.app * 1000:7.0f}{of_place.browser * 1000:9.0f}"
            f"{of_place.load.bytes / 1000:6.0f}{of_place.assets / 1000:8,.0f}"
            f"{of_place.load.runs:5}"
            + "".join(
                f"{part.bytes / 1000:6.1f}{part.runs:5}" if part else f"{'–':>6}{'–':>5}"
                for part in (of_place.refresh, of_place.choice)
            )
            + f"{asked.milliseconds:6.0f}{asked.rows:7,}"
            + ("  too slow" if slow else "")
            + (f"  more than {milliseconds:.0f} ms or {rows} rows" if costly else "")
            + (f"  more than {MOST_BYTES // 1000} kB" if heavy else "")
        )
    return above


def main() -> int:
    """Prints the table; returns 1 when a page is above a budget."""
    parser = argparse.ArgumentParser(description="Measure how fast the pages are for their users.")
    parser.add_argument("--data", type=Path, required=True, help="folder of a history")
    parser.add_argument("--jobs", type=int, default=JOBS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--page", nargs="*", default=[], help="files of pages/, without .py")
    options = parser.parse_args()
    url = loaded_database(options.data.resolve(), options.jobs)
    seen = places(url, options.page)
    print(f"{os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}", flush=True)
    with tempfile.TemporaryDirectory() as folder, running_app(url, Path(folder)) as app:
        for viewers, megabytes in memory(app).items():
            print(f"{viewers:3} open Overviews: {megabytes:.0f} MB", flush=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        running_app(url, Path(folder)) as app,
    ):
        with step("Visits"), visitor() as looking:
            times = cold_visits(looking, app, seen)
            visits(looking, app, seen, options.rounds, times)
        with step("What a visit takes"), chromium() as browser:
            inspected = {place.file: inspect(browser, app, place) for place in seen}
        print(f"After all visits: {psutil.Process(app.pid).memory_info().rss / 2**20:.0f} MB")
    with step("What a visit asks the database"):
        costs = database_costs(url, seen)
    above = report(seen, inspected, times, costs)
    print(f"{above} of {len(seen)} pages above a budget" if above else "All within their budgets")
    return 1 if above else 0


if __name__ == "__main__":
    sys.exit(main())
