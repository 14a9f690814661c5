"""The rules of the house that a program can check: who may import what, and where SQL stands."""

import ast
import re
from collections.abc import Iterator
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
    """Every file with every module that it imports."""
    for file, tree in sources(*places):
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom):
                yield file, str(node.module)
            elif isinstance(node, ast.Import):
                for alias in node.names:
                    yield file, alias.name


def importers(*places: str, of: str) -> set[str]:
    return {file for file, module in imports(*places) if re.match(rf"(?:{of})\b", module)}


def test_lib_knows_no_page_no_test_and_no_measurement():
    assert importers("lib", of="app|bench|pages|tests") == set()


def test_only_the_database_room_knows_the_driver():
    users = importers("app.py", "lib", "pages", of="psycopg|psycopg_pool")
    assert users
    assert {file for file in users if not file.startswith("lib/database/")} == set()


def test_no_page_speaks_to_the_provider():
    users = importers("app.py", "lib", "pages", of=r"lib\.replicate\.client")
    assert users
    assert {file for file in users if not file.startswith("lib/")} == set()


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
