"""Whether the app can be reached from other computers: without sign-in it then serves nobody."""

from urllib.parse import urlsplit

import streamlit as st

from lib.api.loopback import is_loopback
from lib.settings import settings


def published() -> bool:
    """Whether the app is bound to more than this computer, or says that it is reached elsewhere.

    Streamlit's own default, no address at all, means every network.
    """
    url = settings().public_url
    return not is_loopback(st.get_option("server.address")) or (
        url is not None and not is_loopback(urlsplit(url).hostname)
    )
