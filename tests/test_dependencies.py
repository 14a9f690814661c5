"""What is installed is used, said why, and of a licence that goes with ours."""

import ast
import re
import sys
from collections.abc import Iterator
from importlib.metadata import (
    Distribution,
    distribution,
    packages_distributions,
)
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROVIDED_BY = packages_distributions()
OURS = {"app", "bench", "lib", "pages"}
RUNS, TESTS = ("app.py", "lib", "pages"), ("tests",)
NEVER_IMPORTED = {
    "authlib": "by Streamlit, at sign-in",
    "pytest-asyncio": "by pytest",
    "pytest-timeout": "by pytest",
    "pytest-xdist": "by pytest",
}
# With those of copyleft we do what they allow to everyone: use them unchanged, as libraries.
LICENCES = {
    "MIT", "MIT-0", "MIT-CMU", "BSD-2-Clause", "BSD-3-Clause", "0BSD", "Apache-2.0", "ISC",
    "PSF-2.0", "Zlib", "CC0-1.0", "MPL-2.0", "LGPL-3.0-only",
}  # fmt: skip
UNWRITTEN = {
    "Apache 2": "Apache-2.0",
    "Apache 2.0": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "3-Clause BSD License": "BSD-3-Clause",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "The MIT License (MIT)": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
}
"""What packages say that do not yet name their licence as SPDX does."""
# The package is MIT by its LICENSE, the axe-core in it MPL-2.0 by its first lines.
READ = {"axe-playwright-python": "MIT AND MPL-2.0"}
"""What the files of packages say whose metadata is silent."""


def required(part: str = "") -> dict[str, Requirement]:
    """The requirements by name, of the part of the file that begins with these words."""
    text = (ROOT / "requirements.txt").read_text()
    lines = [line for line in text[text.index(part) :].splitlines() if re.match(r"\w", line)]
    return {canonicalize_name(Requirement(line).name): Requirement(line) for line in lines}


def imported(*places: str) -> dict[str, Path]:
    """The modules of others that are imported, each with a file that does."""
    found = {}
    for place in places:
        path = ROOT / place
        for file in path.rglob("*.py") if path.is_dir() else [path]:
            own = OURS | {other.stem for other in (ROOT / "tests").rglob("*.py")}
            for name in modules(file):
                if name not in own | sys.stdlib_module_names:
                    found[name] = file.relative_to(ROOT)
    return found


def modules(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.split(".")[0]


def packages(module: str) -> set[str]:
    return {canonicalize_name(name) for name in PROVIDED_BY.get(module, [])}


def asked_for() -> set[str]:
    """The packages of requirements.txt, and those that the extras named there add."""
    added = {
        canonicalize_name(need.name)
        for requirement in required().values()
        for need in needs(distribution(requirement.name), requirement.extras)
        if "extra" in str(need.marker)
    }
    return required().keys() | added


@pytest.mark.slow
def test_what_is_imported_is_required():
    missing = {
        f"{file}: {module}"
        for module, file in imported(*RUNS, *TESTS).items()
        if not packages(module) & asked_for()
    }
    assert not missing


@pytest.mark.slow
def test_what_only_tests_need_is_not_needed_to_run():
    only_tests = required("# ----").keys()
    assert {"pytest", "playwright"} <= only_tests
    needed = {name for module in imported(*RUNS) for name in packages(module)}
    assert not needed & only_tests


@pytest.mark.slow
def test_what_is_required_is_used():
    used = {name for module in imported(*RUNS, *TESTS) for name in packages(module)}
    assert required().keys() - used == NEVER_IMPORTED.keys()


@pytest.mark.parametrize("file", ["requirements.txt", ".ci/requirements.txt"])
def test_each_requirement_says_what_for(file):
    lines = (ROOT / file).read_text().splitlines()
    silent = [
        line
        for before, line in zip(["", *lines], lines, strict=False)
        if re.match(r"\w", line) and not re.match(r"# \w", before)
    ]
    assert not silent


def needs(package: Distribution, extras: set[str]) -> list[Requirement]:
    """What a package needs on this machine, with some of its extras."""
    found = [Requirement(line) for line in package.requires or []]
    asked = [{"extra": extra} for extra in ["", *extras]]
    return [r for r in found if r.marker is None or any(map(r.marker.evaluate, asked))]


def everything() -> dict[str, Distribution]:
    """All that is installed for our requirements, theirs, and so on, by name."""
    found: dict[str, Distribution] = {}
    seen = set()
    open_ends = list(required().values())
    while open_ends:
        requirement = open_ends.pop()
        name = canonicalize_name(requirement.name)
        if (name, frozenset(requirement.extras)) in seen:
            continue
        seen.add((name, frozenset(requirement.extras)))
        found[name] = distribution(name)
        open_ends += needs(found[name], requirement.extras)
    return found


def licence(package: Distribution) -> str:
    """As SPDX writes it, where the package says so in a way that we know."""
    about = package.metadata
    classified = [
        line.split(" :: ")[-1]
        for line in about.get_all("Classifier", [])
        if line.startswith("License :: OSI Approved :: ")
    ]
    said = about.get("License-Expression") or about.get("License", "").strip()
    # UNKNOWN is what old builders write of a package that has its licence in a classifier alone.
    if said in ("", "UNKNOWN") or "\n" in said or len(said) > 50:
        said = " OR ".join(UNWRITTEN.get(name, name) for name in classified)
    return UNWRITTEN.get(said, said) or READ.get(package.name, "")


def permitted(expression: str) -> bool:
    """Whether one of the alternatives of an SPDX expression is permitted in all its parts."""
    return any(
        all(part.strip(" ()") in LICENCES for part in alternative.split(" AND "))
        for alternative in expression.split(" OR ")
    )


def test_licences_go_with_ours():
    found = {name: licence(package) for name, package in everything().items()}
    assert len(found) > 50
    assert {name: said for name, said in found.items() if not permitted(said)} == {}


@pytest.mark.parametrize("said", ["", "GPL-3.0-only", "MIT AND AGPL-3.0-only", "Proprietary"])
def test_other_licences_are_refused(said):
    assert not permitted(said)
