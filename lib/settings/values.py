"""Validation of each kind of value, with the message if it is invalid.

No message repeats a key, a token or a URL with a password in it.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Literal
from urllib.parse import urlsplit

import jwt

from lib.database import DatabaseError, project_ref, route
from lib.database.address import SHARED_POOLER, parse
from lib.settings.catalogue import SETTINGS

LEAST_SECRET = 32
"""Minimum bytes of an HS256 secret: the size of the hash, RFC 7518, section 3.2."""
LEAST_KEY = 20
PROJECT_HOST = re.compile(r"([a-z0-9]+)\.supabase\.(?:co|in)")
KeyRole = Literal["publishable", "secret"]
# Legacy keys carry their role in a claim.
LEGACY_ROLES: Mapping[str, KeyRole] = {"anon": "publishable", "service_role": "secret"}
LEGACY_NAMES = {role: name for name, role in LEGACY_ROLES.items()}


class SettingsError(Exception):
    """A setting is invalid; the message names it and says what is valid."""


def bare(name: str, text: str) -> str:
    """Return the text. Raises SettingsError if it is quoted or has surrounding blanks."""
    if text != text.strip() or text[0] in "\"'`":
        raise SettingsError(f"{name} has spaces or quotation marks around its value: remove them.")
    return text


def header_value(name: str, text: str) -> str:
    """A token that clients send in a header."""
    if not re.fullmatch(r"[!-~]+", text):
        raise SettingsError(
            f"{name} contains a character that is not allowed in an HTTP header, such as a space,"
            f" a line break or an accented letter: choose another token."
        )
    return text


def switch(values: Mapping[str, str], name: str, *, default: bool) -> bool:
    """A setting that is 1 or 0. Raises SettingsError."""
    value = values.get(name) or str(int(default))
    if value not in ("0", "1"):
        raise SettingsError(f"{name} is {value!r}: use 1 or 0.")
    return value == "1"


def number(values: Mapping[str, str], name: str) -> float:
    """A number; the catalogue's default if unset."""
    text, least = values.get(name, ""), SETTINGS[name].least
    try:
        given = float(text or SETTINGS[name].default)
    except ValueError:
        raise SettingsError(f"{name} is {text!r}: use a number of at least {least:g}.") from None
    if not least <= given < float("inf"):
        raise SettingsError(f"{name} is {text}: use a number of at least {least:g}.")
    return given


def optional_number(values: Mapping[str, str], name: str) -> float | None:
    """A number; None if unset."""
    return number(values, name) if values.get(name) else None


def database_url(name: str, text: str) -> str:
    """A PostgreSQL URL, checked for mistakes that libpq reports late or cryptically."""
    bare(name, text)
    if text.startswith(("http://", "https://")):
        raise SettingsError(
            f"{name} is the address of a website: use the connection string of the database,"
            " which begins with postgresql://."
        )
    if re.search(r"\[your-password\]", text, re.IGNORECASE):
        raise SettingsError(f"{name} still contains [YOUR-PASSWORD]: replace it with the password.")
    if "pgbouncer=" in text:
        raise SettingsError(
            f"{name} contains the parameter pgbouncer=, which is only for Prisma: remove it."
        )
    try:
        parts = parse(text)
        kind, ref = route(text), project_ref(text)
    except DatabaseError as error:
        raise SettingsError(f"{name}: {error}") from None
    pooled = str(parts.get("host") or "").endswith(SHARED_POOLER)
    if pooled and ref is None:
        raise SettingsError(
            f"{name} points to Supabase's pooler, where the user name includes the project: use"
            " postgres.abcdefghijklmnopqrst instead of postgres."
        )
    if (pooled or kind == "direct") and not parts.get("password"):
        raise SettingsError(f"{name} has no password: use postgresql://user:password@host….")
    return text


def web_address(name: str, text: str) -> str:
    """An http(s) URL without user, query or fragment; a trailing slash is removed."""
    bare(name, text)
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise SettingsError(f"{name} must be a complete URL, such as https://example.com.")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise SettingsError(
            f"{name} must not contain a user, password, ? or #: use only the address."
        )
    return text.rstrip("/")


def functions_url(name: str, text: str) -> str:
    """The base URL of a server of the functions, without /functions/v1."""
    url = web_address(name, text)
    if "/functions" in urlsplit(url).path:
        raise SettingsError(f"{name} includes the path of the functions: remove /functions/v1.")
    return url


def project_url(name: str, text: str) -> str:
    """The API URL of a Supabase project, hosted or self-hosted."""
    bare(name, text)
    if text.startswith(("postgres://", "postgresql://")):
        raise SettingsError(
            f"{name} is a database URL, which belongs in DATABASE_URL: use the project's URL,"
            " such as https://abcdefghijklmnopqrst.supabase.co."
        )
    url = web_address(name, text)
    parts = urlsplit(url)
    if parts.hostname in ("supabase.com", "www.supabase.com", "app.supabase.com"):
        raise SettingsError(
            f"{name} is the URL of Supabase's dashboard: use the project's URL, such as"
            " https://abcdefghijklmnopqrst.supabase.co."
        )
    if parts.path:
        raise SettingsError(f"{name} has a path after the host ({parts.path}): remove it.")
    if PROJECT_HOST.fullmatch(parts.hostname or "") and parts.scheme != "https":
        raise SettingsError(f"{name} begins with http://: hosted projects need https://.")
    return url


