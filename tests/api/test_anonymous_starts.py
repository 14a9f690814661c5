"""Who starts generations with the publishable key alone, and that strangers stay apart."""

import re
import shlex
import subprocess
from pathlib import Path

import httpx
import pytest

GUIDE = Path(__file__).parents[2] / "docs" / "deployment.md"
GENERATION = {"prompt": "A lighthouse", "model_id": "black-forest-labs/flux-schnell"}
OFF = {"DARKROOM_ANONYMOUS_STARTS": "0"}
BY_DEFAULT = {"DARKROOM_ANONYMOUS_STARTS": ""}


def starts(db) -> int:
    return int(db.execute("select count(*) as n from public.job_queue").fetchone()["n"])


def from_the_guide(served, key: str) -> str:
    """What the guide's call with this key prints."""
    commands = re.findall(r"^```\n(curl .*?)^```$", GUIDE.read_text(), re.DOTALL | re.MULTILINE)
    [command] = [each for each in commands if f'"apikey: ${key}"' in each]
    values = {"SUPABASE_PUBLISHABLE_KEY": "publishable", "SUPABASE_SECRET_KEY": "secret"}
    for name, field in values.items():
        command = command.replace(f"${name}", getattr(served.keys, field))
    command = command.replace("https://jobs.example.com", served.url)
    return subprocess.run(
        shlex.split(command.replace("\\\n", " ")), capture_output=True, text=True, check=True
    ).stdout


@pytest.mark.parametrize("more_settings", [OFF, BY_DEFAULT], ids=["off", "by default"])
def test_a_stranger_starts_nothing_and_is_told_the_setting(served, call, db) -> None:
    answer = from_the_guide(served, "SUPABASE_PUBLISHABLE_KEY")
    assert "sign_in_needed" in answer
    assert "DARKROOM_ANONYMOUS_STARTS" in answer
    # Its body is not even read.
    anonymous = {"apikey": served.keys.publishable}
    assert call("start-generation", headers=anonymous).status_code == 401
    assert starts(db) == 0
    assert '"status":"queued"' in from_the_guide(served, "SUPABASE_SECRET_KEY")


def test_a_stranger_starts_generations_where_that_is_set(served, db) -> None:
    assert '"status":"queued"' in from_the_guide(served, "SUPABASE_PUBLISHABLE_KEY")
    assert starts(db) == 1


def test_a_strangers_key_gets_nobody_elses_answer(served, call, db) -> None:
    def start(body, key="order-1", address="127.0.0.1", apikey=served.keys.publishable):
        transport = httpx.HTTPTransport(local_address=address)
        with httpx.Client(transport=transport) as client:
            answer = client.post(
                f"{served.url}/functions/v1/start-generation",
                json=body,
                headers={"apikey": apikey, "Idempotency-Key": key},
            )
        assert answer.status_code == 200
        return answer.json()["generation_id"]

    first = start(GENERATION)
    assert start(GENERATION) == first
    others = [
        start(GENERATION, address="127.0.0.2"),
        start(GENERATION | {"prompt": "Another"}),
        start(GENERATION, key="order-2"),
        start(GENERATION, apikey=served.keys.secret),
    ]
    assert len({first, *others}) == 5
