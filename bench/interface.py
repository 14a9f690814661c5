"""How fast is the control room for who uses it? Prints a line a page; fails above a budget.

    python -m bench.interface --data FOLDER [--jobs 10000000] [--rounds 3] [--page models ...]

FOLDER is kept, and filled by bench.history the first time. A page is opened in a browser that was
never here (first), in one that has Streamlit's assets (again), and by a click in the sidebar of
the page before it (click): seconds until its last chart, table and image is painted, medians of
the rounds, beside what they may be at most; of the Overview also until its status strip and its
figures are there; see bench.visitor. "Cold" is the first of all, on an app that has just started.
Others at work on the machine make all of these longer, but hardly what the processor is charged:
that of the app, and that of the browser's main thread while Playwright listens. "kB" is what the
first view takes besides Streamlit's own assets; see bench.traffic. "Database" is what all queries
of a view cost, the frame's included, one after the other; see bench.cost.
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

from bench.browser import App, chromium, running_app
from bench.cost import Cost, all_of, cost, statistics
from bench.history import JOBS, loaded_database, step
from bench.inspection import Inspected, inspect
from bench.recording import views
from bench.viewers import watching
from bench.visitor import Visitor, visitor
from lib.database import connect
from lib.ui.pages import PAGES, page_path

DATABASE_BUDGETS = {"job": (10.0, 100)}
"""Milliseconds and rows that all queries of a page may take, by its file."""
MOST_BYTES = 300_000
"""Of a first view, besides Streamlit's own assets."""
VIEWERS = 30


@dataclass(frozen=True)
class Budget:
    """Seconds, of a first visit and of a click in the sidebar."""

    first: float
    click: float


BUDGET = Budget(1.3, 0.5)
"""Until a page is painted."""
BUDGETS = {"overview": Budget(1.4, 0.6)}
"""Of pages with another, by their file."""
FIGURES_BUDGET = Budget(0.8, 0.3)
"""Until the Overview's strip and figures are painted, which come before its chart and images."""


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
    def budget(self) -> Budget:
        return BUDGETS.get(self.file, BUDGET)


@dataclass(frozen=True)
class Times:
    """Seconds until a page was painted."""

    cold: float
    first: list[float] = field(default_factory=list)
    again: list[float] = field(default_factory=list)
    click: list[float] = field(default_factory=list)
    figures_first: list[float] = field(default_factory=list)
    """Until the Overview's strip and figures were there."""
    figures_click: list[float] = field(default_factory=list)


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


def cold_visits(looking: Visitor, app: App, seen: Sequence[Place]) -> dict[str, Times]:
    """The app meets each page for the first time, by the page's file."""
    return {place.file: Times(first_visit(looking, app, place)[0]) for place in seen}


def first_visit(looking: Visitor, app: App, place: Place) -> tuple[float, float | None]:
    """In a browser that was never here: until painted, and until the Overview's figures are."""
    with looking.tab() as tab:
        return tab.painted(app.url + place.path + place.query), tab.figures()


def visits(
    looking: Visitor, app: App, seen: Sequence[Place], rounds: int, times: Mapping[str, Times]
) -> None:
    """Adds the times of so many rounds over all pages."""
    for _ in range(rounds):
        for place in seen:
            first, figures = first_visit(looking, app, place)
            times[place.file].first.append(first)
            if place.file == "overview" and figures:
                times[place.file].figures_first.append(figures)
    with looking.tab() as known:
        for place in seen:
            known.painted(app.url + place.path + place.query)
        for _ in range(rounds):
            for place, following in zip(seen, [*seen[1:], seen[0]], strict=True):
                again = known.painted(app.url + place.path + place.query)
                times[place.file].again.append(again)
                if following is not place and PAGES[following.file].parent is None:
                    times[following.file].click.append(known.followed(following.path))
                    if following.file == "overview" and (figures := known.figures()):
                        times[following.file].figures_click.append(figures)


def report(
    seen: Sequence[Place],
    inspected: Mapping[str, Inspected],
    times: Mapping[str, Times],
    costs: Mapping[str, Cost],
) -> int:
    """One line a page; the number of pages above a budget."""
    print(
        f"\n{'':15}{'painted after, s':^40}{'processor, ms':^15}{'first view':^19}"
        f"{'refresh':^12}{'choice':^12}{'database':^13}"
    )
    print(
        f"{'Page':15}{'cold':>6}{'again':>7}{'first':>7}{'most':>6}{'click':>7}{'most':>6}"
        f"{'app':>8}{'browser':>9}{'kB':>6}{'assets':>8}{'runs':>5}"
        f"{'kB':>6}{'runs':>5}{'kB':>6}{'runs':>5}{'ms':>6}{'rows':>7}"
    )
    above = 0
    for place in seen:
        took, of_place, asked = times[place.file], inspected[place.file], costs[place.file]
        painted_after, slow = seconds_of(took.first, took.click, place.budget)
        heavy = of_place.load.bytes > MOST_BYTES
        milliseconds, rows = DATABASE_BUDGETS.get(place.file, (inf, inf))
        costly = asked.milliseconds > milliseconds or asked.rows > rows
        above += slow or heavy or costly
        print(
            f"{place.title:15}{took.cold:6.2f}{median(took.again):7.2f}{painted_after}"
            f"{of_place.app * 1000:8.0f}{of_place.browser * 1000:9.0f}"
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
        if took.figures_first:
            painted_after, slow = seconds_of(took.figures_first, took.figures_click, FIGURES_BUDGET)
            above += slow
            print(f"{'  its figures':28}{painted_after}" + ("  too slow" if slow else ""))
    return above


def seconds_of(first: Sequence[float], click: Sequence[float], budget: Budget) -> tuple[str, bool]:
    """Medians beside what they may be at most, and whether one is above that."""
    both = [(median(first), budget.first)] + ([(median(click), budget.click)] if click else [])
    text = "".join(f"{seconds:7.2f}{most:6.2f}" for seconds, most in both)
    return f"{text:26}", any(seconds > most for seconds, most in both)


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
            inspected = {
                place.file: inspect(browser, app, app.url + place.path + place.query)
                for place in seen
            }
        print(f"After all visits: {psutil.Process(app.pid).memory_info().rss / 2**20:.0f} MB")
    with step("What a visit asks the database"):
        costs = database_costs(url, seen)
    above = report(seen, inspected, times, costs)
    print(f"{above} above a budget" if above else "All within their budgets")
    return 1 if above else 0


if __name__ == "__main__":
    sys.exit(main())
