"""Nothing starts on a schema that another version made: each says so in one sentence."""

import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from environment import bare

from lib.database import connect, embedded

pytestmark = pytest.mark.slow

PROJECT = Path(__file__).parents[2]
STARTS = {
    "app": ("streamlit", "run", "app.py", "--server.port={port}"),
    "functions": ("uvicorn", "lib.asgi:app", "--port", "{port}"),
    "worker": ("lib.worker",),
}
SAID = {
    "app": "Darkroom cannot start",
    "functions": "Darkroom cannot start",
    "worker": "The worker cannot run",
}
ANOTHER = (
    "create or replace function public.schema_fingerprint() returns text"
    " language sql immutable parallel safe set search_path = '' return '0123456789abcdef'"
)
# As an older version recorded it: these versions stand for other files now.
OLD = """
create schema supabase_migrations;
create table supabase_migrations.schema_migrations
    (version text primary key, statements text[], name text);
insert into supabase_migrations.schema_migrations values
    ('20261124090000', '{select 1}', 'tables'), ('20261124090100', '{select 1}', 'models');
create table public.job_leases (job_id uuid primary key);
"""


@pytest.fixture
def old_folder() -> Iterator[Path]:
    """A data folder with the embedded database of an older version."""
    # As in the root conftest: as root the server runs as another OS user.
    folder = Path(tempfile.mkdtemp(prefix="darkroom-old-"))
    folder.chmod(0o755)
    server = embedded.start(folder / "postgres")
    with connect(server.url) as conn:
        conn.execute(OLD.encode())
    server.stop()
    yield folder
    embedded.start(folder / "postgres").stop()
    shutil.rmtree(folder)


def start(what: str, **settings: str) -> tuple[int, str]:
    """Runs it until it ends; its exit code and what it printed."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    ended = subprocess.run(
        [sys.executable, "-m", *(part.format(port=port) for part in STARTS[what])],
        cwd=PROJECT,
        env=bare(**settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    return ended.returncode, ended.stdout


@pytest.mark.parametrize("what", STARTS)
def test_an_old_embedded_database_is_refused_with_its_folder(what: str, old_folder: Path) -> None:
    code, said = start(what, DARKROOM_DATA=str(old_folder))
    assert (code, "Traceback" in said) == (1, False)
    assert [line for line in said.splitlines() if "another version" in line] == [
        f"{SAID[what]}: The embedded database was created by another version of Darkroom: delete"
        f" the folder {old_folder}, with all jobs and images in it, and start again."
    ]


@pytest.mark.parametrize("what", STARTS)
def test_a_configured_database_of_another_version_is_refused(
    what: str, database: str, tmp_path: Path
) -> None:
    with connect(database) as conn:
        conn.execute(ANOTHER.encode())
    code, said = start(what, DATABASE_URL=database, DARKROOM_DATA=str(tmp_path))
    assert (code, "Traceback" in said) == (1, False)
    assert [line for line in said.splitlines() if "another version" in line] == [
        f"{SAID[what]}: The schema of this database was created by another version of Darkroom:"
        " point DATABASE_URL at an empty database, or drop everything that version created,"
        " all jobs included: its objects in public, the schema darkroom, and its rows in"
        " supabase_migrations.schema_migrations."
    ]
