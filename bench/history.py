"""A database with months of realistic history, loaded once and kept in a folder.

    python -m bench.history --jobs 10000000 --data FOLDER [--days 90]

A folder that holds as many jobs already is reused: its history then goes on until now, since
pages look at the last hours. Prints what is in it, and the database's URL.
"""

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bench.server import QUERIES
from lib.database import connect, embedded, load
from lib.database.bootstrap import bootstrap
from lib.database.migrations import apply
from lib.database.pool import Connection

JOBS = 10_000_000
DAYS = 90
BEGINNING = datetime.min.replace(tzinfo=UTC)
LOADING = Path(__file__).parent / "loading.conf"
history = load("history", QUERIES)


@contextmanager
def step(name: str) -> Iterator[None]:
    """Prints how long its block took."""
    began = time.monotonic()
    yield
    print(f"{name:40} {time.monotonic() - began:8.1f} s", flush=True)


def loaded_database(data: Path, jobs: int, days: int = DAYS) -> str:
    """The URL of the folder's database, which holds at least so many jobs, the last just now.

    One that is filled now is given `days` of history.

    Raises SystemExit when the folder holds a smaller or unfinished history.
    """
    data.mkdir(parents=True, exist_ok=True)
    server = embedded.start(data / "postgres")
    with connect(server.url) as connection:
        bootstrap(connection)
        apply(connection)
        begun = history.is_laid_out(connection)
        found = history.loaded(connection) if begun else None
    if not begun:
        with tuned(data / "postgres"):
            first_load(server.url, jobs, days)
    elif found is None or found < jobs:
        what = "an unfinished load" if found is None else f"only {found:,} jobs"
        raise SystemExit(f"{data} holds {what}: remove it, or choose another folder.")
    with step("What happened since"), connect(server.url) as connection:
        go_on_until_now(connection)
    return server.url


@contextmanager
def tuned(folder: Path) -> Iterator[None]:
    """Runs the folder's server with settings that load fast, and with its own afterwards."""
    settings = folder / "data" / "postgresql.auto.conf"
    own = settings.read_text()
    restart(folder, settings, own + LOADING.read_text())
    try:
        yield
    finally:
        restart(folder, settings, own)


def restart(folder: Path, settings: Path, text: str) -> None:
    embedded.start(folder).stop()
    settings.write_text(text)
    embedded.start(folder)


def first_load(url: str, jobs: int, days: int) -> None:
    """Fills the empty tables: the rows of both at once, then their indexes, then the rollups."""
    with connect(url) as connection:
        history.lay_out(connection)
        history.plan_first_load(connection, jobs=jobs, days=days)
        history.add_users(connection)
        history.take_away(connection)
        taken = history.restorations(connection)
    with step(f"Rows of {jobs:,} jobs and generations"):
        at_once(
            lambda: fill(url, history.empty_jobs, history.add_jobs),
            lambda: fill(url, history.empty_generations, history.add_generations),
        )
    with step("Indexes and foreign keys"):
        at_once(
            lambda: restore(url, [row for row in taken if row["relation"] == "job_queue"]),
            lambda: restore(url, [row for row in taken if row["relation"] == "image_generations"]),
        )
        restore(url, [row for row in taken if row["relation"] == "foreign keys"])
    with connect(url) as connection:
        with step("Vacuum and analyze"):
            history.vacuum(connection)
        with step("Rollups"):
            history.rebuild(connection)
        history.complete(connection)
        history.checkpoint(connection)


def at_once(*parts: Callable[[], None]) -> None:
    with ThreadPoolExecutor(len(parts)) as threads:
        for part in [threads.submit(part) for part in parts]:
            part.result()


def fill(url: str, empty: Any, add: Any) -> None:
    """Adds all rows of one table in one transaction, a day at a time."""
    with connect(url) as connection, connection.transaction():
        history.without_triggers(connection)
        empty(connection)
        add_days(connection, add, BEGINNING)


def add_days(connection: Connection, add: Any, since: datetime) -> None:
    for row in history.days(connection, since=since):
        add(connection, since=max(since, row["day"]), until=row["day"] + timedelta(days=1))


def restore(url: str, taken: Sequence[dict[str, Any]]) -> None:
    with connect(url) as connection:
        for row in taken:
            connection.execute(row["statement"])


def go_on_until_now(connection: Connection) -> None:
    """Adds what happened since the last load, and what is under way now."""
    since = history.plan_until_now(connection)
    if since is not None:
        add_days(connection, history.add_jobs, since)
        add_days(connection, history.add_generations, since)
        history.mark_changed(connection, since=since)
    history.add_live(connection)
    # A refresh folds what had finished when the one before it ran.
    for _ in range(2):
        while history.refresh(connection) or history.has_unfolded_totals(connection):
            pass
    history.vacuum(connection)


def main() -> None:
    """Loads or goes on with a history and says what is in it."""
    parser = argparse.ArgumentParser(description="Load a realistic history into a kept folder.")
    parser.add_argument("--jobs", type=int, default=JOBS)
    parser.add_argument("--data", type=Path, required=True, help="folder to keep it in")
    parser.add_argument("--days", type=int, default=DAYS, help="how long a new history is")
    options = parser.parse_args()
    began = time.monotonic()
    url = loaded_database(options.data.resolve(), options.jobs, options.days)
    with connect(url) as connection:
        for row in history.count_by_status(connection):
            print(f"{row['status']:12} {row['jobs']:12,}")
        print(f"{history.size(connection)} in {time.monotonic() - began:.0f} s: {url}")


if __name__ == "__main__":
    main()
