"""Whether other computers can reach the app: if so, it serves nothing without sign-in."""

from urllib.parse import urlsplit

import streamlit as st

from lib.api.loopback import is_loopback
from lib.settings import settings


def is_exposed() -> bool:
    """Whether the app listens beyond loopback, or its public URL is not local.

    Streamlit's default, no address, listens on all interfaces.
    """
    url = settings().public_url
    return not is_loopback(st.get_option("server.address")) or (
        url is not None and not is_loopback(urlsplit(url).hostname)
    )
