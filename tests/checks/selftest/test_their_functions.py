"""The self-test of a project whose functions are its own."""

import asyncio
import socket
from collections.abc import Callable, Iterator
from threading import Thread
from typing import Any

import pytest
import uvicorn
from selftest_report import check, statuses
from supabase_project import Project
from their_functions import TheirFunctions

from lib.checks.selftest.report import Report
from lib.checks.selftest.runner import SelfTest
from lib.checks.selftest.target import Target, target
from lib.database import connect
from lib.settings import parse

PUBLISHABLE, SECRET = "sb_publishable_of_their_project", "sb_secret_of_their_project"
JWT_SECRET = "a-secret-of-at-least-thirty-two-bytes"
DARKROOM_ONLY = {"process-generation", "error-handling"}


@pytest.fixture
def theirs(
    database: str, tmp_path: Any, eventually: Callable[..., Any]
) -> Iterator[tuple[TheirFunctions, Target]]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        tested = target(
            parse(
                {
                    "DATABASE_URL": database,
                    "DARKROOM_DATA": str(tmp_path),
                    "SUPABASE_URL": url,
                    "SUPABASE_PUBLISHABLE_KEY": PUBLISHABLE,
                    "SUPABASE_SECRET_KEY": SECRET,
                    "SUPABASE_JWT_SECRET": JWT_SECRET,
                }
            )
        )
        project = Project(database, PUBLISHABLE, SECRET, JWT_SECRET)
        functions = TheirFunctions(database, tested.keys, project, url)
        server = uvicorn.Server(uvicorn.Config(functions.app, log_level="warning"))
        thread = Thread(target=server.run, args=([listening],))
        thread.start()
        eventually(lambda: server.started)
        yield functions, tested
        server.should_exit = True
        thread.join()


def run(tested: Target) -> Report:
    return asyncio.run(SelfTest(tested, "tester").run())


@pytest.mark.timeout(120)
def test_what_all_promise_is_tested_and_the_rest_left_out(database, theirs):
    functions, tested = theirs
    report = run(tested)
    assert statuses(report).get("failed", set()) == set()
    assert statuses(report)["skipped"] == DARKROOM_ONLY
    assert "not Darkroom's" in check(report, "functions")["came_back"]
    assert "image/png" in check(report, "end-to-end")["came_back"]
    with connect(database) as db:
        left = "select (select count(*) from job_queue) + (select count(*) from image_generations)"
        assert db.execute(left.encode()).fetchone() == {"?column?": 0}

    # A limit that they do not ask for is red.
    functions.limits = False
    report = run(tested)
    assert statuses(report)["failed"] == {"rate-limiting"}
    assert "check public.get_user_limits" in check(report, "rate-limiting")["repair"]
