"""The IPv6 loopback is this computer too: for pages, functions and websockets."""

import socket
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect
from running_app import App, apps
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

pytestmark = pytest.mark.slow

LONG = 30_000


@pytest.fixture(scope="module")
def app(eventually: Callable[..., Any]) -> Iterator[App]:
    """An app that listens on ::1 alone."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        pytest.skip("This machine has no IPv6 loopback.")
    with apps(eventually) as make:
        yield make(STREAMLIT_SERVER_ADDRESS="::1", DARKROOM_SAMPLE_DATA="0").start()


def connected(app: App, host: str) -> int:
    """The HTTP status of a websocket opened as a browser would for a page of that host."""
    port = app.url.rpartition(":")[2]
    try:
        connect(
            f"ws://{host}:{port}/_stcore/stream",
            sock=socket.create_connection(("::1", int(port))),
            origin=f"http://{host}:{port}",  # type: ignore[arg-type]
            proxy=None,
        ).close()
    except InvalidStatus as refusal:
        return refusal.response.status_code
    return 101


def test_a_page_is_shown_and_calls_the_functions_of_its_app(app: App, page: Page) -> None:
    page.goto(f"{app.url}/workers")
    page.get_by_role("button", name="Call process-jobs").click(timeout=LONG)
    page.get_by_role("dialog").get_by_role("button", name="Call process-jobs").click()
    expect(page.get_by_text("process-jobs responded")).to_be_visible(timeout=LONG)


@pytest.mark.parametrize("host", ["[::1]", "localhost"])
def test_loopback_is_served(app: App, host: str) -> None:
    headers = {"host": f"{host}:1"}
    assert httpx.get(f"{app.url}/images/none.png", headers=headers).status_code == 404
    assert connected(app, host) == 101


@pytest.mark.parametrize("host", ["rebound.example", "[::2]"])
def test_other_names_are_refused(app: App, host: str) -> None:
    headers = {"host": f"{host}:1"}
    assert httpx.get(app.url, headers=headers).status_code == 400
    assert httpx.get(f"{app.url}/images/none.png", headers=headers).status_code == 400
    assert connected(app, host) in (400, 403)
