"""Roles: viewers look, operators act on jobs, admins change how the system is set up.

The lists are environment variables or lines of secrets.toml and are looked up anew each time:
Streamlit keeps the environment as the file is, so that whoever is taken out of the file has lost
the role at the next look.
"""

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import streamlit as st

from lib.api.loopback import from_here
from lib.roles import AccessDenied, Role
from lib.settings import settings
from lib.ui.access.loopback import published

ADDRESSES = {
    Role.ADMIN: "DARKROOM_ADMINS",
    Role.OPERATOR: "DARKROOM_OPERATORS",
    Role.VIEWER: "DARKROOM_VIEWERS",
}
"""Settings that list e-mail addresses, parted by commas, the greatest role first."""
CLAIM = "DARKROOM_ROLE_CLAIM"
"""Setting that names a claim, such as groups, whose values give a role too."""
VALUES = {
    Role.ADMIN: "DARKROOM_ADMIN_GROUPS",
    Role.OPERATOR: "DARKROOM_OPERATOR_GROUPS",
    Role.VIEWER: "DARKROOM_VIEWER_GROUPS",
}
"""Settings that list such values."""


@dataclass(frozen=True, slots=True)
class Person:
    """Who is signed in. `name` is the address, if the provider has verified it."""

    name: str
    role: Role | None
    """None for whom nobody has given one."""


@cache
def sign_in_configured() -> bool:
    """Whether secrets.toml had an [auth] table when this process began.

    Kept, so that a file that is spoilt meanwhile opens nothing.
    """
    return bool(st.secrets.load_if_toml_exists() and st.secrets.get("auth"))


def role() -> Role | None:
    """The role of who is looking; None for who may see nothing.

    Without sign-in whoever is at this computer is the admin.
    """
    if sign_in_configured():
        signed_in = person()
        return signed_in.role if signed_in else None
    here = from_here(st.context.ip_address or "127.0.0.1", st.context.headers)
    return Role.ADMIN if here and not published() else None


def person() -> Person | None:
    """Who is signed in; None for nobody, and once the sign-in is older than is allowed."""
    claims = st.user.to_dict()
    if claims.get("is_logged_in") is not True or not _recent(claims.get("iat")):
        return None
    address = verified_address(claims)
    name = address or f"{claims.get('sub')} of {claims.get('iss')}"
    return Person(name, role_of(claims, os.environ))


def require(needed: Role) -> None:
    """Raises AccessDenied for who has less than that role. Every action begins with it."""
    has = role()
    if has is None:
        raise AccessDenied("You are no longer signed in with a role: load this page again.")
    if has < needed:
        raise AccessDenied(
            f"This takes the role {needed.name.lower()}; yours is {has.name.lower()}."
        )


def role_of(claims: Mapping[str, Any], values: Mapping[str, str]) -> Role | None:
    """The greatest role that settings give to who has these claims; None for none.

    Addresses and values count as a whole. An address counts only if the provider says that it is
    verified.
    """
    address, said = verified_address(claims), _said(claims, values.get(CLAIM, ""))
    for each in ADDRESSES:
        addresses = {_folded(listed) for listed in _listed(values, ADDRESSES[each])}
        if address is not None and _folded(address) in addresses:
            return each
        if said & _listed(values, VALUES[each]):
            return each
    return None


def verified_address(claims: Mapping[str, Any]) -> str | None:
    """The e-mail address among the claims, unless the provider has not verified it."""
    address = claims.get("email")
    # Some providers write it as a text.
    verified = claims.get("email_verified") is True or claims.get("email_verified") == "true"
    return address if verified and isinstance(address, str) and address else None


def _recent(issued_at: Any) -> bool:
    if isinstance(issued_at, bool) or not isinstance(issued_at, int | float):
        return False
    return time.time() - issued_at < settings().sign_in_hours * 3600


def _said(claims: Mapping[str, Any], name: str) -> set[str]:
    """The values of a claim. Not of the address, which would count without being verified."""
    said = claims.get(name) if name and name != "email" else None
    each = said if isinstance(said, list) else [said]
    return {value for value in each if isinstance(value, str)}


def _listed(values: Mapping[str, str], name: str) -> set[str]:
    return {one for part in values.get(name, "").split(",") if (one := part.strip())}


def _folded(address: str) -> str:
    # Folding takes some letters of other alphabets for ours: two mailboxes would be one.
    return address.casefold() if address.isascii() else address
