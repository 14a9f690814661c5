"""Every setting, read once: from the environment, then from .streamlit/secrets.toml."""

import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TypedDict

from lib.database import project_ref
from lib.settings.catalogue import SETTINGS
from lib.settings.named_function import function_name
from lib.settings.proxies import prepare_proxies
from lib.settings.values import (
    KeyRole,
    SettingsError,
    api_key,
    bucket,
    database_url,
    functions_url,
    header_value,
    jwt_secret,
    number,
    one_value,
    optional_number,
    project_of_url,
    project_url,
    replicate_token,
    seconds,
    switch,
    web_address,
)

PROJECT = Path(__file__).parents[2]
"""The project's root folder."""
SECRETS = ".streamlit/secrets.toml"
URL_NAMES = SETTINGS["SUPABASE_URL"].names
PUBLISHABLE_NAMES = (
    SETTINGS["SUPABASE_PUBLISHABLE_KEY"].names,
    SETTINGS["SUPABASE_ANON_KEY"].names,
)
SECRET_NAMES = (
    SETTINGS["SUPABASE_SECRET_KEY"].names,
    SETTINGS["SUPABASE_SERVICE_ROLE_KEY"].names,
)


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of a process; the catalogue explains each.

    Empty strings and None mean the embedded default.
    """

    data: Path
    sample_data: bool
    environment: str
    """Name on the sidebar's badge; empty for the default."""
    database_url: str | None = field(repr=False)
    database_read_url: str | None = field(repr=False)
    supabase_url: str | None
    functions_url: str | None
    """Without /functions/v1."""
    publishable_keys: tuple[str, ...]
    """New, legacy or both; we send the first."""
    secret_keys: tuple[str, ...] = field(repr=False)
    """Likewise."""
    jwt_secret: str | None = field(repr=False)
    storage_bucket: str | None
    storage_url_seconds: int
    """0 for a public bucket."""
    replicate_token: str | None = field(repr=False)
    replicate_url: str | None
    public_url: str | None
    """Without a trailing slash."""
    metrics_token: str | None = field(repr=False)
    start_token: bool
    anonymous_starts: bool
    concurrency: int
    claim_batch: int
    max_parallel_jobs: int
    heartbeat_seconds: float
    rescue_seconds: float | None
    """None: as the SQL function `stuck_after()` says."""
    poll_seconds: float
    generation_seconds: float
    prompt_check: str | None
    """Name of a function, as package.module:function."""
    stop_grace_seconds: float
    sign_in_hours: float
    simulator_speed: float
    simulator_failure_rate: float

    @property
    def functions_elsewhere(self) -> str | None:
        """URL of external functions, None if this process serves them; without /functions/v1."""
        return self.functions_url or self.supabase_url

    @property
    def images(self) -> Path:
        """Folder of the stored images."""
        return self.data / "images"


class _Databases(TypedDict):
    database_url: str | None
    database_read_url: str | None


class _Project(TypedDict):
    supabase_url: str | None
    publishable_keys: tuple[str, ...]
    secret_keys: tuple[str, ...]
    jwt_secret: str | None
    storage_bucket: str | None
    storage_url_seconds: int


class _Lease(TypedDict):
    heartbeat_seconds: float
    rescue_seconds: float | None


class _Provider(TypedDict):
    replicate_token: str | None
    replicate_url: str | None


def parse(values: Mapping[str, str]) -> Settings:
    """Parse settings from names and strings. Raises SettingsError naming an invalid one."""
    databases = _databases(values)
    public_url, functions = values.get("DARKROOM_URL"), values.get("DARKROOM_FUNCTIONS_URL")
    token, check = values.get("METRICS_TOKEN"), values.get("DARKROOM_PROMPT_CHECK")
    return Settings(
        data=Path(values.get("DARKROOM_DATA") or PROJECT / ".darkroom").resolve(),
        sample_data=switch(values, "DARKROOM_SAMPLE_DATA", default=True),
        environment=values.get("DARKROOM_ENVIRONMENT", ""),
        **databases,
        **_project(values, databases["database_url"]),
        **_provider(values),
        functions_url=functions_url("DARKROOM_FUNCTIONS_URL", functions) if functions else None,
        public_url=web_address("DARKROOM_URL", public_url) if public_url else None,
        metrics_token=header_value("METRICS_TOKEN", token) if token else None,
        start_token=switch(values, "DARKROOM_START_TOKEN", default=False),
        anonymous_starts=switch(
            values, "DARKROOM_ANONYMOUS_STARTS", default=databases["database_url"] is None
        ),
        concurrency=int(number(values, "DARKROOM_CONCURRENCY")),
        claim_batch=int(number(values, "DARKROOM_CLAIM_BATCH")),
        max_parallel_jobs=int(number(values, "MAX_PARALLEL_JOBS")),
        **_lease(values),
        poll_seconds=number(values, "DARKROOM_POLL_SECONDS"),
        generation_seconds=number(values, "DARKROOM_GENERATION_SECONDS"),
        prompt_check=function_name("DARKROOM_PROMPT_CHECK", check) if check else None,
        stop_grace_seconds=number(values, "DARKROOM_STOP_GRACE_SECONDS"),
        sign_in_hours=number(values, "DARKROOM_SIGN_IN_HOURS"),
        simulator_speed=number(values, "DARKROOM_SIMULATOR_SPEED"),
        simulator_failure_rate=number(values, "DARKROOM_SIMULATOR_FAILURE_RATE"),
    )


