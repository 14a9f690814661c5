"""Apps that people sign in to."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from people import LISTS, secrets
from provider import Provider
from running_app import App


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
