"""Whether other computers can reach the app: if so, it serves nothing without sign-in."""

from urllib.parse import urlsplit

import streamlit as st

from lib.api.loopback import is_loopback
from lib.settings import settings


def is_published() -> bool:
    """Whether the app has a public URL that is not local."""
    url = settings().public_url
    return url is not None and not is_loopback(urlsplit(url).hostname)


def is_exposed() -> bool:
    """Whether the app listens beyond loopback, or is published.

    Streamlit's default, no address, listens on all interfaces.
    """
    return is_published() or not is_loopback(st.get_option("server.address"))
