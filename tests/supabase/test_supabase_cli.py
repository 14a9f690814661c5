"""`supabase db push` by the oldest supported CLI and a current one, beside our migrator."""

import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from hosted import hosted
from schema_snapshot import described
from supabase_cli import Folder, tls_server

from lib.database import connect
from lib.database.migrations import MIGRATIONS, apply, check_schema, pending

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

CLIS = ["supabase-cli-oldest", "supabase-cli"]
VERSIONS = [path.name.partition("_")[0] for path in sorted(MIGRATIONS.glob("*.sql"))]
OLDER, NEWER, NEWEST = "20250101000000", "20990101000000", "20990102000000"
PUSHED = "select version from supabase_migrations.schema_migrations order by version"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with tls_server() as url:
        yield url


@pytest.fixture
def project(server: str) -> str:
    """The URL of an empty project's database, for the role that owns it."""
    name = f"project_{uuid.uuid4().hex[:8]}"
    with connect(server) as conn:
        conn.execute(f"create database {name}".encode())
    return hosted(urlsplit(server)._replace(path=f"/{name}").geturl())


@pytest.fixture(params=CLIS)
def folder(request: pytest.FixtureRequest, tmp_path: Path, project: str) -> Folder:
    """The folder of a project that has a migration of its own, pushed."""
    folder = Folder(tmp_path, request.param, project)
    folder.add(OLDER, "albums", "create table albums (id int primary key);")
    done(folder.run("db", "push"))
    return folder


def copy_ours(folder: Folder) -> None:
    for path in MIGRATIONS.glob("*.sql"):
        shutil.copy(path, folder.migrations)


def done(ended: Any) -> str:
    """The output of a command that succeeded."""
    assert ended.returncode == 0, ended.stdout
    return str(ended.stdout)


def pushed(url: str) -> list[str]:
    with connect(url) as conn:
        return [row["version"] for row in conn.execute(PUSHED.encode())]


def schema(url: str) -> dict[str, dict[str, Any]]:
    with connect(url) as conn:
        assert check_schema(conn)
        assert pending(conn) == []
        return described(conn, {})


@pytest.fixture
def migrated(server: str, project: str) -> dict[str, dict[str, Any]]:
    """The schema as our own migrator makes it."""
    with connect(project) as conn:
        apply(conn)
    return schema(project)


@pytest.mark.parametrize("cli", CLIS)
def test_push_to_an_empty_project_makes_the_same_schema(
    cli: str, tmp_path: Path, server: str, migrated: dict[str, Any]
) -> None:
    name = f"pushed_{uuid.uuid4().hex[:8]}"
    with connect(server) as conn:
        conn.execute(f"create database {name}".encode())
    url = hosted(urlsplit(server)._replace(path=f"/{name}").geturl())
    folder = Folder(tmp_path, cli, url)
    copy_ours(folder)
    done(folder.run("db", "push"))
    assert schema(url) == migrated
    assert pushed(url) == VERSIONS
    listed = done(folder.run("migration", "list"))
    assert all(listed.count(version) == 2 for version in VERSIONS), listed
    assert "up to date" in done(folder.run("db", "push"))


@pytest.fixture(scope="module")
def complete_project(server: str) -> str:
    """The URL of a migrated project with pg_cron, pg_net and Vault, for the role that owns it."""
    url = hosted(server)
    with connect(url) as conn:
        apply(conn)
    return url


@pytest.mark.parametrize("cli", CLIS)
def test_lint_has_no_warning(cli: str, tmp_path: Path, complete_project: str) -> None:
    linted = Folder(tmp_path, cli, complete_project).run("db", "lint", "--fail-on", "warning")
    assert "No schema errors found" in done(linted)


def test_push_beside_the_projects_own_migrations(folder: Folder, project: str) -> None:
    folder.add(NEWER, "covers", "create table covers (id int primary key);")
    done(folder.run("db", "push"))
    copy_ours(folder)
    done(folder.run("db", "push", "--include-all"))
    schema(project)
    folder.add(NEWEST, "labels", "create table labels (id int primary key);")
    done(folder.run("db", "push"))
    assert pushed(project) == [OLDER, *VERSIONS, NEWER, NEWEST]


def test_our_migrator_does_not_stop_the_next_push(folder: Folder, project: str) -> None:
    with connect(project) as conn:
        apply(conn)
    folder.add(NEWER, "covers", "create table covers (id int primary key);")
    done(folder.run("db", "push"))
    assert pushed(project) == [OLDER, NEWER]
    schema(project)


def test_going_over_to_push(folder: Folder, project: str) -> None:
    with connect(project) as conn:
        apply(conn)
    before = schema(project)
    copy_ours(folder)
    done(folder.run("migration", "repair", "--status", "applied", *VERSIONS))
    assert pushed(project) == [OLDER, *VERSIONS]
    folder.add(NEWER, "about_albums", "comment on table albums is 'Of pictures.';")
    done(folder.run("db", "push"))
    assert pushed(project) == [OLDER, *VERSIONS, NEWER]
    assert schema(project) == before
