"""What others ask the server: every statement that it logs, how long each took, and the rows that
each reads when it is asked once more."""

import json
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg

from bench.history import restart
from bench.server import QUERIES
from lib.database import connect, load

FOLDER = "statements"
SETTINGS = f"""
logging_collector = on
log_destination = 'jsonlog'
log_directory = '{FOLDER}'
log_filename = 'statements.log'
log_timezone = 'UTC'
log_min_duration_statement = 0
"""
PATIENCE = 30.0
ENTRY = re.compile(
    r"duration: (?P<ms>[\d.]+) ms  (?P<step>parse|bind|execute|statement)(?: [^:]+)?: (?P<sql>.*)",
    re.DOTALL,
)
PARAMETERS = re.compile(r"\$\d+ = (?:'((?:[^']|'')*)'|NULL)")
ASKS = re.compile(r"\s*(?:--[^\n]*\n\s*)*(?:select|with|insert|update|delete)\b", re.IGNORECASE)
queries = load("dashboards", QUERIES)


@dataclass(frozen=True)
class Statement:
    """One step of a statement that a client sent."""

    began: datetime
    milliseconds: float
    step: str
    sql: str
    parameters: tuple[str | None, ...]

    @property
    def asks(self) -> bool:
        """Whether it reads or writes tables, and is not only parsed or bound."""
        return self.step in ("execute", "statement") and bool(ASKS.match(self.sql))


@contextmanager
def logged(folder: Path) -> Iterator[Path]:
    """Restarts the folder's server so that it logs all statements; gives the log."""
    settings = folder / "data" / "postgresql.auto.conf"
    # A run that was killed has left ours behind.
    own = settings.read_text().replace(SETTINGS, "")
    log = folder / "data" / FOLDER / "statements.json"
    log.unlink(missing_ok=True)
    restart(folder, settings, own + SETTINGS)
    try:
        yield log
    finally:
        restart(folder, settings, own)


def statements(log: Path, url: str, since: datetime, until: datetime) -> list[Statement]:
    """What was begun in the database of the URL in a time, as logged."""
    database = urlsplit(url).path[1:]
    found = []
    for line in lines(log, url):
        entry = json.loads(line)
        matched = ENTRY.fullmatch(entry["message"])
        if matched is None or entry.get("dbname") != database:
            continue
        ended = datetime.strptime(entry["timestamp"], "%Y-%m-%d %H:%M:%S.%f %Z").replace(tzinfo=UTC)
        milliseconds = float(matched["ms"])
        began = ended - timedelta(milliseconds=milliseconds)
        if since <= began <= until:
            values = PARAMETERS.finditer(entry.get("detail", ""))
            parameters = tuple(v[1] if v[1] is None else v[1].replace("''", "'") for v in values)
            found.append(
                Statement(began, milliseconds, matched["step"], matched["sql"], parameters)
            )
    return found


def lines(log: Path, url: str) -> list[str]:
    """Of the log, once it has all that was logged before."""
    mark = f"select '{uuid4()}'"
    with connect(url) as connection:
        connection.execute(mark)
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        text = log.read_text() if log.exists() else ""
        if mark in text:
            return [line for line in text.splitlines() if mark not in line]
        time.sleep(0.02)
    raise RuntimeError(f"The server does not log to {log}.")


def rows_read(url: str, asked: Sequence[Statement]) -> int:
    """Rows that tables and indexes give when the statements are asked once more, one after the
    other and without parallel workers; what they write is rolled back."""
    with psycopg.connect(url, cursor_factory=psycopg.RawCursor) as connection:
        connection.execute(queries.without_parallel_workers.sql)
        before = total(connection)
        for statement in asked:
            connection.execute(statement.sql, statement.parameters or None)
        rows = total(connection) - before
        connection.rollback()
    return rows


def total(connection: psycopg.Connection) -> int:
    return sum(row[2] for row in connection.execute(queries.reads_so_far.sql).fetchall())
