"""The migrations as a reader finds them: each thing made once, every right in one file."""

import re
from collections import Counter
from pathlib import Path

import pytest

from lib.database.migrations import MIGRATIONS

FILES = sorted(MIGRATIONS.glob("*.sql"))
ACCESS = FILES[-1]
MAKES = re.compile(
    r"^create (?:or replace |unique )?"
    r"(?P<what>function|procedure|view|materialized view|table|index|trigger|type|schema|sequence)"
    r" (?:if not exists )?(?:public\.)?(?P<name>\w+)",
    re.M,
)
FUNCTION = re.compile(
    r"^create function [^$;]*?\bas \$\$.*?^\$\$;|^create function .*?;$", re.M | re.S
)
WORDS = re.compile(r"--[^\n]*|^comment on .*?';$", re.M | re.S)
RIGHTS = re.compile(
    r"\b(?:grant|revoke|row level security|default privileges"
    r"|(?:create|drop|alter) (?:policy|publication))\b"
)
SECOND_THOUGHTS = re.compile(
    r"\bor replace\b|\badd column\b(?!.+\n? *generated always)|\brename to\b"
    r"|\balter (?:function|view)\b|\bdrop (?!policy if exists)\w+"
)


@pytest.fixture(params=FILES, ids=[path.stem[15:] for path in FILES])
def file(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


def statements(path: Path) -> str:
    """What the file does itself: without the bodies of functions, without comments."""
    return FUNCTION.sub("", WORDS.sub("", path.read_text()))


def test_everything_is_made_once() -> None:
    made = [(m["what"], m["name"]) for path in FILES for m in MAKES.finditer(path.read_text())]
    assert len(made) > 200
    assert [thing for thing, times in Counter(made).items() if times > 1] == []


def test_nothing_is_changed_after_it_was_made(file: Path) -> None:
    if "_existing_" in file.stem:
        pytest.skip("That one changes what others made.")
    assert SECOND_THOUGHTS.findall(statements(file)) == []


def test_every_right_is_in_the_access_file(file: Path) -> None:
    if file.stem.endswith("_existing_deployment"):
        pytest.skip("That one restores the rights of what others made.")
    assert ACCESS.stem.endswith("_access")
    assert bool(RIGHTS.search(statements(file))) is (file == ACCESS)


def test_no_body_that_a_statement_splitter_cuts(file: Path) -> None:
    """Those of the Supabase CLI up to 2.117 end `begin atomic` at the first `end`."""
    assert "begin atomic" not in file.read_text().lower()


def test_a_file_says_first_what_it_holds(file: Path) -> None:
    assert re.match(r"-- [A-Z].+", file.read_text())
