"""Roles: viewers look, operators act on jobs, admins change how the system is set up.

The lists are environment variables or lines of secrets.toml, and are read on each check:
Streamlit syncs the file to the environment, so removing someone from the file revokes the role
on their next request.
"""

import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import streamlit as st
from starlette.requests import HTTPConnection
from starlette.types import Scope
from streamlit.web.server.starlette.starlette_server_config import USER_COOKIE_NAME
from streamlit.web.server.starlette.starlette_websocket import _get_signed_cookie_with_chunks

from lib.api.loopback import is_local_request
from lib.roles import AccessDenied, Role
from lib.settings import settings
from lib.ui.access.loopback import is_exposed

EMAIL_SETTINGS = {
    Role.ADMIN: "DARKROOM_ADMINS",
    Role.OPERATOR: "DARKROOM_OPERATORS",
    Role.VIEWER: "DARKROOM_VIEWERS",
}
"""Settings with comma-separated e-mail addresses, the highest role first."""
CLAIM_SETTING = "DARKROOM_ROLE_CLAIM"
"""Setting that names a claim, such as groups, whose values also grant a role."""
GROUP_SETTINGS = {
    Role.ADMIN: "DARKROOM_ADMIN_GROUPS",
    Role.OPERATOR: "DARKROOM_OPERATOR_GROUPS",
    Role.VIEWER: "DARKROOM_VIEWER_GROUPS",
}
"""Settings with comma-separated values of that claim."""


@dataclass(frozen=True, slots=True)
class SignedInUser:
    """The signed-in user. `name` is the e-mail address if the provider has verified it."""

    name: str
    role: Role | None
    """None if no role was granted."""


@cache
def sign_in_configured() -> bool:
    """Whether secrets.toml had an [auth] table when this process first checked.

    Cached, so that a file damaged later does not open the app.
    """
    return bool(st.secrets.load_if_toml_exists() and st.secrets.get("auth"))


def role() -> Role | None:
    """The viewer's role, or None.

    Without sign-in, local viewers are admins.
    """
    if sign_in_configured():
        user = signed_in_user()
        return user.role if user else None
    return _local_role(st.context.ip_address or "127.0.0.1", st.context.headers)


def role_of_request(scope: Scope) -> Role | None:
    """The role of an HTTP request's sender, by the sign-in cookie, or None."""
    request = HTTPConnection(scope)
    if not sign_in_configured():
        return _local_role(request.client.host if request.client else None, request.headers)
    signed = _get_signed_cookie_with_chunks(request.cookies, USER_COOKIE_NAME)
    claims = json.loads(signed) if signed else {}
    return role_of(claims, os.environ) if _signed_in(claims) else None


def _local_role(peer: str | None, headers: Mapping[str, str]) -> Role | None:
    return Role.ADMIN if is_local_request(peer, headers) and not is_exposed() else None


def signed_in_user() -> SignedInUser | None:
    """The signed-in user; None if not signed in or the sign-in has expired."""
    claims = st.user.to_dict()
    if not _signed_in(claims):
        return None
    address = verified_address(claims)
    name = address or f"{claims.get('sub')} of {claims.get('iss')}"
    return SignedInUser(name, role_of(claims, os.environ))


def require(needed: Role) -> None:
    """Raise AccessDenied below the given role. Every action calls this first."""
    current = role()
    if current is None:
        raise AccessDenied("You are no longer signed in with a role. Reload this page.")
    if current < needed:
        raise AccessDenied(
            f"Requires the {needed.name.lower()} role; yours is {current.name.lower()}."
        )


def role_of(claims: Mapping[str, Any], values: Mapping[str, str]) -> Role | None:
    """The highest role that the settings grant to these claims, or None.

    Addresses (ignoring case) and claim values must match in full; an address only counts if
    verified.
    """
    address, groups = verified_address(claims), _claim_values(claims, values.get(CLAIM_SETTING, ""))
    for each in EMAIL_SETTINGS:
        addresses = {
            _normalized(listed) for listed in _comma_separated(values, EMAIL_SETTINGS[each])
        }
        if address is not None and _normalized(address) in addresses:
            return each
        if groups & _comma_separated(values, GROUP_SETTINGS[each]):
            return each
    return None


def verified_address(claims: Mapping[str, Any]) -> str | None:
    """The e-mail claim, or None if the provider has not verified it."""
    address = claims.get("email")
    # Some providers send a string.
    verified = claims.get("email_verified") is True or claims.get("email_verified") == "true"
    return address if verified and isinstance(address, str) and address else None


def _signed_in(claims: Mapping[str, Any]) -> bool:
    issued_at = claims.get("iat")
    if claims.get("is_logged_in") is not True:
        return False
    if isinstance(issued_at, bool) or not isinstance(issued_at, int | float):
        return False
    return time.time() - issued_at < settings().sign_in_hours * 3600


def _claim_values(claims: Mapping[str, Any], name: str) -> set[str]:
    """The values of a claim, except the e-mail address: it might not be verified."""
    groups = claims.get(name) if name and name != "email" else None
    each = groups if isinstance(groups, list) else [groups]
    return {value for value in each if isinstance(value, str)}


def _comma_separated(values: Mapping[str, str], name: str) -> set[str]:
    return {one for part in values.get(name, "").split(",") if (one := part.strip())}


def _normalized(address: str) -> str:
    # Case folding maps some non-ASCII letters to ASCII and could merge two mailboxes.
    return address.casefold() if address.isascii() else address
