"""What does each page cost at ten million jobs? Prints a table of pages and one of queries.

    python -m bench.pages --data FOLDER [--small FOLDER] [--plans]

FOLDER is kept, and filled by bench.history the first time; --small compares with 100 000 jobs of
one day, as many an hour as the long history has, or with what bench.history filled that folder
with before.
A page's time is that of all queries it runs as it opens; how soon it is painted, bench.interface
says. Beside them, the twelve plain queries of a deployment guide. Fails when a page reads all of
job_queue or image_generations.
"""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.cost import Cost, all_of, cost, plan, statistics
from bench.history import JOBS, loaded_database
from bench.recording import Call, View, views
from bench.server import QUERIES
from lib.database import connect, load

SMALL = 100_000
SMALL_DAYS = 1
BUDGETS = {"": 25.0, "failures": 25.0}
"""Milliseconds of database time of a page's view, by its path; 60 for the others."""
BUDGET = 60.0


@dataclass(frozen=True)
class Measured:
    """The pages on one database."""

    views: Sequence[View]
    costs: Mapping[str, Mapping[str, Cost]]
    """By the page's path and the query's name."""


def measure(url: str) -> Measured:
    with connect(url) as connection:
        examples = {row["path"]: row["parameters"] for row in statistics.examples(connection)}
        seen = views(url, examples)
        costs = {
            view.url_path: {name: cost(connection, call) for name, call in view.calls.items()}
            for view in seen
        }
    return Measured(seen, costs)


def report(large: Measured, small: Measured | None) -> None:
    """One line a page."""
    # Others at work on the machine make everything slower, except what the processor is charged.
    print(f"{os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}")
    print(
        f"\n{'Page':14}{'queries':>8}{'ms':>9}{'cpu ms':>9}{'small':>9}{'cpu ms':>9}{'ratio':>7}"
        f"{'rows read':>11}"
    )
    for view in large.views:
        costs = large.costs[view.url_path]
        budget = BUDGETS.get(view.url_path, BUDGET)
        total = all_of(costs.values())
        beside = all_of(small.costs[view.url_path].values()) if small else None
        line = f"{view.title:14}{len(costs):8}{figures(total, beside)}{total.rows:11,}"
        notes = [f"over {budget:.0f} ms"] if total.milliseconds > budget else []
        notes += [f"reads all of {table}" for table in total.whole_scans]
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
    guide = load("guide", QUERIES)
    large: dict[str, Cost] = {}
    small: dict[str, Cost] = {}
    with connect(url) as connection, connect(small_url or url) as beside:
        for name in guide.available_queries:
            if name.endswith("_cursor"):
                continue
            call = Call("guide", name, folder=QUERIES)
            large[name] = cost(connection, call, prepared=False)
            if small_url:
                small[name] = cost(beside, call, prepared=False)
            row(f"guide: {name}", large[name], small.get(name))
    row("all twelve", all_of(large.values()), all_of(small.values()) if small else None)


def heading() -> None:
    print(
        f"\n{'Query':44}{'ms':>9}{'cpu ms':>9}{'small':>9}{'cpu ms':>9}{'ratio':>7}"
        f"{'rows read':>13}  reads all of"
    )


def row(name: str, large: Cost, small: Cost | None) -> None:
    scans = ", ".join(large.whole_scans)
    print(f"{name:44}{figures(large, small)}{large.rows:13,}  {scans}".rstrip(), flush=True)


def figures(large: Cost, small: Cost | None) -> str:
    """Times, and how many times as long the long history takes.

    By the processor, which a busy machine does not blur; parallel workers read only whole tables.
    """
    line = f"{large.milliseconds:9.2f}{large.processor:9.2f}"
    if not small:
        return f"{line}{'':25}"
    ratio = large.processor / small.processor if small.processor else 1
    return f"{line}{small.milliseconds:9.2f}{small.processor:9.2f}{ratio:7.2f}"


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
    options = parser.parse_args()
    url = loaded_database(options.data.resolve(), options.jobs)
    small_url = (
        loaded_database(options.small.resolve(), SMALL, SMALL_DAYS) if options.small else None
    )
    large = measure(url)
    small = measure(small_url) if small_url else None
    report(large, small)
    report_queries(large, small)
    if not options.no_guide:
        report_guide(url, small_url)
    if options.plans:
        print_plans(url, large)
    scans = [c for costs in large.costs.values() for c in costs.values() if c.whole_scans]
    return 1 if scans else 0


if __name__ == "__main__":
    sys.exit(main())
