"""Every command of bench still runs, with tiny numbers, and prints its table."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from environment import bare

from lib.database import embedded

PROJECT = Path(__file__).parents[2]
SOURCES = (PROJECT / "bench").glob("*.py")
COMMANDS = {path.stem for path in SOURCES if "__main__" in path.read_text()}
NOT_TRIED = {"dashboards", "newcomer"}
"""One installs other queues' dashboards, the other runs the README's commands as .ci/run does."""
TRIED = {
    "history": ("--jobs=2000", "--data={data}"),
    "pages": ("--jobs=2000", "--data={data}", "--plans"),
    "interface": ("--jobs=2000", "--data={data}", "--rounds=1", "--page", "overview"),
    "viewers": ("--jobs=2000", "--data={data}", "--viewers=2", "--seconds=3"),
    "purge": ("--jobs=1500", "--data={data}", "--seconds=0.05"),
    "queue": ("--jobs=200", "--rows=1000", "--only=sql,worker,latency,crowd,million"),
    "scaling": ("--jobs=200", "--processes=1", "--generations=5"),
    "soak": ("--minutes=0.1", "--viewers=2"),
    "submit": ("1",),
    "wake": ("20",),
    "pictures": ("--only=alerts", "--to={data}/pictures"),
    "sample_images": ("--to={data}/images",),
    "tour_recording": ("--to={data}/recording.webp",),
}
PRINTS = {
    "history": "jobs",
    "pages": "Overview",
    "interface": "Overview",
    "viewers": "times the queries of one",
    "purge": "while jobs are purged",
    "queue": "due jobs of a held model",
    "scaling": "jobs",
    "soak": "grown by",
    "submit": "click to queued",
    "wake": "20 jobs: p50",
    "pictures": "4 pictures",
    "sample_images": "36 images",
    "tour_recording": "frames",
}
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder that the commands share, so that one history serves all."""
    folder = tmp_path_factory.mktemp("bench")
    # As root the database server runs as another OS user.
    for each in (folder, *folder.parents[:2]):
        each.chmod(0o755)
    yield folder
    if (folder / "postgres").exists():
        embedded.start(folder / "postgres").stop()


def test_every_command_is_tried():
    assert COMMANDS - NOT_TRIED == TRIED.keys() == PRINTS.keys()


@pytest.mark.parametrize("command", TRIED)
def test_runs_and_prints_its_table(command: str, data: Path):
    arguments = [argument.format(data=data) for argument in TRIED[command]]
    ended = subprocess.run(
        [sys.executable, "-m", f"bench.{command}", *arguments],
        cwd=PROJECT,
        env=bare(CI=os.environ.get("CI", "")),
        capture_output=True,
        text=True,
    )
    # 1: a figure is beyond its budget, which figures of so few jobs may well be.
    assert ended.returncode in (0, 1), ended.stderr
    assert "Traceback" not in ended.stderr
    assert PRINTS[command] in ended.stdout, ended.stderr
