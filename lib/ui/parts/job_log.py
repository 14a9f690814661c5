"""The provider's log of a job: live while the job runs, else as stored."""

import asyncio
from collections.abc import Mapping
from typing import Any

import streamlit as st

from lib.formats import escaped
from lib.provider.contract import Capability, ProviderError
from lib.resources import provider
from lib.settings import settings
from lib.ui.dashboard import read

CACHE_SECONDS = 2.0
"""How long viewers share an answer of the provider."""
ANSWER_SECONDS = 5.0
MAX_CHARS = 16_000
"""Of a log's end."""
HEIGHT = 360

Row = Mapping[str, Any]


def show_log(job: Row, predictions: list[Row]) -> None:
    """Draw the log of the last prediction: from the provider while the job runs."""
    running = job["status"] == "processing" and predictions and not predictions[-1]["ended_at"]
    if running and (id := predictions[-1]["provider_id"]):
        last = predictions[-1]
        server = (last["provider"], last["provider_url"]) if last["provider_url"] else None
        if server is None and settings().functions_elsewhere and not settings().replicate_token:
            st.caption(
                "No live log: the provider's token is set only where the functions run. The log"
                " appears here when the prediction ends."
            )
            return
        log, problem = live_log(id, server)
        if problem:
            st.caption(f"No live log at the moment. {escaped(problem)}")
        elif log:
            _show(log)
        else:
            st.caption("The model is starting; no log yet.")
        return
    stored = read("job", "log", generation_id=job["generation_id"]) if predictions else None
    if stored:
        _show(stored)
    elif not predictions and not job["attempts"]:
        st.caption("No log: nothing has been sent to the provider.")
    elif not predictions:
        st.caption("No log: no prediction is recorded.")
    else:
        st.caption("The provider returned no log.")


@st.cache_data(ttl=CACHE_SECONDS, max_entries=200, show_spinner=False)
def live_log(prediction_id: str, server: tuple[str, str] | None = None) -> tuple[str, str]:
    """The end of a prediction's log, and why it cannot be read, if so; one of them is empty.

    At most one request to the provider, whose answer all viewers share. `server` is the provider
    and the address of a server of one's own.
    """
    try:
        return asyncio.run(_log(prediction_id, server))[-MAX_CHARS:], ""
    except ProviderError as error:
        return "", str(error)
    except TimeoutError:
        return "", f"The provider did not respond within {ANSWER_SECONDS:g} s."


async def _log(prediction_id: str, server: tuple[str, str] | None) -> str:
    client = provider(settings(), server)
    if client is None:
        raise ProviderError("The simulated provider is not running.", code="unreachable")
    try:
        if Capability.GET not in client.capabilities:
            raise ProviderError(
                "The log appears here when the prediction ends.", code="unexpected_answer"
            )
        async with asyncio.timeout(ANSWER_SECONDS):
            return (await client.get(prediction_id)).logs
    finally:
        await client.aclose()


def _show(log: str) -> None:
    # Progress bars overwrite their line with carriage returns.
    lines = log.replace("\r\n", "\n").replace("\r", "\n")
    with st.container(height=HEIGHT, autoscroll=True, border=False):
        st.code(lines, language=None, wrap_lines=True)
