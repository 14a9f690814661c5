"""Web dashboards of other job queues on PostgreSQL, and ours: how each runs, and what is seen.

Each is seen in four views: its overview, the failed jobs of one queue, one job, and a job found by
its id. What a peer has no way to show is None.
"""

import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from bench.browser import PROJECT, running_app
from bench.peers.installing import Tools

START_SECONDS = 60
# In the place of what bench.browser notes of our own pages: looked at before each frame too.
WATCH = """((done) => {
  const look = () => {
    if (done()) requestAnimationFrame(() => { window.paintedAfter = performance.now(); });
    else requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
})(() => %s);"""
OVERVIEW, FAILED, DETAILS, FOUND = VIEWS = (
    "Overview",
    "Failed jobs of one queue",
    "Details of one job",
    "A job found by its id",
)


@dataclass(frozen=True)
class View:
    """One view of a dashboard."""

    path: str
    """Of its address; {id} is a failed job's."""
    done: str | None = None
    """JavaScript that says whether all of it is drawn; for ours bench.browser knows."""


@dataclass(frozen=True)
class Dashboard:
    """A job queue's dashboard."""

    name: str
    key: str
    """Its name in the queries and of its database."""
    packages: Sequence[str]
    """What is installed of it."""
    views: Mapping[str, View | None]
    command: Sequence[str] = ()
    """{node}, {python}, {modules}, {url} and {port} are filled in."""
    environment: Mapping[str, str] = field(default_factory=dict)


def watching(view: View) -> str:
    """JavaScript that notes when the view is painted; nothing for ours."""
    return WATCH % view.done if view.done else ""


def rows(least: int) -> str:
    """JavaScript: a table with so many rows."""
    return f"document.querySelectorAll('tbody tr').length >= {least}"


def drawn(least: int) -> str:
    """JavaScript: so many charts of the library that Chancy uses."""
    return f"document.querySelectorAll('.recharts-surface').length >= {least}"


def says(text: str) -> str:
    """JavaScript: the page shows the text."""
    return f"document.body && document.body.innerText.includes({text!r})"


OURS = Dashboard(
    name="Darkroom",
    key="darkroom",
    packages=(),
    views={
        OVERVIEW: View("/"),
        FAILED: View("/jobs?status=failed&type=generate-image"),
        DETAILS: View("/job?id={id}"),
        FOUND: View("/jobs?job={id}"),
    },
)
PG_BOSS = Dashboard(
    name="pg-boss",
    key="pg_boss",
    packages=("@pg-boss/dashboard", "pg-boss-of-dashboard"),
    command=("{node}", "{modules}/@pg-boss/dashboard/bin/cli.js"),
    environment={"DATABASE_URL": "{url}", "PORT": "{port}", "HOST": "127.0.0.1"},
    views={
        OVERVIEW: View("/", rows(2)),
        FAILED: View("/queues/generate-image?state=failed", rows(50)),
        DETAILS: View("/queues/generate-image/jobs/{id}", says("Error")),
        FOUND: View("/jobs?state=all&id={id}", f"{rows(1)} && {says('1 job found')}"),
    },
)
CHANCY = Dashboard(
    name="Chancy",
    key="chancy",
    packages=("chancy",),
    command=(
        *("{python}", "-m", "chancy.cli.cli", "--app", "bench.peers.show_chancy.chancy"),
        *("worker", "web", "--host", "127.0.0.1", "--port", "{port}"),
    ),
    environment={"PEER_DATABASE_URL": "{url}"},
    views={
        OVERVIEW: View("/dashboard", drawn(8)),
        FAILED: View(
            '/jobs?filters=[["state","=","failed"],["queue","=","generate-image"]]',
            f"{rows(100)} && {drawn(1)}",
        ),
        DETAILS: View("/jobs/{id}", says("Errors")),
        FOUND: None,
    },
)
SIDEQUEST = Dashboard(
    name="Sidequest",
    key="sidequest",
    packages=("@sidequest/dashboard",),
    command=("{node}", "bench/peers/show_sidequest.mjs", "serve", "{url}", "{port}"),
    views={
        OVERVIEW: View(
            "/",
            "typeof jobsTimeline !== 'undefined' && jobsTimeline.data.labels.length > 0",
        ),
        FAILED: View("/jobs?status=failed&queue=generate-image", rows(30)),
        DETAILS: View("/jobs/{id}", says("Errors")),
        FOUND: None,
    },
)
PEERS = (PG_BOSS, CHANCY, SIDEQUEST)


@contextmanager
def running(dashboard: Dashboard, tools: Tools, url: str, folder: Path) -> Iterator[str]:
    """Runs the dashboard on its database; gives its address."""
    if dashboard is OURS:
        with running_app(url, folder) as app:
            yield app.url
        return
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    known = {
        "node": tools.node, "python": tools.python, "modules": tools.modules,
        "url": url, "port": port,
    }  # fmt: skip
    log = folder / "dashboard.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            [part.format(**known) for part in dashboard.command],
            cwd=PROJECT,
            env=os.environ
            | {name: value.format(**known) for name, value in dashboard.environment.items()},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    address = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + START_SECONDS
        while not answers(address):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{dashboard.name} did not start: {log.read_text()}")
            time.sleep(0.05)
        yield address
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def answers(address: str) -> bool:
    # An address that no dashboard has: a page would be read from the database.
    try:
        return httpx.get(f"{address}/favicon.ico", timeout=5).status_code < 500
    except httpx.TransportError:
        return False


def signed_in(dashboard: Dashboard, address: str) -> str:
    """JavaScript that signs a browser in; nothing where nobody need."""
    if dashboard is not CHANCY:
        return ""
    answer = httpx.post(
        f"{address}/api/v1/login", json={"username": "bench", "password": "bench"}
    ).raise_for_status()
    key = f"auth.token:{address}"
    return f"localStorage.setItem({key!r}, {answer.json()['token']!r});"