def _lease(values: Mapping[str, str]) -> _Lease:
    heartbeat = number(values, "DARKROOM_HEARTBEAT_SECONDS")
    rescue = optional_number(values, "DARKROOM_RESCUE_SECONDS")
    if rescue is not None and rescue < 3 * heartbeat:
        raise SettingsError(
            f"DARKROOM_RESCUE_SECONDS is {rescue:g}, but must be at least three times"
            f" DARKROOM_HEARTBEAT_SECONDS ({3 * heartbeat:g}); otherwise jobs are taken away"
            " from live workers."
        )
    return _Lease(heartbeat_seconds=heartbeat, rescue_seconds=rescue)


def _databases(values: Mapping[str, str]) -> _Databases:
    url, replica = values.get("DATABASE_URL"), values.get("DATABASE_READ_URL")
    if replica and not url:
        raise SettingsError("DATABASE_READ_URL is set: set DATABASE_URL too.")
    return _Databases(
        database_url=database_url("DATABASE_URL", url) if url else None,
        database_read_url=database_url("DATABASE_READ_URL", replica) if replica else None,
    )


def _project(values: Mapping[str, str], database: str | None) -> _Project:
    url_name, url = one_value(values, URL_NAMES)
    url = project_url(url_name, url) if url else ""
    project = project_of_url(url) if url else None
    of_database = project_ref(database) if database else None
    if project and of_database and project != of_database:
        raise SettingsError(
            f"DATABASE_URL belongs to project {of_database!r}, but {url_name} to {project!r}."
        )
    publishable = _keys(values, PUBLISHABLE_NAMES, "publishable", project)
    secret = _keys(values, SECRET_NAMES, "secret", project)
    signs = values.get("SUPABASE_JWT_SECRET")
    if url and not (publishable and secret):
        missing = SECRET_NAMES[0][0] if publishable else PUBLISHABLE_NAMES[0][0]
        raise SettingsError(f"{url_name} is set: set {missing} too.")
    if any((publishable, secret, signs)) and not url and not all((publishable, secret, signs)):
        raise SettingsError(
            "Without SUPABASE_URL, set all of SUPABASE_PUBLISHABLE_KEY, SUPABASE_SECRET_KEY and"
            " SUPABASE_JWT_SECRET, or none of them."
        )
    stored = values.get("SUPABASE_STORAGE_BUCKET")
    if stored and not url:
        raise SettingsError("SUPABASE_STORAGE_BUCKET is set: set SUPABASE_URL too.")
    return _Project(
        supabase_url=url or None,
        publishable_keys=publishable,
        secret_keys=secret,
        jwt_secret=jwt_secret("SUPABASE_JWT_SECRET", signs) if signs else None,
        storage_bucket=bucket("SUPABASE_STORAGE_BUCKET", stored) if stored else None,
        storage_url_seconds=seconds(values, "SUPABASE_STORAGE_URL_SECONDS", least=60),
    )


def _keys(
    values: Mapping[str, str],
    families: Sequence[Sequence[str]],
    role: KeyRole,
    project: str | None,
) -> tuple[str, ...]:
    found = (one_value(values, names) for names in families)
    return tuple(dict.fromkeys(api_key(name, text, role, project) for name, text in found if text))


def _provider(values: Mapping[str, str]) -> _Provider:
    token, url = values.get("REPLICATE_API_TOKEN"), values.get("REPLICATE_API_URL")
    if url and not token:
        raise SettingsError("REPLICATE_API_URL is set: set REPLICATE_API_TOKEN too.")
    return _Provider(
        replicate_token=(
            replicate_token("REPLICATE_API_TOKEN", token, hosted=not url) if token else None
        ),
        replicate_url=web_address("REPLICATE_API_URL", url) if url else None,
    )


@cache
def settings() -> Settings:
    """The settings of this process, after `prepare_proxies`. Raises SettingsError."""
    path = PROJECT / SECRETS
    secrets = secrets_file(path) if path.exists() else {}
    found = parse(secrets | os.environ)
    prepare_proxies(
        (found.replicate_url, found.supabase_url, found.functions_url, found.public_url)
    )
    return found


def secrets_file(path: Path) -> dict[str, str]:
    """The settings in a secrets.toml, without its tables. Raises SettingsError."""
    try:
        text = path.read_text("utf-8")
        if text.startswith("\ufeff"):
            raise SettingsError(
                f"{SECRETS} begins with a byte order mark: save it as UTF-8 without one."
            )
        secrets = tomllib.loads(text)
    except UnicodeDecodeError:
        raise SettingsError(f"{SECRETS} is not UTF-8: save it as UTF-8.") from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{SECRETS} cannot be read: {error}.") from None
    except OSError as error:
        raise SettingsError(f"{SECRETS} cannot be read: {error.strerror}.") from None
    return {name: str(value) for name, value in secrets.items() if not isinstance(value, dict)}
