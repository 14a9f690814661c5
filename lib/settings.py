"""Every setting, read once: from the environment, then from .streamlit/secrets.toml."""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PROJECT = Path(__file__).parent.parent


class SettingsError(Exception):
    """A setting has a value that cannot work; the message names it and says what would."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the environment decides. Empty strings and None mean: use the embedded default."""

    data: Path
    """Folder of everything the embedded default writes: database, keys, images, predictions."""
    sample_data: bool
    """Whether an empty embedded database starts with thirty days of sample history."""
    database_url: str | None
    """PostgreSQL to use instead of the embedded one."""
    supabase_url: str | None
    """Supabase project whose functions are called instead of our own."""
    publishable_key: str | None
    secret_key: str | None
    jwt_secret: str | None
    """Secret that signs users' HS256 tokens."""
    replicate_token: str | None
    replicate_url: str | None
    """Replicate-compatible API in place of https://api.replicate.com."""
    public_url: str | None
    """Where browsers and clients reach this app, without a trailing slash."""
    concurrency: int
    """Jobs that one worker runs at the same time."""
    claim_batch: int
    """Most jobs that a worker claims at once."""
    max_parallel_jobs: int
    """Jobs that one call of process-jobs runs at the same time."""
    heartbeat_seconds: float
    rescue_seconds: float
    """Silence of a worker after which the others take its jobs."""
    poll_seconds: float
    """How often a worker looks for due jobs when nothing wakes it."""
    generation_seconds: float
    """Longest run of one prediction before it is cancelled."""
    stop_grace_seconds: float
    """How long a stopping worker lets its jobs go on before it gives them back."""
    simulator_speed: float
    """How many times faster than the real models the simulated ones run."""
    simulator_failure_rate: float
    """Share of simulated predictions that fail at random, 0 to 1."""

    @property
    def images(self) -> Path:
        """Folder of the stored images."""
        return self.data / "images"


def _number(values: Mapping[str, str], name: str, default: float, *, least: float) -> float:
    text = values.get(name, "")
    try:
        number = float(text) if text else default
    except ValueError:
        raise SettingsError(f"{name} is {text!r}: give a number of at least {least:g}.") from None
    if not least <= number < float("inf"):
        raise SettingsError(f"{name} is {text}: give a number of at least {least:g}.")
    return number


def parse(values: Mapping[str, str]) -> Settings:
    """Settings from a mapping of names to texts. Raises SettingsError naming a bad one."""
    sample_data = values.get("DARKROOM_SAMPLE_DATA", "1")
    if sample_data not in ("0", "1"):
        raise SettingsError(f"DARKROOM_SAMPLE_DATA is {sample_data!r}: give 1 or 0.")
    if values.get("REPLICATE_API_URL") and not values.get("REPLICATE_API_TOKEN"):
        raise SettingsError("REPLICATE_API_URL is set: set REPLICATE_API_TOKEN too.")
    return Settings(
        data=Path(values.get("DARKROOM_DATA") or PROJECT / ".darkroom").resolve(),
        sample_data=sample_data == "1",
        database_url=values.get("DATABASE_URL") or None,
        supabase_url=(values.get("SUPABASE_URL") or "").rstrip("/") or None,
        publishable_key=values.get("SUPABASE_PUBLISHABLE_KEY") or None,
        secret_key=values.get("SUPABASE_SECRET_KEY") or None,
        jwt_secret=values.get("SUPABASE_JWT_SECRET") or None,
        replicate_token=values.get("REPLICATE_API_TOKEN") or None,
        replicate_url=values.get("REPLICATE_API_URL") or None,
        public_url=(values.get("DARKROOM_URL") or "").rstrip("/") or None,
        concurrency=int(_number(values, "DARKROOM_CONCURRENCY", 10, least=1)),
        claim_batch=int(_number(values, "DARKROOM_CLAIM_BATCH", 50, least=1)),
        max_parallel_jobs=int(_number(values, "MAX_PARALLEL_JOBS", 3, least=1)),
        heartbeat_seconds=_number(values, "DARKROOM_HEARTBEAT_SECONDS", 15, least=0.05),
        rescue_seconds=_number(values, "DARKROOM_RESCUE_SECONDS", 600, least=1),
        poll_seconds=_number(values, "DARKROOM_POLL_SECONDS", 1, least=0.05),
        generation_seconds=_number(values, "DARKROOM_GENERATION_SECONDS", 300, least=1),
        stop_grace_seconds=_number(values, "DARKROOM_STOP_GRACE_SECONDS", 3, least=0),
        simulator_speed=_number(values, "DARKROOM_SIMULATOR_SPEED", 1, least=0.01),
        simulator_failure_rate=_number(values, "DARKROOM_SIMULATOR_FAILURE_RATE", 0.02, least=0),
    )


@cache
def settings() -> Settings:
    """The settings of this process. Raises SettingsError."""
    path = PROJECT / ".streamlit" / "secrets.toml"
    secrets = tomllib.loads(path.read_text()) if path.exists() else {}
    flat = {name: str(value) for name, value in secrets.items() if not isinstance(value, dict)}
    return parse(flat | os.environ)
