"""Supabase's own CLI, and a database server as it wants one: over TCP with TLS."""

import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cron_server import CRON, OUTSIDE, debian_postgres, require_packages
from environment import bare, data_folder

from lib.database import connect

NODE_MODULES = Path(__file__).parents[2] / ".ci" / "node_modules"
CHECKER = Path("/usr/share/postgresql/15/extension/plpgsql_check.control")


class Folder:
    """A project's folder, from which one version of the CLI pushes to one database."""

    def __init__(self, path: Path, cli: str, url: str) -> None:
        self.migrations = path / "supabase" / "migrations"
        self.migrations.mkdir(parents=True)
        self._program = program(cli)
        self._path = path
        self._url = url

    def add(self, version: str, name: str, text: str) -> None:
        """Writes a migration of the project's own."""
        (self.migrations / f"{version}_{name}.sql").write_text(text)

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Runs a command of the CLI on the database."""
        home = self._path / "home"
        home.mkdir(exist_ok=True)
        return subprocess.run(
            [self._program, *arguments, "--db-url", self._url],
            cwd=self._path,
            env=bare(DO_NOT_TRACK="1") | {"HOME": str(home)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
        )


def program(cli: str) -> Path:
    """The CLI's program in a package of .ci; without it the test is skipped, and fails in CI."""
    program = NODE_MODULES / cli / "bin" / "supabase"
    if not program.exists():
        absent("The Supabase CLI", "it with npm ci --prefix .ci, on Linux")
    return program


def absent(what: str, install: str) -> None:
    message = f"{what} is not here: install {install}."
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


@contextmanager
def tls_server() -> Iterator[str]:
    """The superuser's URL of a database over TLS that has pg_cron, pg_net and Vault."""
    require_packages()
    if not CHECKER.exists():
        absent("plpgsql_check", "Debian's package postgresql-15-plpgsql-check")
    folder = data_folder("tls")
    certificate, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost",
         "-keyout", key, "-out", certificate],
        check=True,
        capture_output=True,
    )  # fmt: skip
    key.chmod(0o600)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = CRON | {
        "listen_addresses": "127.0.0.1",
        "port": str(port),
        "ssl": "on",
        "ssl_cert_file": str(certificate),
        "ssl_key_file": str(key),
    }
    with debian_postgres(folder, settings):
        url = f"postgresql://postgres@127.0.0.1:{port}/postgres?sslmode=require"
        with connect(url) as conn:
            conn.execute("create extension pg_cron")
            conn.execute("create extension plpgsql_check")
            conn.execute(OUTSIDE.read_bytes())
        yield url
