"""PgBouncer before a database of the tests."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import psutil
import pytest


@contextmanager
def pgbouncer(url: str, folder: Path, eventually: Callable[..., Any], port: int) -> Iterator[str]:
    """The URL of the same database through pgbouncer in transaction mode."""
    program = shutil.which("pgbouncer")
    if program is None:
        message = "No pgbouncer found: install Debian's package pgbouncer for this test."
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    # Each run of the tests has an address of its own, for the port is always the same.
    address = "127.{}.{}.2".format(*divmod(os.getpid() % 62_500, 250))
    config = folder / "pgbouncer.ini"
    sockets = parse_qs(urlsplit(url).query)["host"][0]
    config.write_text(
        f"""[databases]
* = host={sockets} user=postgres
[pgbouncer]
listen_addr = {address}
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 20
max_client_conn = 400
ignore_startup_parameters = extra_float_digits
"""
    )
    process = subprocess.Popen(
        [program, *(["-u", Path(sockets).owner()] if os.geteuid() == 0 else []), str(config)],
        stderr=(folder / "pgbouncer.log").open("w"),
    )
    try:
        eventually(
            lambda: any(
                each.laddr.ip == address and each.status == psutil.CONN_LISTEN
                for each in psutil.net_connections("tcp4")
            )
        )
        yield f"postgresql://postgres:any@{address}:{port}{urlsplit(url).path}"
    finally:
        process.terminate()
        process.wait()
