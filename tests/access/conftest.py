"""Apps that people sign in to, and the people."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from provider import Provider
from running_app import App

PEOPLE = {role: f"{role}@studio.example" for role in ("admin", "operator", "viewer")}
LISTS = {f"DARKROOM_{role.upper()}S": address for role, address in PEOPLE.items()}
LONG = 30_000


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    provider = Provider()
    yield provider
    provider.stop()


@pytest.fixture
def secrets_file() -> Iterator[Path]:
    """Where an app of the test reads its secrets: in a home folder of its own."""
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home) / ".streamlit"
        folder.mkdir()
        yield folder / "secrets.toml"


@pytest.fixture
def signed_app(
    make_app: Callable[..., App], provider: Provider, secrets_file: Path, database: str
) -> App:
    """An app on the test's database that admin, operator and viewer may sign in to."""
    secrets_file.write_text(secrets(provider.auth, LISTS))
    home = str(secrets_file.parents[1])
    return make_app(DATABASE_URL=database, HOME=home).start()


def secrets(auth: str, lists: dict[str, str]) -> str:
    """The text of a secrets.toml."""
    return "".join(f'{name} = "{value}"\n' for name, value in lists.items()) + auth


def sign_in(page: Page, app: App, provider: Provider, **claims: Any) -> None:
    """Signs in somebody with these claims, at the page that asks for it."""
    provider.claims = {"sub": claims.get("email", "somebody"), "email_verified": True} | claims
    page.goto(app.url)
    page.get_by_role("button", name="Sign in", exact=True).click(timeout=LONG)
    expect(page.get_by_role("button", name="Sign out")).to_be_visible(timeout=LONG)
