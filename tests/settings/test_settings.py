"""What the environment may say, and the sentence for each value that cannot work."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import jwt
import pytest

from lib.resources import project_keys
from lib.settings import SettingsError, parse
from lib.settings.environment import secrets_file
from lib.settings.named_function import named_function

PROJECT = Path(__file__).parents[2]
REF, OTHER = "abcdefghijklmnopqrst", "tsrqponmlkjihgfedcba"
HIDDEN = "hidden-from-everybody"
PUBLISHABLE, SECRET = f"sb_publishable_{HIDDEN}", f"sb_secret_{HIDDEN}"
JWT_SECRET = f"{HIDDEN}-and-long-enough-to-sign-with"
DIRECT = f"postgresql://postgres:{HIDDEN}@db.{REF}.supabase.co:5432/postgres"
POOLER = f"postgresql://postgres.{REF}:{HIDDEN}@aws-0-eu-west-1.pooler.supabase.com:6543/postgres"
URL = f"https://{REF}.supabase.co"


def legacy(role: str, ref: str = REF, seconds: float = 3600) -> str:
    claims = {"iss": "supabase", "ref": ref, "role": role, "exp": time.time() + seconds}
    return jwt.encode(claims, JWT_SECRET)


PROJECT_VALUES = {
    "DATABASE_URL": DIRECT,
    "SUPABASE_URL": URL,
    "SUPABASE_PUBLISHABLE_KEY": PUBLISHABLE,
    "SUPABASE_SECRET_KEY": SECRET,
}
WRONG = [
    *(
        (
            {"METRICS_TOKEN": token},
            "METRICS_TOKEN contains a character that is not allowed in an HTTP",
        )
        for token in ("token\n", "to ken", "tökén")
    ),
    ({"DATABASE_URL": f"https://{HIDDEN}.supabase.co"}, "DATABASE_URL is the address of a website"),
    ({"DATABASE_URL": f'"{DIRECT}"'}, "DATABASE_URL has spaces or quotation marks"),
    ({"DATABASE_URL": f"{DIRECT} "}, "DATABASE_URL has spaces or quotation marks"),
    (
        {"DATABASE_URL": DIRECT.replace(HIDDEN, "[YOUR-PASSWORD]")},
        "DATABASE_URL still contains [YOUR-PASSWORD]",
    ),
    (
        {"DATABASE_URL": DIRECT.replace(HIDDEN, f"{HIDDEN}@{HIDDEN}")},
        "DATABASE_URL: The database URL is malformed",
    ),
    (
        {"DATABASE_URL": DIRECT.replace(":5432", ":fivefourthreetwo")},
        "DATABASE_URL: The database URL is malformed",
    ),
    (
        {"DATABASE_URL": f"{POOLER}?pgbouncer=true"},
        "DATABASE_URL contains the parameter pgbouncer=",
    ),
    (
        {"DATABASE_URL": POOLER.replace(f"postgres.{REF}", "postgres")},
        "DATABASE_URL points to Supabase's pooler, where the user name includes the project",
    ),
    ({"DATABASE_URL": DIRECT.replace(f":{HIDDEN}@", "@")}, "DATABASE_URL has no password"),
    ({"DATABASE_URL": DIRECT.replace(REF, OTHER)}, "DATABASE_URL belongs to project"),
    ({"DATABASE_URL": POOLER.replace(REF, OTHER)}, "DATABASE_URL belongs to project"),
    ({"DATABASE_URL": "", "DATABASE_READ_URL": DIRECT}, "DATABASE_READ_URL is set: set DATABASE_"),
    ({"DATABASE_READ_URL": "https://example.com"}, "DATABASE_READ_URL is the address of a website"),
    ({"SUPABASE_URL": DIRECT}, "SUPABASE_URL is a database URL"),
    (
        {"SUPABASE_URL": f"https://supabase.com/dashboard/project/{REF}"},
        "SUPABASE_URL is the URL of Supabase's dashboard",
    ),
    ({"SUPABASE_URL": f"{REF}.supabase.co"}, "SUPABASE_URL must be a complete URL"),
    ({"SUPABASE_URL": f"{URL}/rest/v1"}, "SUPABASE_URL has a path after the host (/rest/v1)"),
    ({"SUPABASE_URL": URL.replace("https", "http")}, "SUPABASE_URL begins with http://"),
    (
        {"SUPABASE_URL": f"https://user:{HIDDEN}@{REF}.supabase.co"},
        "SUPABASE_URL must not contain a user",
    ),
    ({"SUPABASE_URL": "https://[nowhere"}, "SUPABASE_URL must be a complete URL"),
    (
        {"EXPO_PUBLIC_SUPABASE_URL": f"https://{OTHER}.supabase.co"},
        "SUPABASE_URL and EXPO_PUBLIC_SUPABASE_URL have different values",
    ),
    ({"SUPABASE_PUBLISHABLE_KEY": ""}, "SUPABASE_URL is set: set SUPABASE_PUBLISHABLE_KEY too"),
    ({"SUPABASE_SECRET_KEY": ""}, "SUPABASE_URL is set: set SUPABASE_SECRET_KEY too"),
    ({"SUPABASE_PUBLISHABLE_KEY": SECRET}, "SUPABASE_PUBLISHABLE_KEY contains a secret key"),
    (
        {"EXPO_PUBLIC_SUPABASE_ANON_KEY": legacy("service_role")},
        "EXPO_PUBLIC_SUPABASE_ANON_KEY contains a secret key",
    ),
    ({"SUPABASE_SECRET_KEY": PUBLISHABLE}, "SUPABASE_SECRET_KEY contains a publishable key"),
    (
        {"SUPABASE_SERVICE_ROLE_KEY": legacy("anon")},
        "SUPABASE_SERVICE_ROLE_KEY contains a publishable key",
    ),
    (
        {"SUPABASE_SERVICE_ROLE_KEY": legacy("authenticated")},
        "SUPABASE_SERVICE_ROLE_KEY is a token, but not a service_role key",
    ),
    (
        {"SUPABASE_SERVICE_ROLE_KEY": legacy("service_role")[:60]},
        "SUPABASE_SERVICE_ROLE_KEY is cut off or damaged",
    ),
    (
        {"SUPABASE_ANON_KEY": legacy("anon", OTHER)},
        "SUPABASE_ANON_KEY belongs to project",
    ),
    ({"SUPABASE_ANON_KEY": legacy("anon", seconds=-1)}, "SUPABASE_ANON_KEY has expired"),
    (
        {
            "SUPABASE_ANON_KEY": legacy("anon"),
            "EXPO_PUBLIC_SUPABASE_ANON_KEY": legacy("anon", OTHER),
        },
        "SUPABASE_ANON_KEY and EXPO_PUBLIC_SUPABASE_ANON_KEY have different values",
    ),
    ({"SUPABASE_SECRET_KEY": "sb_secret_"}, "SUPABASE_SECRET_KEY is too short for a key"),
    (
        {"SUPABASE_SECRET_KEY": f"{HIDDEN}-{HIDDEN}"},
        "SUPABASE_SECRET_KEY is not a key of a Supabase",
    ),
    ({"SUPABASE_SECRET_KEY": f"'{SECRET}'"}, "SUPABASE_SECRET_KEY has spaces or quotation marks"),
    ({"SUPABASE_JWT_SECRET": SECRET}, "SUPABASE_JWT_SECRET contains a key"),
    ({"SUPABASE_JWT_SECRET": HIDDEN}, "SUPABASE_JWT_SECRET is shorter than 32 bytes"),
    (
        {"SUPABASE_JWT_SECRET": json.dumps({"kty": HIDDEN})},
        "SUPABASE_JWT_SECRET contains a key pair",
    ),
    ({"SUPABASE_URL": ""}, "Without SUPABASE_URL, set all of SUPABASE_PUBLISHABLE_KEY"),
    ({"SUPABASE_STORAGE_BUCKET": "my images"}, "SUPABASE_STORAGE_BUCKET is 'my images'"),
    ({"SUPABASE_STORAGE_URL_SECONDS": "a week"}, "SUPABASE_STORAGE_URL_SECONDS is 'a week'"),
    ({"SUPABASE_STORAGE_URL_SECONDS": "5"}, "SUPABASE_STORAGE_URL_SECONDS is 5: use 0 or at"),
    ({"REPLICATE_API_TOKEN": f"Bearer r8_{HIDDEN}"}, "REPLICATE_API_TOKEN contains a space"),
    ({"REPLICATE_API_TOKEN": HIDDEN}, "REPLICATE_API_TOKEN is not a Replicate token"),
    ({"REPLICATE_API_URL": "https://example.com"}, "REPLICATE_API_URL is set: set REPLICATE_API_T"),
    (
        {"REPLICATE_API_TOKEN": HIDDEN, "REPLICATE_API_URL": "example.com"},
        "REPLICATE_API_URL must be a complete URL",
    ),
    (
        {"DARKROOM_FUNCTIONS_URL": "https://jobs.example.com/functions/v1"},
        "DARKROOM_FUNCTIONS_URL includes the path of the functions",
    ),
    ({"DARKROOM_URL": "darkroom.example.com"}, "DARKROOM_URL must be a complete URL"),
    ({"DARKROOM_SAMPLE_DATA": "yes"}, "DARKROOM_SAMPLE_DATA is 'yes': use 1 or 0"),
    ({"MAX_PARALLEL_JOBS": "three"}, "MAX_PARALLEL_JOBS is 'three': use a number of at least 1"),
    ({"DARKROOM_CONCURRENCY": "0"}, "DARKROOM_CONCURRENCY is 0: use a number of at least 1"),
    ({"DARKROOM_RESCUE_SECONDS": "inf"}, "DARKROOM_RESCUE_SECONDS is inf"),
    (
        {"DARKROOM_PROMPT_CHECK": "moderation.check"},
        "DARKROOM_PROMPT_CHECK is 'moderation.check': use package.module:function",
    ),
    ({"DARKROOM_PROMPT_CHECK": "'a:b'"}, "DARKROOM_PROMPT_CHECK has spaces or quotation marks"),
    (
        {"DARKROOM_RESCUE_SECONDS": "44", "DARKROOM_HEARTBEAT_SECONDS": "15"},
        "DARKROOM_RESCUE_SECONDS is 44, but must be at least three times",
    ),
]


@pytest.mark.parametrize(("values", "sentence"), WRONG, ids=[sentence for _, sentence in WRONG])
def test_a_wrong_value_gives_one_sentence_and_no_secret(
    values: dict[str, str], sentence: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        parse(PROJECT_VALUES | values)
    said = str(caught.value)
    assert said.startswith(sentence)
    assert HIDDEN not in said
    assert said.endswith(".")
    assert "\n" not in said


@pytest.mark.parametrize(
    ("values", "publishable", "secret"),
    [
        ({}, [PUBLISHABLE], [SECRET]),
        (
            {
                "SUPABASE_URL": "",
                "EXPO_PUBLIC_SUPABASE_URL": f"{URL}/",
                "SUPABASE_PUBLISHABLE_KEY": "",
                "SUPABASE_SECRET_KEY": "",
                "EXPO_PUBLIC_SUPABASE_ANON_KEY": "anon",
                "SUPABASE_SERVICE_ROLE_KEY": "service_role",
            },
            ["anon"],
            ["service_role"],
        ),
        (
            {"SUPABASE_ANON_KEY": "anon", "SUPABASE_SERVICE_ROLE_KEY": "service_role"},
            [PUBLISHABLE, "anon"],
            [SECRET, "service_role"],
        ),
    ],
)
def test_keys_of_both_families_and_under_the_older_names(
    values: dict[str, str], publishable: list[str], secret: list[str], tmp_path: Path
) -> None:
    made = {role: legacy(role) for role in ("anon", "service_role")}
    values = {name: made.get(value, value) for name, value in values.items()}
    found = parse(PROJECT_VALUES | values | {"DARKROOM_DATA": str(tmp_path)})
    assert found.supabase_url == URL
    assert list(found.publishable_keys) == [made.get(key, key) for key in publishable]
    assert list(found.secret_keys) == [made.get(key, key) for key in secret]
    keys = project_keys(found)
    assert (keys.publishable, keys.secret) == (found.publishable_keys[0], found.secret_keys[0])
    assert keys.jwt_secret is None


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('METRICS_TOKEN = "abc"\n'.encode("utf-16"), "is not UTF-8"),
        ('METRICS_TOKEN = "é"\n'.encode("latin-1"), "is not UTF-8"),
        ('METRICS_TOKEN = "abc"\n'.encode("utf-8-sig"), "begins with a byte order mark"),
        (b"METRICS_TOKEN = abc\n", "cannot be read: "),
        (None, "cannot be read: Is a directory"),
    ],
)
def test_a_secrets_file_that_cannot_be_read_is_said_in_a_sentence(
    tmp_path: Path, content: bytes | None, said: str
) -> None:
    path = tmp_path / "secrets.toml"
    path.mkdir() if content is None else path.write_bytes(content)
    with pytest.raises(SettingsError, match=said):
        secrets_file(path)


def test_a_secrets_file_gives_its_lines_and_not_its_tables(tmp_path: Path) -> None:
    path = tmp_path / "secrets.toml"
    path.write_text('METRICS_TOKEN = "é"\n[auth]\ncookie_secret = "a"\n', "utf-8")
    assert secrets_file(path) == {"METRICS_TOKEN": "é"}


def test_without_a_setting_sql_says_when_a_job_is_rescued() -> None:
    assert parse({}).rescue_seconds is None
    assert parse({"DARKROOM_RESCUE_SECONDS": "100"}).rescue_seconds == 100


def test_a_project_elsewhere_may_be_reached_by_http_and_any_keys_of_one_role() -> None:
    url = "http://kong.internal:8000"
    assert parse(PROJECT_VALUES | {"SUPABASE_URL": url}).supabase_url == url


def test_a_function_that_cannot_be_loaded_is_said_without_what_its_module_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_check.py").write_text(f"raise KeyError({HIDDEN!r})")
    (tmp_path / "whole_check.py").write_text("def check(*_): ...\nlimit = 3")
    monkeypatch.syspath_prepend(tmp_path)
    assert callable(named_function("A", "whole_check:check"))
    for name, said in (
        ("broken_check:check", "but broken_check cannot be imported: KeyError."),
        ("whole_check:checks", "but whole_check has no function checks."),
        ("whole_check:limit", "but whole_check has no function limit."),
    ):
        with pytest.raises(SettingsError) as caught:
            named_function("A", name)
        assert str(caught.value) == f"A is {name!r}, {said}"


WORKER = ["-m", "lib.worker"]
STREAMLIT = ["-m", "streamlit", "run", "app.py", "--server.port", "0"]
ASGI = ["-m", "uvicorn", "lib.asgi:app", "--port", "0"]
PATH_SAID = "SUPABASE_URL has a path after the host (/rest/v1): remove it."
CHECK_SAID = (
    "DARKROOM_PROMPT_CHECK is 'nowhere:check', but nowhere cannot be imported: No module named"
    " 'nowhere'."
)


@pytest.mark.parametrize(
    ("command", "values", "sentence"),
    [
        *(
            (command, {"SUPABASE_URL": f"{URL}/rest/v1"}, PATH_SAID)
            for command in (WORKER, ["-m", "lib.checks.selftest"], STREAMLIT)
        ),
        *(
            (command, {"DARKROOM_PROMPT_CHECK": "nowhere:check"}, CHECK_SAID)
            for command in (WORKER, STREAMLIT, ASGI)
        ),
    ],
    ids=lambda value: " ".join(value[:3]) if isinstance(value, list) else "",
)
def test_every_program_says_the_sentence_and_no_traceback(
    command: list[str], values: dict[str, str], sentence: str, tmp_path: Path
) -> None:
    wrong = values | {"DARKROOM_DATA": str(tmp_path)}
    ended = subprocess.run(
        [sys.executable, *command],
        cwd=PROJECT,
        env=os.environ | PROJECT_VALUES | wrong,
        capture_output=True,
        text=True,
        timeout=60,
    )
    said = ended.stdout + ended.stderr
    assert ended.returncode not in (0, None)
    assert sentence in said
    assert "Traceback" not in said
    assert HIDDEN not in said
