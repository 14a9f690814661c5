"""`python -m lib.checks.selftest` in the CI of a deployment: exit codes, JSON, and no secret."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from environment import bare

PROJECT = Path(__file__).parents[3]


@pytest.fixture
def command(deployment):
    """Runs the command against the deployment; whatever it prints holds no secret."""

    def run(*arguments, **settings):
        chosen = deployment.settings
        environment = bare(
            DATABASE_URL=chosen.database_url,
            DARKROOM_DATA=str(chosen.data),
            DARKROOM_URL=chosen.public_url,
        )
        ended = subprocess.run(
            [sys.executable, "-m", "lib.checks.selftest", *arguments],
            cwd=PROJECT,
            env=environment | settings,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        keys = deployment.target.keys
        for secret in (keys.secret, keys.jwt_secret, "a-password"):
            assert secret not in ended.stdout + ended.stderr
        return ended

    return run


def test_green_is_0_and_json(command):
    ended = command("--json")
    report = json.loads(ended.stdout)
    assert (ended.returncode, report["outcome"], ended.stderr.strip()) == (0, "passed", "")
    assert {check["status"] for check in report["checks"]} == {"passed"}
    assert set(report["checks"][0]) == {
        "name", "area", "title", "expected", "status", "came_back", "repair", "seconds",
    }  # fmt: skip


def test_red_is_1_with_the_repair(command, db):
    db.execute("drop function public.stop_purge")
    ended = command("--only", "enqueue")
    assert ended.returncode == 1
    assert "FAIL  schema" in ended.stdout
    assert "create function public.stop_purge(" in ended.stdout
    assert "PASS  enqueue" in ended.stdout


def test_what_cannot_run_is_2(command):
    away = "postgresql://user:a-password@127.0.0.1:1/none"
    ended = command("--json", DATABASE_URL=away)
    assert (ended.returncode, json.loads(ended.stdout)["outcome"]) == (2, "cannot run")
    unknown = command("--only", "nothing")
    assert unknown.returncode == 2
    assert "unknown check: nothing" in unknown.stderr
