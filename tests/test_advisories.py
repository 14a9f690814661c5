"""The check of CI for known advisories, against a service that speaks as OSV does."""

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

COMMAND = [sys.executable, ".ci/advisories.py", "--vulnerability-service=osv"]
ADVISORY = {
    "id": "PYSEC-2026-1",
    "summary": "Reads what it should not.",
    "affected": [
        {
            "package": {"ecosystem": "PyPI", "name": "leaky"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.1"}]}],
            "versions": ["1.0"],
        }
    ],
}

if not importlib.util.find_spec("pip_audit") and not os.environ.get("CI"):
    pytest.skip("pip-audit is not installed: see .ci/requirements.txt", allow_module_level=True)


class Service(ThreadingHTTPServer):
    """Knows one package with an advisory; `status` is what it answers with."""

    status = 200


@pytest.fixture
def service() -> Iterator[Service]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            leaky = asked["package"]["name"] == "leaky"
            body = json.dumps({"vulns": [ADVISORY]} if leaky else {}).encode()
            self.send_response(server.status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    with Service(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, args=[0.01]).start()
        yield server
        server.shutdown()


@pytest.fixture
def audit(tmp_path: Path, service: Service):
    """Audits packages of these names, all of version 1.0: the exit code and what was said."""

    def audit(*names: str, url: str | None = None) -> tuple[int, str]:
        for name in names:
            folder = tmp_path / f"{name}-1.0.dist-info"
            folder.mkdir()
            (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        url = url or f"http://127.0.0.1:{service.server_port}/v1/query"
        told = subprocess.run(
            [*COMMAND, f"--osv-url={url}", f"--path={tmp_path}"],
            capture_output=True,
            text=True,
            cwd=Path(__file__).parents[1],
        )
        return told.returncode, told.stdout

    return audit


def test_nothing_known_is_a_pass_that_says_how_many_were_looked_up(audit):
    assert audit("harmless", "dull") == (0, "Advisories: 2 packages looked up, 0 advisories.\n")


def test_an_advisory_fails(audit):
    code, said = audit("harmless", "leaky")
    assert code == 1
    assert "2 packages looked up, 1 advisories." in said
    assert "leaky 1.0: PYSEC-2026-1, mended in 1.1" in said


@pytest.mark.parametrize("status", [429, 503])
def test_a_service_that_is_away_fails_nothing_and_is_said(audit, service, status):
    service.status = status
    code, said = audit("leaky")
    assert (code, "NOT CHECKED" in said) == (0, True)


def test_a_service_that_cannot_be_reached_fails_nothing_and_is_said(audit, service):
    service.shutdown()
    service.server_close()
    code, said = audit("leaky")
    assert (code, "NOT CHECKED" in said) == (0, True)


def test_an_audit_that_breaks_fails(audit):
    code, said = audit("leaky", url="not an address")
    assert code == 1
    assert "NOT CHECKED" not in said
