"""docs/strings.md lists every text that users and operators see, without retired words."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from generated import command, shown

WRITE = command("tests/docs/test_strings.py")
PROJECT = Path(__file__).parents[2]
SOURCES = ("app.py", "pages/*.py", "lib/**/*.py", "supabase/migrations/*.sql")
# Two words, or one in the sentence case of labels and titles.
VISIBLE = re.compile(r"[A-Za-z]{2,}.*\s\S*[A-Za-z]|^[A-Z][a-z]+[.:…]?$", re.DOTALL)
CODE = re.compile(
    r"\s*(select|insert|update|delete|with|create|alter|drop|grant|revoke|set|from|values)\b.*"
    r"|(not null|check \(|using \(|and [a(]|\(\d|timestamp |character |materialized ).*"
    r"|.*\"type\": \"|body\{|<(\w+ |script>)|\^|https?:|.*(\\b|\.\{0,)",
    re.DOTALL,
)
"""SQL, markup, schemas, patterns and addresses."""
CODE_CALLS = {"compile", "fullmatch", "search", "match", "sub", "open", "getattr", "cast"}
SQL_TEXT = re.compile(r"'((?:[^']|'')*)'")
SQL_COMMENT = re.compile(r"^comment on .*?;$", re.DOTALL | re.MULTILINE)
RETIRED = (
    r"\banew\b", r"\bwhoever\b", r"\bfor whom\b", r"\bin force\b", r"\bsigns? of life\b",
    r"\bso many\b", r"\bis said\b", r"\bare said\b", r"\bin anybody's hand\b", r"\d %",
    r"\b(do|does|did) not answer\b", r"\bat replicate\b(?!\.)", r"\bin vain\b",
    r"\blive jobs?\b", r"[a-z]\(s\)", r"\bact now\b", r"\blook soon\b", r"\bas long as nobody\b",
)  # fmt: skip


def test_the_file_shows_the_strings() -> None:
    assert shown("strings", as_list()) == as_list(), f"After a change, run {WRITE}."


@pytest.mark.parametrize("word", RETIRED)
def test_no_text_contains_a_retired_word(word: str) -> None:
    found = [text for _, text in texts() if re.search(word, text, re.IGNORECASE)]
    assert found == []


def as_list() -> str:
    lines, place = [], ""
    for file, text in texts():
        if file != place:
            lines.append(f"\n## {file}\n\n")
            place = file
        lines.append(f"- {' ↵ '.join(text.split(chr(10)))}\n")
    return "".join(lines).lstrip("\n")


def texts() -> Iterator[tuple[str, str]]:
    """Each file with each of its texts, in its order and once."""
    for pattern in SOURCES:
        for path in sorted(PROJECT.glob(pattern)):
            source = path.read_text(encoding="utf-8")
            found = sql_texts(source) if path.suffix == ".sql" else python_texts(ast.parse(source))
            for text in dict.fromkeys(filter(is_visible, found)):
                yield str(path.relative_to(PROJECT)), text


def is_visible(text: str) -> bool:
    return bool(VISIBLE.search(text)) and not CODE.match(text)


def sql_texts(source: str) -> Iterator[str]:
    code = re.sub(r"--.*", "", SQL_COMMENT.sub("", source))
    for text in SQL_TEXT.findall(code):
        yield text.replace("''", "'")


def python_texts(tree: ast.AST) -> Iterator[str]:
    """The strings of a syntax tree but for docstrings, log messages and patterns.

    Names of expressions stand in braces where an f-string has them.
    """
    for child in ast.iter_child_nodes(tree):
        match child:
            case ast.Expr(value=ast.Constant()):
                pass
            case ast.Call(func=ast.Attribute(value=ast.Name(id="logger"))):
                pass
            case ast.Call(func=ast.Attribute(attr=name) | ast.Name(id=name)) if name in CODE_CALLS:
                pass
            case ast.Call(func=ast.Attribute(value=ast.Attribute(attr="session_state"))):
                pass
            case ast.keyword(arg="key" | "bind") | ast.Subscript(value=ast.Attribute()):
                pass  # Names of widgets and of their state.
            case ast.Constant(value=str(text)):
                yield text
            case ast.JoinedStr(values=parts):
                yield "".join(map(part_text, parts))
                for part in parts:
                    yield from python_texts(part)
            case _:
                yield from python_texts(child)


def part_text(part: ast.expr) -> str:
    match part:
        case ast.Constant(value=str(text)):
            return text
        case ast.FormattedValue(value=value):
            return f"{{{ast.unparse(value)}}}"
    raise AssertionError(part)
