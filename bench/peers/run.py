"""Other queues for PostgreSQL, each draining its own jobs on the same server.

Each is a program of its own: `enqueue <URL> <jobs>` creates its schema and its jobs, `drain
<URL> <jobs> <setting>` runs its worker until nothing is left, and prints the seconds from the
start of the worker to the last completion. In between its tables are vacuumed, like ours.
"""

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from bench.server import QUERIES, fresh_peer_database
from lib.database import connect, load

FOLDER = Path(__file__).parent
NODE_MODULES = FOLDER / "node_modules"
server = load("server", QUERIES)


@dataclass(frozen=True)
class Peer:
    """A queue to compare with, and the settings of its worker that are worth comparing."""

    package: str
    script: str
    setting: str
    values: tuple[int, ...]
    slow: bool = False
    """Whether a fraction of the jobs is enough."""


PEERS = (
    Peer("procrastinate", "peer_procrastinate.py", "concurrency", (1, 10, 50), slow=True),
    Peer("pgqueuer", "peer_pgqueuer.py", "batch", (10, 50, 200)),
    Peer("graphile-worker", "peer_graphile_worker.mjs", "local queue", (500,)),
    Peer("pg-boss", "peer_pg_boss.mjs", "batch", (200,)),
)


def missing(peer: Peer) -> str | None:
    """What is to be done before the peer can run; None when nothing is."""
    if peer.script.endswith(".py"):
        if find_spec(peer.package) is None:
            return f"{peer.package} is not installed: pip install -r bench/requirements.txt"
    elif shutil.which("node") is None:
        return f"{peer.package} needs Node.js (22 or newer, by its own account) on the PATH"
    elif not (NODE_MODULES / peer.package).is_dir():
        return f"{peer.package} is not installed: npm ci --prefix bench/peers"
    return None


def version(peer: Peer) -> str:
    """The version that is installed, and for Node.js what it runs on."""
    if peer.script.endswith(".py"):
        return metadata.version(peer.package)
    package = json.loads((NODE_MODULES / peer.package / "package.json").read_text())
    node = subprocess.run(["node", "--version"], stdout=subprocess.PIPE, text=True, check=True)
    return f"{package['version']} (Node {node.stdout.strip()})"


def drain(peer: Peer, url: str, *, jobs: int, value: int) -> float:
    """Seconds that the peer takes for the jobs, in a fresh database of the server at `url`.

    Raises CalledProcessError when its program fails, RuntimeError when jobs are left.
    """
    database = fresh_peer_database(url)
    _run(peer, "enqueue", database, str(jobs))
    with connect(database) as connection:
        server.vacuum_analyze(connection)
        server.checkpoint(connection)
        seconds = float(_run(peer, "drain", database, str(jobs), str(value)))
        left = getattr(load("peers", QUERIES), f"{peer.package.replace('-', '_')}_left")(connection)
    if left:
        raise RuntimeError(f"{peer.package} left {left} of {jobs} jobs")
    return seconds


def _run(peer: Peer, *arguments: str) -> str:
    if peer.script.endswith(".py"):
        program = [sys.executable, "-m", f"bench.peers.{Path(peer.script).stem}"]
    else:
        program = ["node", str(FOLDER / peer.script)]
    command = [*program, *arguments]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
