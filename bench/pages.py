"""What does each page cost at ten million jobs? Prints a table of pages and one of queries.

    python -m bench.pages --data FOLDER [--small FOLDER] [--plans] [--no-browser]

FOLDER is kept, and filled by bench.history the first time; --small compares with 100 000 jobs.
A page's time is that of all queries it runs as it opens; "painted" is when the last chart is in
Chromium, for a browser that was never here and for one that was. Beside them, the twelve plain
queries of a deployment guide. Fails when a page reads all of job_queue or image_generations.
"""

import argparse
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from playwright.sync_api import Browser

from bench.browser import chromium, new_context, painted, running_app
from bench.cost import Cost, cost, plan, statistics
from bench.history import JOBS, loaded_database
from bench.recording import Call, View, views
from bench.server import QUERIES
from lib.database import connect, load

SMALL = 100_000
VISITS = 3
BUDGETS = {"": 25.0, "stuck-jobs": 25.0, "failures": 25.0}
"""Milliseconds of database time of a page's view, by its path; 60 for the others."""
BUDGET = 60.0
RATIO = 1.5


@dataclass(frozen=True)
class Measured:
    """The pages on one database."""

    views: Sequence[View]
    costs: Mapping[str, Mapping[str, Cost]]
    """By the page's path and the query's name."""

    def milliseconds(self, path: str) -> float:
        return sum(each.milliseconds for each in self.costs[path].values())


def measure(url: str) -> Measured:
    with connect(url) as connection:
        examples = {row["path"]: row["parameters"] for row in statistics.examples(connection)}
        seen = views(url, examples)
        costs = {
            view.url_path: {name: cost(connection, call) for name, call in view.calls.items()}
            for view in seen
        }
    return Measured(seen, costs)


def paint_times(url: str, seen: Sequence[View]) -> dict[str, tuple[float, float]]:
    """Seconds until a page is painted, at a first visit and at the second, by the page's path."""
    times = {}
    with (
        tempfile.TemporaryDirectory() as folder,
        running_app(url, Path(folder)) as app,
        chromium() as browser,
    ):
        for view in seen:
            address = f"{app.url}/{view.url_path}{view.query_string}"
            # The server meets the page for the first time only once.
            visits(browser, address)
            pairs = [visits(browser, address) for _ in range(VISITS)]
            times[view.url_path] = (median(a for a, _ in pairs), median(b for _, b in pairs))
    return times


def visits(browser: Browser, address: str) -> tuple[float, float]:
    """Seconds to paint the page in a browser that was never here, and in the same one again."""
    with new_context(browser) as context:
        page = context.new_page()
        return painted(page, address), painted(page, address)


def report(
    large: Measured, small: Measured | None, paint: Mapping[str, tuple[float, float]]
) -> None:
    print(
        f"\n{'Page':14}{'queries':>8}{'ms':>9}{'small':>9}{'ratio':>7}{'rows read':>11}"
        f"{'first visit':>13}{'again':>8}"
    )
    for view in large.views:
        costs = large.costs[view.url_path]
        total = large.milliseconds(view.url_path)
        line = f"{view.title:14}{len(costs):8}{total:9.1f}"
        notes = []
        if total > BUDGETS.get(view.url_path, BUDGET):
            notes.append(f"over {BUDGETS.get(view.url_path, BUDGET):.0f} ms")
        if small:
            ratio = total / small.milliseconds(view.url_path) if costs else 1
            line += f"{small.milliseconds(view.url_path):9.1f}{ratio:7.2f}"
            notes += [f"more than {RATIO} times"] if ratio > RATIO else []
        else:
            line += f"{'':16}"
        line += f"{sum(each.rows for each in costs.values()):11,}"
        if view.url_path in paint:
            first, again = paint[view.url_path]
            line += f"{first:11.2f} s{again:6.2f} s"
        print(f"{line}  {', '.join(notes)}".rstrip())


def report_queries(large: Measured, small: Measured | None) -> None:
    """Every query of every page, the slowest of a page first."""
    heading()
    for view in large.views:
        costs = large.costs[view.url_path]
        for name in sorted(costs, key=lambda name: -costs[name].milliseconds):
            beside = small.costs[view.url_path].get(name) if small else None
            row(f"{view.title}: {name}", costs[name], beside)


def report_guide(url: str, small_url: str | None) -> None:
    """The twelve plain queries."""
    heading()
    totals = [0.0, 0.0]
    guide = load("guide", QUERIES)
    with connect(url) as connection, connect(small_url or url) as beside:
        for name in guide.available_queries:
            if name.endswith("_cursor"):
                continue
            call = Call("guide", name, folder=QUERIES)
            large = cost(connection, call, prepared=False)
            small = cost(beside, call, prepared=False) if small_url else None
            totals[0] += large.milliseconds
            totals[1] += small.milliseconds if small else 0
            row(f"guide: {name}", large, small)
    ratio = f"{totals[1]:10.1f}{totals[0] / totals[1]:8.2f}" if small_url else ""
    print(f"{'all twelve':45}{totals[0]:10.1f}{ratio}")


def heading() -> None:
    print(f"\n{'Query':45}{'ms':>10}{'small':>10}{'ratio':>8}{'rows read':>13}  reads all of")


def row(name: str, large: Cost, small: Cost | None) -> None:
    beside = f"{'':18}"
    if small:
        beside = f"{small.milliseconds:10.2f}{large.milliseconds / small.milliseconds:8.2f}"
    scans = ", ".join(large.whole_scans)
    print(
        f"{name:45}{large.milliseconds:10.2f}{beside}{large.rows:13,}  {scans}".rstrip(), flush=True
    )


def print_plans(url: str, large: Measured) -> None:
    """How the server runs the slowest query of each page."""
    with connect(url) as connection:
        for view in large.views:
            costs = large.costs[view.url_path]
            if costs:
                name = max(costs, key=lambda name: costs[name].milliseconds)
                print(f"\n{view.title}: {name} {view.calls[name].parameters}")
                print(plan(connection, view.calls[name]))


def main() -> int:
    """Prints the tables; returns 1 when a page reads a large table from end to end."""
    parser = argparse.ArgumentParser(description="Measure the pages on a long history.")
    parser.add_argument("--data", type=Path, required=True, help="folder of the long history")
    parser.add_argument("--jobs", type=int, default=JOBS)
    parser.add_argument("--small", type=Path, help="folder of a short history to compare with")
    parser.add_argument("--plans", action="store_true", help="print each page's slowest plan")
    parser.add_argument("--no-guide", action="store_true", help="leave out the plain queries")
    parser.add_argument("--no-browser", action="store_true")
    options = parser.parse_args()
    url = loaded_database(options.data.resolve(), options.jobs)
    small_url = loaded_database(options.small.resolve(), SMALL) if options.small else None
    large = measure(url)
    small = measure(small_url) if small_url else None
    paint = {} if options.no_browser else paint_times(url, large.views)
    report(large, small, paint)
    report_queries(large, small)
    if not options.no_guide:
        report_guide(url, small_url)
    if options.plans:
        print_plans(url, large)
    scans = [c for costs in large.costs.values() for c in costs.values() if c.whole_scans]
    return 1 if scans else 0


if __name__ == "__main__":
    sys.exit(main())
