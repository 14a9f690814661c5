"""Apps that people sign in to."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from people import LISTS, PEOPLE, secrets, sign_in
from playwright.sync_api import Browser, Page
from provider import Provider
from running_app import App, apps

from lib.database import connect
from lib.database.pool import Connection


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    provider = Provider()
    yield provider
    provider.stop()


@pytest.fixture(scope="module")
def secrets_file(provider: Provider) -> Iterator[Path]:
    """Where an app reads its secrets: in a home folder of its own."""
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home) / ".streamlit"
        folder.mkdir()
        file = folder / "secrets.toml"
        file.write_text(secrets(provider.auth, LISTS))
        yield file


@pytest.fixture(scope="module")
def signed_app(
    eventually: Callable[..., Any], secrets_file: Path, shared_database: str
) -> Iterator[App]:
    """An app that admin, operator and viewer may sign in to."""
    with apps(eventually) as make:
        home = str(secrets_file.parents[1])
        yield make(DATABASE_URL=shared_database, HOME=home).start()


@pytest.fixture
def rows(shared_database: str) -> Iterator[Connection]:
    """A connection to that app's database, which is empty again afterwards."""
    with connect(shared_database) as connection:
        yield connection
        connection.execute("delete from job_queue")
        connection.execute("delete from audit_log")


@pytest.fixture(scope="module")
def people(signed_app: App, provider: Provider, browser: Browser) -> Iterator[dict[str, Page]]:
    """A page of each, signed in."""
    pages: dict[str, Page] = {}
    for role, email in PEOPLE.items():
        context = browser.new_context(viewport={"width": 1440, "height": 900})
        pages[role] = context.new_page()
        sign_in(pages[role], signed_app, provider, email=email)
    yield pages
    for page in pages.values():
        page.context.close()
