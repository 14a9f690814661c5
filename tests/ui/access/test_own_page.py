"""Only a page of this app opens its websocket or changes anything, and only people with a role
make it keep or say something."""

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from running_app import App, apps
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from lib.api.security_headers import HEADERS

pytestmark = pytest.mark.slow

PUBLIC = "https://darkroom.studio.example"
PUT = "/_stcore/upload_file/7e57/f0"


@pytest.fixture(scope="module")
def app(eventually: Callable[..., Any], shared_database: str) -> Iterator[App]:
    """An app without sign-in."""
    with apps(eventually) as make:
        app = make(DATABASE_URL=shared_database).start()
        app.folder.joinpath("images").mkdir(exist_ok=True)
        app.folder.joinpath("images", "known.png").write_bytes(b"image")
        yield app


@pytest.fixture(scope="module")
def published_app(
    eventually: Callable[..., Any], secrets_file: Path, shared_database: str
) -> Iterator[App]:
    """An app with sign-in behind a proxy that speaks HTTPS."""
    with apps(eventually) as make:
        home = str(secrets_file.parents[1])
        yield make(DATABASE_URL=shared_database, HOME=home, DARKROOM_URL=PUBLIC).start()


def opened(app: App, host: str, *origins: str, **headers: str) -> int:
    """The HTTP status of a websocket with this Host and these Origins, {port} filled in."""
    port = app.url.rpartition(":")[2]
    sent = [("Origin", origin.replace("{port}", port)) for origin in origins]
    try:
        connect(
            f"ws://{host.replace('{port}', port)}/_stcore/stream",
            sock=socket.create_connection(("127.0.0.1", int(port))),
            additional_headers=sent + list(headers.items()),
            proxy=None,
        ).close()
    except InvalidStatus as refusal:
        return refusal.response.status_code
    return 101


@pytest.mark.parametrize(
    ("host", "origins", "status"),
    [
        ("127.0.0.1:{port}", ["http://127.0.0.1:{port}"], 101),
        ("localhost:{port}", ["http://localhost:{port}"], 101),
        ("LOCALHOST:{port}", ["http://localhost:{port}"], 101),
        # An SSH tunnel or a mapped port.
        ("localhost:9000", ["http://localhost:9000"], 101),
        # A bare proxy rewrites Host, and its browser is at another address.
        ("127.0.0.1:{port}", ["http://192.0.2.2"], 403),
        ("127.0.0.1:{port}", ["https://darkroom.studio.example"], 403),
        # Pages of other programs on this computer.
        ("127.0.0.1:{port}", ["http://127.0.0.1:1"], 403),
        ("127.0.0.1:{port}", ["http://localhost:{port}"], 403),
        ("localhost:{port}", ["http://localhost"], 403),
        ("localhost:{port}", ["http://dev.localhost:{port}"], 403),
        ("localhost:{port}", ["null"], 403),
        ("localhost:{port}", [""], 403),
        ("localhost:{port}", ["http://localhost:{port}", "http://evil.example"], 400),
        ("localhost:{port}", ["http://evil.example", "http://localhost:{port}"], 400),
        ("localhost:{port}", ["file://localhost:{port}"], 403),
        ("localhost:{port}", [], 403),
    ],
)
def test_without_sign_in_the_page_and_the_websocket_are_at_one_address(
    app: App, host: str, origins: list[str], status: int
) -> None:
    assert opened(app, host, *origins) == status


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        (PUBLIC, 101),
        ("https://darkroom.studio.example:443", 101),
        ("http://darkroom.studio.example", 403),
        ("https://darkroom.studio.example:8443", 403),
        ("https://darkroom.studio.example.evil.example", 403),
        ("https://evil.example", 403),
        ("http://127.0.0.1:{port}", 403),
        ("http://localhost:1", 403),
        ("http://[", 403),
    ],
)
@pytest.mark.parametrize("host", ["127.0.0.1:{port}", "darkroom.studio.example"])
def test_a_published_page_is_at_its_url_whatever_host_the_proxy_sends(
    published_app: App, host: str, origin: str, status: int
) -> None:
    assert opened(published_app, host, origin) == status


def test_streamlits_writing_routes_take_only_a_page_of_this_app(app: App) -> None:
    for method in ("PUT", "DELETE", "POST", "PATCH"):
        for origin in (None, "http://localhost:1", "http://192.0.2.2", "null"):
            headers = {"Origin": origin} if origin else {}
            answer = httpx.request(method, f"{app.url}{PUT}", headers=headers, content=b"x")
            assert (answer.status_code, answer.json()["error"]["code"]) == (403, "other_origin")
    own = httpx.put(f"{app.url}{PUT}", headers={"Origin": app.url}, content=b"x")
    # Streamlit's own answer.
    assert (own.status_code, own.text) == (403, "XSRF token missing or invalid")


