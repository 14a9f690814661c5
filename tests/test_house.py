"""The rules of the house that a program can check: who may import what, and where SQL stands."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
STATEMENT = re.compile(
    r"\s*(?:select\s.+\sfrom|insert\s+into|update\s.+\sset|delete\s+from|with\s.+\sas\s*\()\s",
    re.IGNORECASE | re.DOTALL,
)


def sources(*places: str) -> Iterator[tuple[str, ast.Module]]:
    for place in places:
        path = ROOT / place
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            yield str(file.relative_to(ROOT)), ast.parse(file.read_text())


def imports(*places: str) -> Iterator[tuple[str, str]]:
    """Every file with every module that it imports, names of modules written out."""
    for file, tree in sources(*places):
        package = file.rpartition("/")[0].split("/")
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom):
                above = package[: len(package) - node.level + 1] if node.level else []
                base = ".".join([*above, *filter(None, [node.module])])
                for alias in node.names:
                    inside = ROOT / f"{base}.{alias.name}".replace(".", "/")
                    is_module = inside.with_suffix(".py").exists() or inside.is_dir()
                    yield file, f"{base}.{alias.name}" if is_module else base
            elif isinstance(node, ast.Import):
                for alias in node.names:
                    yield file, alias.name


ALLOWED = {
    "formats": set(),
    "roles": set(),
    "logs": set(),
    "memory": set(),
    "files": set(),
    "client": set(),
    "database": set(),
    "settings": {"database", "files"},
    "storage": set(),
    "provider": {"files"},
    "queue": {"client", "database"},
    "resources": {"database", "provider", "settings", "storage"},
    "generation": {"database", "provider", "queue", "storage"},
    "ops": {
        *("client", "database", "formats", "generation", "provider", "queue", "roles", "settings"),
        "storage",
    },
    "checks": {
        *("database", "formats", "ops", "queue", "resources", "roles", "settings", "storage"),
    },
    "worker": {"database", "generation", "ops", "provider", "queue", "storage"},
    "api": {"database", "generation", "queue", "settings", "storage", "worker"},
    "service": {
        *("api", "database", "ops", "provider", "queue", "resources", "settings", "worker"),
    },
    "ui": {
        *("checks", "database", "formats", "ops", "queue", "resources", "roles", "settings"),
        *("storage", "api.errors", "api.loopback", "generation.uploads", "provider.contract"),
    },
    "pages": {
        *("checks", "client", "database", "formats", "ops", "queue", "resources", "roles"),
        *("settings", "ui", "generation.uploads", "provider.simulator.faults"),
        "provider.simulator.models",
    },
    # Entry points.
    "app": {"api", "database", "logs", "memory", "service", "settings", "ui"},
    "asgi": {"api", "database", "logs", "memory", "service", "settings"},
    "worker.__main__": {"database", "logs", "memory", "service", "settings"},
    "ops.models.__main__": {"database", "formats", "provider", "resources", "settings"},
}
"""Which rooms of lib each room may import, besides itself: imports point down."""
DRIVER = {"psycopg", "psycopg_pool", "psycopg_binary"}


def room(file: str) -> str:
    """The entry of ALLOWED that a file falls under."""
    name = file.removesuffix(".py").removeprefix("lib/").replace("/", ".")
    return name if name in ALLOWED else name.split(".")[0]


def imported_of_ours(files: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Every file with every module of lib that it imports, without the leading "lib."."""
    for file, module in files:
        if module.startswith("lib."):
            yield file, module.removeprefix("lib.")


def forbidden(files: Iterable[tuple[str, str]]) -> list[str]:
    """The imports against the table, by name."""
    return [
        f"{file} imports lib.{module}"
        for file, module in imported_of_ours(files)
        if module.split(".")[0] != room(file).split(".")[0]
        and not any(f"{module}.".startswith(f"{place}.") for place in ALLOWED[room(file)])
    ]


def test_imports_point_down():
    assert forbidden(imports("app.py", "lib", "pages")) == []


