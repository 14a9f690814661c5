"""A real PostgreSQL 15 with pg_cron, from Debian's packages, for the tests of schedules."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from environment import data_folder

from lib.database import connect
from lib.database.bootstrap import bootstrap
from lib.database.migrations import apply
from lib.database.pool import Connection

PROGRAMS = Path("/usr/lib/postgresql/15/bin")
PG_CRON = Path("/usr/share/postgresql/15/extension/pg_cron.control")
OUTSIDE = Path(__file__).parent / "sql" / "outside.sql"
BATCH = """
delete from net.http_request_queue
where id in (select id from net.http_request_queue order by id limit 200) returning *
"""
ANSWER = """
insert into net._http_response (id, status_code, content, timed_out, error_msg)
values (%(id)s, %(status)s, %(content)s, %(timed_out)s, %(error)s)
"""
OS_USER = "nobody" if os.geteuid() == 0 else None
"""PostgreSQL does not run as root."""
SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "shared_preload_libraries": "pg_cron",
    "cron.database_name": "postgres",
    # Otherwise pg_cron connects over TCP, as the configuration of the machine allows or not.
    "cron.use_background_workers": "on",
}


@contextmanager
def cron_server() -> Iterator[str]:
    """The URL of a migrated database with pg_cron and stand-ins for pg_net and Vault."""
    require_packages()
    folder = data_folder("cron")
    data, log = folder / "data", folder / "log"
    data.mkdir(mode=0o700)
    log.touch()
    for owned in (folder, data, log):
        if OS_USER:
            shutil.chown(owned, OS_USER)
    run("initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "-N")
    options = " ".join(f"-c {name}={value or repr('')}" for name, value in SETTINGS.items())
    run("pg_ctl", "start", "-w", "-D", data, "-l", log, "-o", f"{options} -k {folder}")
    try:
        url = f"postgresql://postgres@/postgres?host={quote(str(folder))}"
        with connect(url) as conn:
            conn.execute("create extension pg_cron")
            bootstrap(conn)
            apply(conn)
            conn.execute(OUTSIDE.read_bytes())
        yield url
    finally:
        run("pg_ctl", "stop", "-w", "-D", data, "-m", "immediate")
        shutil.rmtree(folder)


def restart(url: str) -> None:
    """Stops that server and starts it again, which disconnects everybody."""
    with connect(url) as conn:
        [row] = conn.execute("select current_setting('data_directory') as data").fetchall()
    data = Path(row["data"])
    run("pg_ctl", "restart", "-w", "-D", data, "-m", "fast", "-l", data.with_name("log"))


def require_packages() -> None:
    """Skips the test where the packages are missing; in CI that is a failure."""
    if PG_CRON.exists() and (PROGRAMS / "initdb").exists():
        return
    message = (
        "No PostgreSQL 15 with pg_cron found: install Debian's packages postgresql-15 and"
        " postgresql-15-cron to run the tests of schedules."
    )
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


def send_requests(conn: Connection) -> list[dict[str, Any]]:
    """Does pg_net's work once: sends a batch of what waits, all at once, and notes the answers.

    As with pg_net 0.20, a batch is one transaction. Until its slowest request is answered, nothing
    else is sent, and others see its requests in the queue and none of the answers; then these
    appear together, created when the transaction began. Returns the requests.
    """
    with conn.transaction():
        sent = conn.execute(BATCH).fetchall()
        with ThreadPoolExecutor(max(len(sent), 1)) as threads:
            for answer in threads.map(_answer, sent):
                conn.execute(ANSWER, answer)
    return sent


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    """A row of net._http_response, without the time."""
    row = dict.fromkeys(("status", "content", "error"))
    row |= {"id": request["id"], "timed_out": False}
    try:
        response = httpx.post(
            request["url"],
            headers=request["headers"],
            json=request["body"],
            timeout=request["timeout_milliseconds"] / 1000,
        )
    except httpx.TimeoutException:
        return row | {"timed_out": True, "error": "Timeout was reached"}
    except httpx.HTTPError as error:
        return row | {"error": f"Couldn't connect to server: {type(error).__name__}"}
    return row | {"status": response.status_code, "content": response.text}


def run(program: str, *arguments: object) -> None:
    subprocess.run(
        [PROGRAMS / program, *map(str, arguments)],
        check=True,
        user=OS_USER,
        cwd="/",
        stdout=subprocess.DEVNULL,
        timeout=60,
    )