@pytest.mark.parametrize(
    "path", ["metrics", "agent/interact", "agent/mcp", "agent/openapi.json", "nothing"]
)
def test_no_other_route_of_streamlit_is_served(app: App, path: str) -> None:
    answer = httpx.get(f"{app.url}/_stcore/{path}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")


def test_no_page_elsewhere_sends_commands_to_ours(app: App) -> None:
    assert httpx.get(f"{app.url}/_stcore/host-config").json()["allowedOrigins"] == []


@pytest.mark.parametrize(
    "header",
    [
        *("Forwarded", "Via", "X-Real-IP", "X-Forwarded-For", "X-Forwarded-Proto", "CF-Ray"),
        *("X-Forwarded-Host", "CF-Connecting-IP", "True-Client-IP", "X-Amzn-Trace-Id"),
        *("x-original-forwarded-for", "X-Envoy-External-Address", "Tailscale-User-Login"),
    ],
)
def test_any_header_of_a_proxy_means_remote(app: App, header: str) -> None:
    for path in ("/images/known.png", "/metrics"):
        assert httpx.get(f"{app.url}{path}").status_code == 200
        assert httpx.get(f"{app.url}{path}", headers={header: "x"}).status_code == 403
    assert app.post("start-generation", {}).status_code == 422


@pytest.mark.parametrize(
    "path",
    ["/", "/images/known.png", "/images/none.png", "/functions/v1/nothing", "/_stcore/health"],
)
def test_browsers_are_told_what_they_may_do_with_a_response(app: App, path: str) -> None:
    headers = httpx.get(f"{app.url}{path}").headers
    expected = dict(HEADERS)
    if path == "/images/known.png":
        # An SVG could hold scripts.
        expected["Content-Security-Policy"] = (
            "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox;"
            " frame-ancestors 'self'"
        )
    assert {name: headers.get(name) for name in HEADERS} == expected
    refused = httpx.get(f"{app.url}{path}", headers={"Host": "evil.example"}).headers
    assert {name: refused.get(name) for name in HEADERS} == HEADERS


def test_who_has_no_role_stores_nothing(signed_app: App, provider, browser, people) -> None:
    """Neither strangers nor people without a role; a viewer may."""
    xsrf = httpx.get(f"{signed_app.url}/_stcore/health").cookies["_streamlit_xsrf"]
    headers = {"Origin": signed_app.url, "X-Xsrftoken": xsrf}

    def upload(cookies: dict[str, str]) -> httpx.Response:
        return httpx.put(
            f"{signed_app.url}{PUT}",
            headers=headers,
            cookies=cookies | {"_streamlit_xsrf": xsrf},
            files={"file": ("a.bin", b"x")},
        )

    cookies = {
        cookie["name"]: cookie["value"]
        for cookie in people["viewer"].context.cookies(signed_app.url)
    }
    # Past our check: Streamlit knows no such session.
    assert upload(cookies).status_code == 400
    forged = cookies | {"_streamlit_user": cookies["_streamlit_user"][:-4] + "AAAA"}
    for others in ({}, forged):
        assert upload(others).json()["error"]["code"] == "no_role"


def test_which_alerts_fire_is_told_to_people_with_a_role(signed_app: App, people) -> None:
    cookies = {
        cookie["name"]: cookie["value"]
        for cookie in people["viewer"].context.cookies(signed_app.url)
    }
    remote = {"X-Forwarded-For": "198.51.100.7"}
    url = f"{signed_app.url}/healthz"
    assert set(httpx.get(url, headers=remote).json()) == {"status"}
    assert set(httpx.get(url, headers=remote, cookies=cookies).json()) == {"status", "alerts"}


def test_an_upload_has_a_limit(app: App) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(27):
            yield bytes(2**20)

    xsrf = httpx.get(f"{app.url}/_stcore/health").cookies["_streamlit_xsrf"]
    answer = httpx.put(
        f"{app.url}{PUT}",
        headers={"Origin": app.url, "X-Xsrftoken": xsrf, "Content-Type": "text/plain"},
        cookies={"_streamlit_xsrf": xsrf},
        content=chunks(),
        timeout=30,
    )
    assert answer.status_code in (400, 413)


def test_what_a_sign_in_is_told_commands_no_terminal(signed_app: App) -> None:
    hostile = {"error": "\x1b[31m", "error_description": "7e57\x1b]0;title\x07\r\nforged\x9b2J"}
    httpx.get(f"{signed_app.url}/oauth2callback", params=hostile)
    log = signed_app.log.read_text()
    assert r"7e57\x1b]0;title\x07forged\x9b2J" in log
    assert not {"\x1b", "\x07", "\x9b"} & set(log)
