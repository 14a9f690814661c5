"""Do the README's commands work as printed, on a fresh clone? Prints what each took.

    python -m bench.newcomer [--no-tests]

Clones the last commit into an empty folder and runs there, with a new virtual environment each,
the first command of the README until the Overview answers in a browser, and the test command to
its end. Port 8501 must be free.
"""

import argparse
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.browser import PROJECT, answers, chromium, new_context, painted

URL = "http://127.0.0.1:8501"
START, TEST = "## Start", "## Test"


def main() -> None:
    parser = argparse.ArgumentParser(description="The README's commands on a fresh clone.")
    parser.add_argument("--no-tests", action="store_true", help="only the first command")
    tests = not parser.parse_args().no_tests
    if answers(URL):
        raise SystemExit(f"Something answers at {URL} already: stop it first.")
    with tempfile.TemporaryDirectory(prefix="darkroom-newcomer-") as name:
        # As root the database server runs as another OS user.
        Path(name).chmod(0o755)
        folder = Path(name) / "darkroom"
        subprocess.run(["git", "clone", "-q", str(PROJECT), str(folder)], check=True)
        start(folder)
        if tests:
            shutil.rmtree(folder / ".venv")
            began = time.monotonic()
            ended = subprocess.run(command(folder, TEST), cwd=folder, shell=True, env=clean())
            say(f"Test, to its end (exit code {ended.returncode})", time.monotonic() - began)


def start(folder: Path) -> None:
    """Runs the first command until the Overview is painted, and ends it."""
    began = time.monotonic()
    with running(command(folder, START), folder) as process:
        while not answers(URL):
            if process.poll() is not None:
                raise SystemExit(f"It ended with exit code {process.returncode}.")
            time.sleep(0.05)
        say("Start, until it answers", time.monotonic() - began)
        with chromium() as browser:
            painted(new_context(browser).new_page(), URL)
        say("Start, until the Overview is painted", time.monotonic() - began)


@contextmanager
def running(command: str, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        command,
        cwd=folder,
        shell=True,
        env=clean(),
        start_new_session=True,
        stdout=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        # The shell's whole group, as Ctrl-C in a terminal does.
        os.killpg(process.pid, signal.SIGINT)
        process.wait(60)


def command(folder: Path, heading: str) -> str:
    """The command below a heading of the clone's README, as it is printed there."""
    readme = (folder / "README.md").read_text()
    found = re.search(rf"^{heading}\n.*?^```\n(.*?)^```$", readme, re.DOTALL | re.MULTILINE)
    if found is None:
        raise SystemExit(f"The README has no command below {heading!r}.")
    return found[1]


def clean() -> dict[str, str]:
    """The environment without the virtual environment that this runs in, and without settings."""
    kept = ("PATH", "HOME", "LANG", "TMPDIR")
    return {
        name: value
        for name, value in os.environ.items()
        if name in kept or name.lower().endswith("_proxy") or name.startswith(("PIP_", "SSL_"))
    }


def say(what: str, seconds: float) -> None:
    print(f"{what:50} {seconds:8.1f} s", flush=True)


if __name__ == "__main__":
    main()
