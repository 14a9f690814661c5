"""By which addresses an app without sign-in opens in a browser, and by which it does not."""

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from forward import forward
from playwright.sync_api import Page, expect
from running_app import App, apps

pytestmark = pytest.mark.slow

LONG = 30_000


@pytest.fixture(scope="module")
def app(eventually: Callable[..., Any], shared_database: str) -> Iterator[App]:
    with apps(eventually) as make:
        yield make(DATABASE_URL=shared_database).start()


def port_of(app: App) -> int:
    port = urlsplit(app.url).port
    assert port
    return port


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_it_opens_by_its_plain_address(app: App, page: Page, host: str) -> None:
    page.goto(f"http://{host}:{port_of(app)}")
    expect(page.get_by_role("heading", name="Overview")).to_be_visible(timeout=LONG)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_it_opens_through_an_ssh_tunnel_on_another_port(app: App, page: Page, host: str) -> None:
    with forward(port_of(app)) as port:
        page.goto(f"http://{host}:{port}")
        expect(page.get_by_role("heading", name="Overview")).to_be_visible(timeout=LONG)


def test_a_browser_behind_a_bare_proxy_is_refused(app: App, page: Page) -> None:
    """The proxy's own address is another than the Host that it sends."""
    with forward(port_of(app), host=f"127.0.0.1:{port_of(app)}") as port:
        with page.expect_console_message(lambda said: "403" in said.text):
            page.goto(f"http://127.0.0.1:{port}")
        expect(page.get_by_role("heading", name="Overview")).to_be_hidden()
    assert "sign-in and DARKROOM_URL" in app.log.read_text()


@pytest.mark.parametrize("framing", ["127.0.0.1", "localhost"])
def test_no_other_page_of_this_computer_frames_it(app: App, page: Page, framing: str) -> None:
    other = "http://localhost:9999/"
    page.route(
        other,
        lambda route: route.fulfill(
            body=f'<iframe src="http://{framing}:{port_of(app)}/"></iframe>',
            content_type="text/html",
        ),
    )
    page.goto(other)
    [frame] = page.main_frame.child_frames
    assert frame.url == "chrome-error://chromewebdata/"


def test_with_a_start_token_only_its_address_opens_it(make_app, page: Page, database: str) -> None:
    app = make_app(DATABASE_URL=database, DARKROOM_START_TOKEN="1", METRICS_TOKEN="m").start()
    for path in ("/", "/jobs", "/metrics", "/healthz", "/images/x.png", "/?token=wrong"):
        assert httpx.get(f"{app.url}{path}").status_code == 403
    # Callers of the functions have keys, and monitors their token.
    assert app.post("start-generation", {}).status_code == 422
    monitor = {"Authorization": "Bearer m"}
    assert httpx.get(f"{app.url}/metrics", headers=monitor).status_code == 200
    [address] = [word for word in app.log.read_text().split() if word.startswith(f"{app.url}/?")]
    page.goto(address.replace("/?", "/jobs?type=a&"))
    expect(page.get_by_role("heading", name="Jobs")).to_be_visible(timeout=LONG)
    assert "token" not in page.url
    page.goto(app.url)
    expect(page.get_by_role("heading", name="Overview")).to_be_visible(timeout=LONG)
