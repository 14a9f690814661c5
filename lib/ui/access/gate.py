"""What viewers without a role see instead of the pages."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from lib.settings import settings
from lib.ui.access.roles import (
    CLAIM_SETTING,
    EMAIL_SETTINGS,
    sign_in_configured,
    signed_in_user,
    verified_address,
)

SHARED_SETTINGS = ("redirect_uri", "cookie_secret")
PROVIDER_SETTINGS = ("client_id", "client_secret", "server_metadata_url")
"""Settings that Streamlit requires in [auth], and for each provider."""
EXAMPLE = """\
DARKROOM_ADMINS = "ann@studio.example"
DARKROOM_OPERATORS = "ben@studio.example, cleo@studio.example"
DARKROOM_VIEWERS = "dan@studio.example"

[auth]
redirect_uri = "https://darkroom.studio.example/oauth2callback"
cookie_secret = "a long random string"
client_id = "from the provider"
client_secret = "from the provider"
server_metadata_url = "https://provider.example/.well-known/openid-configuration"
"""


def gate() -> None:
    """Draw setup instructions, the sign-in button or a "no access" message."""
    if not sign_in_configured():
        _closed()
    elif signed_in_user() is None:
        _sign_in()
    else:
        _refused()


def _closed() -> None:
    st.title("Sign-in not configured")
    st.write(
        "Darkroom can be reached from other computers but has no sign-in, so it shows nothing."
        " Choose one of these options, then restart it."
    )
    st.header("Option 1: sign-in")
    st.write(
        "In `.streamlit/secrets.toml`, configure your OpenID Connect provider and assign roles."
        " Viewers can open the monitoring pages, operators can open all pages and act on jobs, and"
        " admins can also change the configuration."
    )
    st.code(EXAMPLE, language="toml", wrap_lines=True)
    st.header("Option 2: this computer only")
    st.write(
        'Start it with `server.address = "127.0.0.1"`, as in `.streamlit/config.toml`, and without'
        " `DARKROOM_URL`. From other computers, use an SSH tunnel."
    )


def _sign_in() -> None:
    st.title("Darkroom")
    if st.user.is_logged_in:
        hours = settings().sign_in_hours
        length = "1 hour" if hours == 1 else f"{hours:g} hours"
        st.info(f"Your session has expired. Sessions last {length}.")
    else:
        st.write("Sign in to see the queue.")
    auth = st.secrets.get("auth", {})
    for provider, missing in providers(auth).items():
        if missing:
            where = f"[auth.{provider}]" if provider else "[auth]"
            st.error(
                f"Sign-in is not fully configured. Missing from {where} in secrets.toml:"
                f" {', '.join(missing)}."
            )
            continue
        label = f"Sign in with {provider}" if provider else "Sign in"
        st.button(label, type="primary", on_click=st.login, args=[provider], key=f"to {provider}")


def providers(auth: Mapping[str, Any]) -> dict[str | None, list[str]]:
    """Providers in an [auth] table, with the settings missing for each.

    The key None is a provider configured in [auth] itself.
    """
    missing_shared = [name for name in SHARED_SETTINGS if not auth.get(name)]
    tables: dict[str | None, Mapping[str, Any]] = {
        name: part
        for name, part in auth.items()
        if isinstance(part, Mapping) and name != "client_kwargs"
    }
    return {
        name: missing_shared + [each for each in PROVIDER_SETTINGS if not part.get(each)]
        for name, part in (tables or {None: auth}).items()
    }


def _refused() -> None:
    st.title("No access")
    st.error("You have no role in this app.", icon=":material/block:")
    claims = st.user.to_dict()
    st.text(f"You are signed in as {claims.get('email') or claims.get('sub')}.")
    if claims.get("email") and not verified_address(claims):
        st.write("The provider has not verified this address, so it grants no role.")
    names = ", ".join(f"`{name}`" for name in reversed(EMAIL_SETTINGS.values()))
    st.write(
        f"An admin can give you a role by adding your full address to one of {names}, or through a"
        f" claim ({CLAIM_SETTING}). Then reload this page; after a change at the provider, sign out"
        " and sign in again."
    )
    st.button("Sign out", on_click=st.logout)