def project_of_url(url: str) -> str | None:
    """The project ref in a Supabase URL; None if self-hosted."""
    found = PROJECT_HOST.fullmatch(urlsplit(url).hostname or "")
    return found[1] if found else None


def api_key(name: str, text: str, role: KeyRole, project: str | None) -> str:
    """A new or legacy key for a role; `project` is the ref that it must belong to, if known."""
    bare(name, text)
    if len(text) < LEAST_KEY:
        raise SettingsError(f"{name} is too short for a key: copy the complete key.")
    other: KeyRole = "publishable" if role == "secret" else "secret"
    claims = _claims(name, text)
    found = _role(text, claims)
    if found == other and other == "secret":
        raise SettingsError(
            f"{name} contains a secret key, which must never reach a browser: use the"
            " publishable or anon key here, and rotate the secret key if it was ever sent to"
            " one."
        )
    if found == other:
        raise SettingsError(
            f"{name} contains a publishable key: use the secret or service_role key."
        )
    if claims and found is None:
        raise SettingsError(
            f"{name} is a token, but not a {LEGACY_NAMES[role]} key: copy the key from the"
            " project's settings."
        )
    if project and found is None:
        raise SettingsError(
            f"{name} is not a key of a Supabase project: keys begin with sb_{role}_ or eyJ."
        )
    if claims:
        _check_legacy(name, claims, project)
    return text


def one_value(values: Mapping[str, str], names: Sequence[str]) -> tuple[str, str]:
    """Name and value of a setting with several names; the first name if none is set."""
    given = {name: values[name] for name in names if values.get(name)}
    if len(set(given.values())) > 1:
        raise SettingsError(
            f"{' and '.join(given)} have different values: remove one, or set both to the same"
            " value."
        )
    return next(iter(given.items()), (names[0], ""))


def jwt_secret(name: str, text: str) -> str:
    """The secret that signs users' HS256 tokens."""
    bare(name, text)
    if text.startswith(("sb_", "eyJ")):
        raise SettingsError(f"{name} contains a key: use the secret that signs users' tokens.")
    if text.startswith(("-----BEGIN", "{")):
        raise SettingsError(
            f"{name} contains a key pair: remove it. Tokens signed with a key pair are verified"
            " with the public keys at SUPABASE_URL."
        )
    if len(text.encode()) < LEAST_SECRET:
        raise SettingsError(
            f"{name} is shorter than {LEAST_SECRET} bytes: copy the complete secret."
        )
    return text


def seconds(values: Mapping[str, str], name: str, *, least: int) -> int:
    """A duration in whole seconds; 0, meaning none, is always allowed."""
    given = int(number(values, name))
    if 0 < given < least:
        raise SettingsError(f"{name} is {given}: use 0 or at least {least}.")
    return given


def bucket(name: str, text: str) -> str:
    """The name of a Supabase Storage bucket."""
    if not re.fullmatch(r"[\w.-]{1,100}", text, re.ASCII):
        raise SettingsError(
            f"{name} is {text[:40]!r}: bucket names consist of letters, digits, . _ and -."
        )
    return text


def replicate_token(name: str, text: str, *, hosted: bool) -> str:
    """A Replicate token, or one of a compatible server if `hosted` is False."""
    bare(name, text)
    if re.search(r"\s", text):
        raise SettingsError(f"{name} contains a space: use only the token, without Bearer.")
    if hosted and not text.startswith("r8_"):
        raise SettingsError(f"{name} is not a Replicate token: tokens begin with r8_.")
    return text


def _claims(name: str, text: str) -> dict[str, object]:
    if not text.startswith("eyJ"):
        return {}
    try:
        # Only the project can verify the key; here we only read its claims.
        claims: dict[str, object] = jwt.decode(text, options={"verify_signature": False})
    except jwt.InvalidTokenError:
        raise SettingsError(f"{name} is cut off or damaged: copy the complete key.") from None
    return claims


def _role(text: str, claims: Mapping[str, object]) -> KeyRole | None:
    if text.startswith("sb_publishable_"):
        return "publishable"
    if text.startswith("sb_secret_"):
        return "secret"
    return LEGACY_ROLES.get(str(claims.get("role")))


def _check_legacy(name: str, claims: Mapping[str, object], project: str | None) -> None:
    ref, expires = claims.get("ref"), claims.get("exp")
    if project and ref and ref != project:
        raise SettingsError(
            f"{name} belongs to project {str(ref)[:20]!r}, but SUPABASE_URL to {project!r}."
        )
    if isinstance(expires, int | float) and expires < datetime.now(UTC).timestamp():
        raise SettingsError(f"{name} has expired: copy the project's current key.")
