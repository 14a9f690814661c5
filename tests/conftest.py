"""One embedded PostgreSQL per run and a fresh database per test; apps, and a browser for them."""

import os
import shutil
import time
import uuid
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from bookkeeper import Bookkeeper, bookkeeping
from cron_server import cron_server
from environment import data_folder
from hosted import hosted
from playwright.sync_api import Browser, Page, sync_playwright
from psycopg import sql
from running_app import App, apps

from lib.database import connect, embedded, migrations
from lib.database.bootstrap import bootstrap
from lib.database.pool import Connection

TEMPLATE = "darkroom_template"
IN_USE = "select count(pg_terminate_backend(pid)) from pg_stat_activity where datname = %s"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What a test logged, without lone surrogates: parallel runs cannot pass them on."""
    report = yield
    report.sections = [(name, sendable(text)) for name, text in report.sections]
    return report


def sendable(text: str) -> str:
    return text.encode(errors="backslashreplace").decode()


@pytest.fixture(scope="session")
def postgres() -> Iterator[embedded.EmbeddedPostgres]:
    """The run's server, with nothing in it."""
    folder = data_folder("test")
    server = embedded.start(folder)
    with connect(server.url) as admin:
        # Nothing in it has to outlive a crash; tests that crash a server have one of their own.
        for setting in ("fsync", "full_page_writes", "synchronous_commit"):
            admin.execute(sql.SQL("alter system set {} = off").format(sql.Identifier(setting)))
        admin.execute("select pg_reload_conf()")
    yield server
    server.stop()
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def template(postgres: embedded.EmbeddedPostgres) -> str:
    """The name of a database with bootstrap and migrations applied, to be copied."""
    with connect(postgres.url) as admin:
        admin.execute(sql.SQL("create database {}").format(sql.Identifier(TEMPLATE)))
    with connect(at(postgres.url, TEMPLATE)) as conn:
        bootstrap(conn)
        migrations.apply(conn)
    return TEMPLATE


@pytest.fixture
def empty_database(postgres: embedded.EmbeddedPostgres) -> Iterator[str]:
    """The URL of a fresh database without anything of ours."""
    with copied(postgres.url, "template1") as url:
        yield url


@pytest.fixture(scope="module")
def shared_empty_database(postgres: embedded.EmbeddedPostgres) -> Iterator[str]:
    """The URL of such a database for a file of tests, each in a transaction that is taken back."""
    with copied(postgres.url, "template1") as url:
        with connect(url) as conn:
            bootstrap(conn)
        yield url


@pytest.fixture
def database(postgres: embedded.EmbeddedPostgres, template: str) -> Iterator[str]:
    """The URL of a fresh database with bootstrap and migrations applied."""
    with copied(postgres.url, template) as url:
        with connect(url) as conn:
            # As if it was migrated now: how long the run has gone on must not count as silence.
            conn.execute("update public.alert_watch set began_at = clock_timestamp()")
        yield url


@pytest.fixture(scope="module")
def shared_database(postgres: embedded.EmbeddedPostgres, template: str) -> Iterator[str]:
    """The URL of such a database that all tests of a file share; they tidy up after themselves."""
    with copied(postgres.url, template) as url:
        yield url


@pytest.fixture(scope="module")
def hosted_database(postgres: embedded.EmbeddedPostgres) -> Iterator[str]:
    """The URL of a fresh database as of a hosted project, for the role that owns it."""
    with copied(postgres.url, "template1") as url:
        yield hosted(url)


@pytest.fixture
def db(database: str) -> Iterator[Connection]:
    """A connection to such a database."""
    with connect(database) as conn:
        yield conn


@pytest.fixture
def database_away(postgres: embedded.EmbeddedPostgres, db: Connection) -> Callable[..., Any]:
    """A context in which our connections to the test's database are cut and refused."""

    @contextmanager
    def away() -> Iterator[None]:
        name = db.info.dbname
        refuse = sql.SQL("alter database {} allow_connections {}")
        with connect(postgres.url) as admin:
            admin.execute(refuse.format(sql.Identifier(name), sql.Literal(False)))
            admin.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where datname = %s and application_name like 'darkroom %%'",
                (name,),
            )
            yield
            admin.execute(refuse.format(sql.Identifier(name), sql.Literal(True)))

    return away


@pytest.fixture(scope="session")
def cron_database() -> Iterator[str]:
    """The URL of the run's one database with pg_cron."""
    with cron_server() as url:
        yield url


@pytest.fixture(scope="session")
def eventually() -> Callable[..., Any]:
    """Calls a function until it returns something true, and returns that."""

    def wait(condition: Callable[[], Any], seconds: float = 20) -> Any:
        deadline = time.monotonic() + seconds
        while not (found := condition()):
            assert time.monotonic() < deadline, f"still {found!r} after {seconds} s"
            time.sleep(0.02)
        return found

    return wait


@pytest.fixture
def make_app(eventually: Callable[..., Any]) -> Iterator[Callable[..., App]]:
    """Makes apps on a data folder of the test's own."""
    with apps(eventually) as make:
        yield make


@pytest.fixture
def make_bookkeeper(tmp_path: Path) -> Iterator[Callable[..., Bookkeeper]]:
    """Starts providers that keep a book, with latencies such as `create_seconds`."""
    with ExitStack() as stack:

        def make(**seconds: float) -> Bookkeeper:
            book = tmp_path / f"book-{uuid.uuid4().hex}.jsonl"
            return stack.enter_context(bookkeeping(book, **seconds))

        yield make


# Not for the session: Playwright holds an event loop as long as it is open.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        message = (
            "No Chromium found: install one (Debian: apt install chromium; elsewhere Chrome or"
            " Chromium on the PATH) to run the browser tests."
        )
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    context.set_default_timeout(30_000)
    yield context.new_page()
    context.close()


@contextmanager
def copied(server_url: str, source: str) -> Iterator[str]:
    name = sql.Identifier(f"test_{os.getpid()}_{uuid.uuid4().hex[:8]}")
    with psycopg.connect(server_url, autocommit=True) as admin:
        create = sql.SQL("create database {} template {} strategy file_copy")
        admin.execute(create.format(name, sql.Identifier(source)))
        yield at(server_url, name.as_string().strip('"'))
        # A server that is to drop a database still in use looks again only after 100 ms.
        while admin.execute(IN_USE, [name.as_string().strip('"')]).fetchone() != (0,):
            time.sleep(0.002)
        admin.execute(sql.SQL("drop database {} with (force)").format(name))


def at(server_url: str, database: str) -> str:
    return urlsplit(server_url)._replace(path=f"/{database}").geturl()
