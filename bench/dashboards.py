"""The same million jobs in the dashboards of other job queues and in ours. Prints a table.

    python -m bench.dashboards --data FOLDER [--write]

FOLDER is kept: the first run fills it with our history (bench.history), installs the peers in the
versions that bench/peers/package-lock.json and bench/peers/requirements.txt name, and loads the
same jobs into the tables that each peer has made; later ones load them again when they are old.
Needed: Chromium, and a way to the registries of Python and Node.js packages the first time; Node.js
itself comes as a Python package. --write puts the table into docs/comparison.md.

Painted: when all of a view is drawn, in Chromium, for a browser that was never here and for one
that was, on a server that has shown the view before; medians of some rounds over all views, without
anything listening in (bench.visitor).
Database: every statement of one visit to a server that has just been started, as PostgreSQL logs
them, without those that the server sends when nobody looks; the rows are read by asking again.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from math import inf
from pathlib import Path
from statistics import median

from bench import statements
from bench.history import loaded_database, step
from bench.peers.dashboards import OURS, PEERS, Dashboard, View, running, signed_in, watching
from bench.peers.installing import Tools, install
from bench.peers.loading import database_url, loaded, queries
from bench.peers.report import DOCUMENT, Cost, Figures, report, write
from bench.visitor import Tab, Visitor, visitor
from lib.database import connect, embedded

DASHBOARDS = (OURS, *PEERS)
JOBS = 1_000_000
ROUNDS = 3
ALONE_SECONDS = 20.0
"""How long a server is watched while nobody looks: longer than ours waits between alert checks."""
SETTLING = 3.0
"""Seconds after which a started server has sent what it sends at its start."""


@dataclass(frozen=True)
class Shown:
    """A dashboard that runs, and who looks at it."""

    dashboard: Dashboard
    address: str
    example: str
    token: str
    visitor: Visitor

    def visit(self, view: View) -> tuple[float, float]:
        """Seconds until the view is painted in a browser that was never here, and once more."""
        with self.tab_for(view) as (tab, url):
            return seconds(tab, url), seconds(tab, url)

    def look(self, view: View) -> tuple[datetime, datetime]:
        """When one visit began and when all of it was painted."""
        with self.tab_for(view) as (tab, url):
            began = datetime.now(UTC)
            tab.painted(url)
            return began, datetime.now(UTC)

    @contextmanager
    def tab_for(self, view: View) -> Iterator[tuple[Tab, str]]:
        """A browser that was never here, and the address that it is to open."""
        with self.visitor.tab(self.token + watching(view)) as tab:
            yield tab, self.address + view.path.replace("{id}", self.example)


def seconds(tab: Tab, url: str) -> float:
    """Seconds until the page is painted; infinite when it is not before patience ends."""
    try:
        return tab.painted(url)
    except TimeoutError:
        return inf


def paint_times(shown: Shown, rounds: int) -> dict[str, tuple[float, float]]:
    """Of each view, at a first visit and again."""
    views = {name: view for name, view in shown.dashboard.views.items() if view}
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in views}
    for view in views.values():
        shown.visit(view)
    for _ in range(rounds):
        for name, view in views.items():
            times[name].append(shown.visit(view))
    return {
        name: (median(first for first, _ in pairs), median(again for _, again in pairs))
        for name, pairs in times.items()
    }


def sent_alone(url: str, log: Path) -> list[statements.Statement]:
    """What a server sends while nobody looks."""
    time.sleep(SETTLING)
    since = datetime.now(UTC)
    time.sleep(ALONE_SECONDS)
    return statements.statements(log, url, since, datetime.now(UTC))


def sent_for(shown: Shown, view: View, url: str, log: Path) -> list[statements.Statement]:
    """What a server sends to show the view."""
    time.sleep(SETTLING)
    began, ended = shown.look(view)
    with connect(url) as connection:
        while queries.others_at_work(connection):
            time.sleep(0.1)
    return statements.statements(log, url, began, ended)


@contextmanager
def shown_on(dashboard: Dashboard, tools: Tools, looking: Visitor, url: str) -> Iterator[Shown]:
    """Runs the dashboard on its database."""
    with connect(url) as connection:
        example = getattr(queries, f"example_of_{dashboard.key}")(connection)
    with (
        tempfile.TemporaryDirectory() as folder,
        running(dashboard, tools, url, Path(folder)) as address,
    ):
        yield Shown(dashboard, address, example, signed_in(dashboard, address), looking)


def measure(server: Path, tools: Tools, looking: Visitor, rounds: int) -> list[Figures]:
    """The figures of all dashboards, ours first."""
    paint = {}
    for dashboard in DASHBOARDS:
        url = database_url(dashboard, embedded.start(server).url)
        with (
            step(f"{dashboard.name}: painting"),
            shown_on(dashboard, tools, looking, url) as shown,
        ):
            paint[dashboard.name] = paint_times(shown, rounds)
    figures = []
    with statements.logged(server) as log:
        for dashboard in DASHBOARDS:
            url = database_url(dashboard, embedded.start(server).url)
            with step(f"{dashboard.name}: statements"):
                alone, costs = count(dashboard, tools, looking, url, log)
            versions = [tools.version(package) for package in dashboard.packages]
            with connect(url) as connection:
                size = queries.size(connection)
            figures.append(
                Figures(dashboard.name, versions, size, paint[dashboard.name], costs, alone)
            )
    return figures


def count(
    dashboard: Dashboard, tools: Tools, looking: Visitor, url: str, log: Path
) -> tuple[float, dict[str, Cost]]:
    """Milliseconds that the dashboard costs the database in a minute left alone, and what each view
    costs it."""
    with shown_on(dashboard, tools, looking, url):
        alone = sent_alone(url, log)
    background = {statement.sql for statement in alone}
    costs = {}
    for name, view in dashboard.views.items():
        if view is None:
            continue
        with shown_on(dashboard, tools, looking, url) as shown:
            sent = [s for s in sent_for(shown, view, url, log) if s.sql not in background]
        asked = [s for s in sent if s.asks]
        costs[name] = Cost(
            sum(s.milliseconds for s in sent), len(asked), statements.rows_read(url, asked)
        )
    return sum(s.milliseconds for s in alone) * 60 / ALONE_SECONDS, costs


def machine(url: str) -> str:
    """Where it was measured, in words."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    with connect(url) as connection:
        version = queries.version(connection)
    return f"{os.cpu_count()} cores, {memory:.0f} GB of memory, PostgreSQL {version}"


def main() -> None:
    """Loads, measures and prints."""
    parser = argparse.ArgumentParser(description="Compare the dashboards of job queues.")
    parser.add_argument("--data", type=Path, required=True, help="folder that is kept")
    parser.add_argument("--jobs", type=int, default=JOBS, help="jobs that each dashboard shows")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="visits that the medians are of")
    parser.add_argument("--write", action="store_true", help=f"into {DOCUMENT.name}")
    options = parser.parse_args()
    data = options.data.resolve()
    began = time.monotonic()
    tools = install(data / "peers")
    ours = loaded_database(data, options.jobs)
    for peer in PEERS:
        loaded(peer, tools, ours)
    load_before = os.getloadavg()[0]
    with visitor() as looking:
        figures = measure(data / "postgres", tools, looking, options.rounds)
        where = f"{machine(embedded.start(data / 'postgres').url)}, {looking.version}"
    text = report(
        figures,
        f"{datetime.now(UTC):%-d %B %Y, %H:%M} UTC; {where}; load average {load_before:.1f} before"
        f" and {os.getloadavg()[0]:.1f} after; {time.monotonic() - began:.0f} s in all.",
    )
    print(f"\n{text}")
    if options.write:
        write(text)


if __name__ == "__main__":
    main()
