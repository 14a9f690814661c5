"""The catalogue of errors knows all that can happen to a job here, and some from elsewhere."""

import ast
import re
from pathlib import Path

import pytest

from lib.checks.error_guide import CATALOGUE, UNKNOWN, guide
from lib.provider.cog import errors as cog_errors
from lib.provider.replicate.errors import _REFUSALS

PROJECT = Path(__file__).parents[2]
WORKERS_CODE = [
    *(PROJECT / "lib" / "generation").glob("*.py"),
    *(PROJECT / "lib" / "queue").glob("*.py"),
    *(PROJECT / "lib" / "storage").glob("*.py"),
    *(PROJECT / "lib" / "worker").glob("*.py"),
    *(PROJECT / "lib" / "provider").glob("*.py"),
    *(PROJECT / "lib" / "provider" / "cog").glob("*.py"),
    *(PROJECT / "lib" / "provider" / "replicate").glob("*.py"),
]
MIGRATIONS = sorted((PROJECT / "supabase" / "migrations").glob("*.sql"))


def codes_of(path: Path) -> set[str]:
    """The string constants that a module gives as code= or not_found=, or names code."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.keyword) and node.arg in ("code", "not_found"):
            values = [node.value]
        elif isinstance(node, ast.Assign) and "code" in ast.unparse(node.targets[0]):
            values = node.value.elts[:1] if isinstance(node.value, ast.Tuple) else [node.value]
        else:
            continue
        found |= {
            value.value
            for value in values
            if isinstance(value, ast.Constant) and isinstance(value.value, str)
        }
    return found


def test_every_code_that_can_be_produced_has_an_entry():
    produced = {code for path in WORKERS_CODE for code in codes_of(path)}
    produced |= {code for code, _, _ in (_REFUSALS | cog_errors._REFUSALS).values()}
    # A busy server ends no attempt: return_to_busy.
    produced -= {"provider_busy"}
    for path in MIGRATIONS:
        produced |= set(re.findall(r'"code": "(\w+)"', path.read_text()))
    # What the search must find, lest it find nothing one day.
    assert produced >= {"unreachable", "provider_error", "not_an_image", "worker_lost", "internal"}
    assert produced == {entry.code for entry in CATALOGUE}


def test_an_entry_that_narrows_stands_before_the_general_one_of_its_code():
    for code in {entry.code for entry in CATALOGUE}:
        entries = [entry for entry in CATALOGUE if entry.code == code]
        assert [entry.narrows for entry in entries] == [True] * (len(entries) - 1) + [False]


@pytest.mark.parametrize(
    ("code", "message", "title"),
    [
        ("refused", None, "Refused"),
        ("vendor_account", None, "model's vendor"),
        ("prediction_failed", "m failed: CUDA out of memory", "out of memory"),
        ("prediction_failed", "m failed: IndexError", "Model failed"),
        ("prediction_failed", None, "Model failed"),
        (
            "invalid_payload",
            "payload.prompt is missing: describe the image",
            "Invalid payload",
        ),
        ("rate_limited", "the safety filter is rate limited", "Rate-limited"),
        ("unreachable", "The Cog server for home/flux does not respond.", "Cog server unreachable"),
        ("unreachable", "Replicate at api does not respond.", "Replicate unreachable"),
        (None, "Error: REPLICATE_API_TOKEN is not set", "token"),
        ("", "Request failed with status 401 Unauthorized", "token"),
        ("", "Request failed with status code 429", "Rate-limited"),
        ("", "Model acme/x not found", "Model not found"),
        ("", "connect ECONNREFUSED 10.0.0.1:443", "unreachable"),
        ("", "The function timed out", "timed out"),
        ("", "The worker died while it ran this job.", "Worker lost"),
        ("a_code_of_others", "NSFW content detected", "Refused"),
        ("storage_failed", "The disk for images is full.", "not stored"),
        ("", "The images folder is not writable (Input/output error).", "not stored"),
        ("", "The provider no longer has the image of prediction p", "expired"),
        (
            "input_unavailable",
            "An input image cannot be fetched. The image server, a.example, returned HTTP 404.",
            "Input image",
        ),
        ("", "The object exceeded the maximum allowed size (413).", "not allowed"),
        ("", "gremlins", "Unknown error"),
        (None, None, "Unknown error"),
    ],
)
def test_an_error_is_known_by_its_code_then_by_its_words(code, message, title):
    assert title in guide(code, message).title


def test_a_user_who_is_gone_is_known_by_what_the_database_says(db):
    """The message is PostgreSQL's, so it is asked for it."""
    db.execute(
        "select enqueue_job('generate-image', '{\"prompt\": \"p\"}',"
        " p_created_by => '00000000-0000-0000-0000-00000000000a')"
    )
    job = db.execute("select id from claim_next_job()").fetchone()
    with pytest.raises(Exception, match="foreign key") as error:
        db.execute("select * from begin_generation(%s, 1)", [job["id"]])
    assert guide("invalid_payload", str(error.value)).title == "User deleted"


def test_what_is_unknown_is_said_with_advice():
    assert UNKNOWN.todo
    for entry in CATALOGUE:
        assert all((entry.title, entry.meaning, entry.todo, entry.pattern))
