"""The deployment guide's statements, and what docs/deployment.md says about its blocks."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

TESTS = Path(__file__).parents[1]
HEAD = re.compile(r"^-- (block|instead): (.+?)(?: \((\w{5})\))?\n", re.MULTILINE)
DIFFERENCES = "## Differences from the earlier integration guide\n"


@dataclass(frozen=True)
class Block:
    name: str
    kind: str
    """block, or instead: what the documents name in its place."""
    refused: str | None
    """The SQLSTATE with which a project refuses it."""
    statements: list[str]

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


def blocks(file: str) -> list[Block]:
    """The blocks of a file of tests/sql."""
    _, *parts = HEAD.split((TESTS / "sql" / file).read_text(encoding="utf-8"))
    return [
        Block(name, kind, refused or None, statements(text))
        for kind, name, refused, text in zip(*[iter(parts)] * 4, strict=True)
    ]


def statements(text: str) -> list[str]:
    """The statements of a block, each of which begins a line."""
    return re.split(r"(?<=;)\n(?=(?:alter|copy|create|delete|select|update)\b)", text.strip())


def documented() -> Iterator[str]:
    """The blocks that have an entry in docs/deployment.md."""
    text = (TESTS.parent / "docs" / "deployment.md").read_text(encoding="utf-8")
    section = text.partition(DIFFERENCES)[2].partition("\n## ")[0]
    for row in re.findall(r"^\| (.+?) \|", section, re.MULTILINE)[1:]:
        yield from row.split(", ")
