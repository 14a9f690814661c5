"""Our jobs in the tables of the peers, loaded by SQL and counted by the peers themselves."""

import os
import subprocess
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bench.browser import PROJECT
from bench.history import step
from bench.peers.dashboards import CHANCY, OURS, PG_BOSS, SIDEQUEST, Dashboard
from bench.peers.installing import Tools
from bench.server import QUERIES
from lib.database import connect, load
from lib.database.pool import Connection

FRESH = timedelta(hours=12)
"""How old what was loaded may be: the dashboards look at the last hours."""
FOLDER = Path(__file__).parent
queries = load("dashboards", QUERIES)


def loaded(dashboard: Dashboard, tools: Tools, ours: str) -> str:
    """The URL of the peer's database, beside ours, with the jobs of ours.

    Raises RuntimeError when the peer does not count as many of a kind as were loaded.
    """
    url = database_url(dashboard, ours)
    version = ", ".join(map(tools.version, dashboard.packages))
    if is_fresh(dashboard, ours, url, version):
        return url
    with step(f"{dashboard.name}: jobs"):
        with connect(ours) as connection:
            getattr(queries, f"drop_{dashboard.key}")(connection)
            getattr(queries, f"create_{dashboard.key}")(connection)
        prepare(dashboard, tools, url)
        with connect(url) as connection:
            stage(ours, connection)
            fill(dashboard, connection)
    with step(f"{dashboard.name}: vacuum and count"), connect(url) as connection:
        wanted = expected(dashboard, queries.staged(connection))
        queries.drop_staged(connection)
        queries.vacuum(connection)
        count(dashboard, tools, url)
        check(dashboard, wanted, counts(dashboard, connection))
        queries.mark_loaded(connection, version=version)
        queries.checkpoint(connection)
    return url


def database_url(dashboard: Dashboard, ours: str) -> str:
    """Of a dashboard's database, which the peers have beside ours."""
    if dashboard is OURS:
        return ours
    return urlsplit(ours)._replace(path=f"/peer_{dashboard.key}").geturl()


def is_fresh(dashboard: Dashboard, ours: str, url: str, version: str) -> bool:
    with connect(ours) as connection:
        if not queries.database_exists(connection, database=f"peer_{dashboard.key}"):
            return False
    with connect(url) as connection:
        found = queries.loaded(connection) if queries.is_loaded(connection) else None
    return found is not None and found["age"] < FRESH and found["version"] == version


def prepare(dashboard: Dashboard, tools: Tools, url: str) -> None:
    """The peer makes its tables."""
    if dashboard is CHANCY:
        chancy(tools, url, "misc", "migrate")
    else:
        node(tools, dashboard, "prepare", url)


def count(dashboard: Dashboard, tools: Tools, url: str) -> None:
    """The peer counts its jobs, where it does so ahead of its dashboard."""
    if dashboard is PG_BOSS:
        node(tools, dashboard, "count", url)


def stage(ours: str, connection: Connection) -> None:
    queries.stage(connection)
    with (
        connect(ours) as source,
        source.cursor().copy(queries.copy_ours.sql) as rows,
        connection.cursor().copy(queries.copy_staged.sql) as copied,
    ):
        for block in rows:
            copied.write(block)


def fill(dashboard: Dashboard, connection: Connection) -> None:
    with connection.transaction():
        getattr(queries, f"load_{dashboard.key}")(connection)
        if dashboard is CHANCY:
            queries.load_chancy_queues(connection)
            queries.load_chancy_metrics(connection)
        if dashboard is SIDEQUEST:
            queries.load_sidequest_queues(connection)


def expected(dashboard: Dashboard, staged: list[dict[str, Any]]) -> dict[str, int]:
    names = {"processing": "active", "pending": "waiting"}
    if dashboard is CHANCY:
        names |= {"completed": "succeeded", "cancelled": "failed"}
    if dashboard is SIDEQUEST:
        names |= {"cancelled": "canceled"}
    wanted = {"total": sum(row["jobs"] for row in staged)}
    for row in staged:
        state = names.get(row["status"], row["status"])
        wanted[state] = wanted.get(state, 0) + row["jobs"]
    return wanted


def counts(dashboard: Dashboard, connection: Connection) -> dict[str, int]:
    """By state; of every dashboard total, failed, active and waiting."""
    rows = getattr(queries, f"counts_of_{dashboard.key}")(connection)
    return {row["state"]: int(row["jobs"]) for row in rows}


def check(dashboard: Dashboard, wanted: Mapping[str, int], found: Mapping[str, int]) -> None:
    wrong = {s: (n, wanted.get(s)) for s, n in found.items() if n != wanted.get(s)}
    if wrong:
        raise RuntimeError(f"{dashboard.name} counts (found, loaded): {wrong}")


def node(tools: Tools, dashboard: Dashboard, verb: str, url: str) -> None:
    subprocess.run(
        [tools.node, FOLDER / f"show_{dashboard.key}.mjs", verb, url],
        check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip


def chancy(tools: Tools, url: str, *arguments: str) -> None:
    subprocess.run(
        [
            *(tools.python, "-m", "chancy.cli.cli", "--app", "bench.peers.show_chancy.chancy"),
            *arguments,
        ],
        check=True,
        cwd=PROJECT,
        env=os.environ | {"PEER_DATABASE_URL": url},
        stdout=subprocess.DEVNULL,
    )
