"""What the documentation refers to is there, and what it repeats is so."""

import re
import tomllib
from pathlib import Path

import pytest

from lib.ui.access.gate import EXAMPLE
from lib.ui.pages import PAGES

PROJECT = Path(__file__).parents[2]
FILES = [*PROJECT.glob("*.md"), *(PROJECT / "docs").glob("*.md")]
# Its texts link to pages of the app.
FILES.remove(PROJECT / "docs" / "strings.md")
LINK = re.compile(r"\]\(([^)\s]+)\)|(?:src|srcset)=\"([^\"]+)\"")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
TEST = "python3 -m venv .venv && .venv/bin/pip install -r requirements.txt && .venv/bin/pytest\n"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_links_lead_somewhere(file: Path) -> None:
    targets = [link or picture for link, picture in LINK.findall(file.read_text(encoding="utf-8"))]
    lost = [target for target in targets if not there(file, target)]
    assert lost == []


def there(file: Path, target: str) -> bool:
    if target.startswith(("http://", "https://")):
        return True
    path, _, anchor = target.partition("#")
    found = (file.parent / path).resolve() if path else file
    return found.exists() and (not anchor or anchor in anchors(found))


def anchors(file: Path) -> set[str]:
    """The anchors of a file's headings, as GitHub makes them."""
    headings = HEADING.findall(file.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in headings}


def test_the_test_command_is_what_ci_runs() -> None:
    assert f"\n{TEST}" in (PROJECT / "README.md").read_text(encoding="utf-8")
    assert f"\n{TEST}" in (PROJECT / ".ci" / "run").read_text(encoding="utf-8")


def test_sign_in_is_configured_as_the_closed_app_says() -> None:
    operating = (PROJECT / "docs" / "operating.md").read_text(encoding="utf-8")
    assert f"```toml\n{EXAMPLE}```\n" in operating


def test_the_changelog_says_what_this_version_brought() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    changelog = (PROJECT / "CHANGELOG.md").read_text(encoding="utf-8")
    versions = re.findall(r"^## (\d+\.\d+\.\d+) - \d{4}-\d\d-\d\d$", changelog, re.MULTILINE)
    assert versions[0] == project["version"]


def test_the_gallery_shows_every_page() -> None:
    gallery = (PROJECT / "docs" / "pictures.md").read_text(encoding="utf-8")
    for file, page in PAGES.items():
        assert f"## {page.title}\n" in gallery
        for theme in ("light", "dark"):
            for width in (1440, 390):
                name = f"pictures/{file.replace('_', '-')}-{theme}-{width}.webp"
                assert f'src="{name}"' in gallery