@pytest.mark.parametrize(
    ("file", "module"),
    [
        ("lib/database/pool.py", "lib.queue.job_list"),
        ("lib/checks/health.py", "lib.ui.dashboard"),
        ("lib/ui/dashboard.py", "lib.service"),
        ("lib/ui/access/gate.py", "lib.api.routes"),
        ("lib/client/start.py", "lib.formats"),
        ("pages/jobs.py", "lib.worker.worker"),
    ],
)
def test_an_import_against_the_table_is_named(file: str, module: str):
    assert forbidden([(file, module)]) == [f"{file} imports {module}"]


def test_every_room_has_its_line_in_the_table():
    rooms = {room(file) for file, _ in sources("app.py", "lib", "pages")} - {"__init__"}
    assert rooms == ALLOWED.keys()


def test_no_import_goes_round_in_a_circle():
    graph: dict[str, set[str]] = {}
    for file, module in imports("lib"):
        own = file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        graph.setdefault(own, set()).add(module)
    TopologicalSorter(graph).prepare()


def test_the_client_imports_nothing_of_ours():
    for file, tree in sources("lib/client"):
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and not node.level:
                assert str(node.module).split(".")[0] != "lib", file


def test_lib_imports_no_page_no_test_and_no_measurement():
    found = {module.split(".")[0] for _, module in imports("lib")}
    assert found
    assert not found & {"app", "bench", "pages", "tests"}


@pytest.mark.parametrize(
    ("packages", "places"),
    [(DRIVER, ("lib/database/",)), ({"streamlit"}, ("lib/ui/", "pages/", "app.py"))],
)
def test_who_imports_a_package(packages: set[str], places: tuple[str, ...]):
    users = {
        file
        for file, module in imports("app.py", "lib", "pages")
        if module.split(".")[0] in packages
    }
    assert users
    assert {file for file in users if not file.startswith(places)} == set()


@pytest.mark.parametrize(
    ("module", "never"),
    [
        ("lib.asgi", {"streamlit", "pandas", "altair"}),
        ("lib.worker.worker", {"streamlit", "lib.api"}),
        ("lib.checks.troubleshooting.catalogue", {"streamlit"}),
        ("lib.ui.navigation", {"lib.service", "lib.worker", "lib.provider.simulator.app"}),
        ("lib.client", {"psycopg", "streamlit", "supabase", "lib.database"}),
    ],
)
def test_what_is_loaded_with_a_module(module: str, never: set[str]):
    code = f"import sys, {module}; print(*(name for name in {never!r} if name in sys.modules))"
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == ""


def test_no_file_is_longer_than_300_lines():
    long = [
        file
        for file, _ in sources("app.py", "lib", "pages", "bench")
        if len((ROOT / file).read_text().splitlines()) > 300
    ]
    assert long == []


@pytest.mark.parametrize(
    "text",
    [
        "select id from jobs ",
        "\n  INSERT INTO jobs values (1)",
        "update jobs set status = 'x'",
        "delete from jobs where true",
    ],
)
def test_a_statement_is_known_as_one(text):
    assert STATEMENT.match(text)
    assert not STATEMENT.match(f"Then {text}")


def test_no_sql_stands_in_python():
    found = [
        f"{file}:{node.lineno}"
        for file, tree in sources("app.py", "lib", "pages")
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and STATEMENT.match(node.value)
    ]
    assert found == []


def test_a_page_begins_with_its_question():
    for file, tree in sources("pages"):
        question = ast.get_docstring(tree)
        assert question, file
        assert question.splitlines()[0].endswith("?"), file


def test_a_button_whose_label_changes_has_a_key():
    """Without one, Streamlit takes the label for its identity: a click on "Reset all 5" is lost if
    there are 6 by the time the click arrives."""
    found = [
        f"{file}:{node.lineno}"
        for file, tree in sources("app.py", "lib/ui", "pages")
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "button"
        and not isinstance(node.args[0], ast.Constant)
        and len(node.args) < 2
        and all(keyword.arg != "key" for keyword in node.keywords)
    ]
    assert found == []
