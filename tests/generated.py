"""Parts of the documentation that tests write: they stand between two marks of their name."""

import os
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"


def shown(name: str, now: str) -> str:
    """What docs/`name`.md shows between its marks.

    With DARKROOM_WRITE_DOCS=1 it is made to show `now` first.
    """
    file = DOCS / f"{name}.md"
    start, end = f"<!-- {name} -->\n", f"<!-- /{name} -->\n"
    before, _, section = file.read_text(encoding="utf-8").partition(start)
    found, _, after = section.partition(end)
    if os.environ.get("DARKROOM_WRITE_DOCS") == "1":
        file.write_text(before + start + now + end + after, encoding="utf-8")
        found = now
    return found


def command(test: str) -> str:
    """What writes the part that a file of tests stands for."""
    return f"DARKROOM_WRITE_DOCS=1 .venv/bin/pytest {test}"
