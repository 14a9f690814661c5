"""Proxies of the environment: loopback is reached without one, and what cannot be used is said."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest
import uvicorn
from environment import bare
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket
from websockets.sync.client import connect

from lib.settings import SettingsError
from lib.settings.proxies import prepare_proxies

PROJECT = Path(__file__).parents[2]
NOBODY = "http://127.0.0.1:1"
"""A proxy that no request gets through."""


@pytest.fixture
def proxies(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Replaces the proxy settings of this process."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)

    def replace(**values: str) -> None:
        # Both spellings, so that what is added to them goes with the test.
        monkeypatch.setenv("NO_PROXY", "")
        monkeypatch.setenv("no_proxy", values.pop("NO_PROXY", ""))
        for name, value in values.items():
            monkeypatch.setenv(name, value)

    return replace


@pytest.fixture(params=["127.0.0.1", "localhost", "[::1]", "127.0.0.2"])
def address(request: pytest.FixtureRequest, eventually: Callable[..., Any]) -> Iterator[str]:
    """A server on a loopback address."""

    async def accept(socket: WebSocket) -> None:
        await socket.accept()
        await socket.close()

    app = Starlette(
        routes=[Route("/", lambda _: PlainTextResponse("direct")), WebSocketRoute("/ws", accept)]
    )
    host = request.param.strip("[]")
    server = uvicorn.Server(uvicorn.Config(app, host=host, port=0, log_level="critical"))
    thread = Thread(target=server.run)
    thread.start()
    eventually(lambda: server.started or not thread.is_alive())
    if not thread.is_alive():
        pytest.skip(f"This machine has no {request.param}.")
    yield f"{request.param}:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


@pytest.mark.parametrize("scheme", ["http", "socks5"])
def test_loopback_is_reached_without_a_proxy(proxies, address, scheme):
    proxy = NOBODY.replace("http", scheme)
    proxies(HTTP_PROXY=proxy, HTTPS_PROXY=proxy, all_proxy=proxy, NO_PROXY="intranet.example")
    prepare_proxies([None, f"http://{address}"])
    assert httpx.get(f"http://{address}").text == "direct"
    connect(f"ws://{address}/ws").close()
    with pytest.raises(httpx.TransportError):
        httpx.get("http://darkroom.example")


@pytest.mark.parametrize("proxy", [{"HTTP_PROXY": NOBODY}, {}])
@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("localhost,[::1]", []),
        ("fe80::/10, .corp.example,10.0.0.7", [".corp.example", "10.0.0.7"]),
        (
            "[2001:db8::7],fe80::1%eth0,a b,host:port,host:80",
            ["2001:db8::7", "fe80::1%eth0", "a b", "host:80"],
        ),
        ("http://plain.example,bücher.example", ["http://plain.example"]),
    ],
)
def test_of_no_proxy_is_kept_what_clients_can_read(proxies, proxy, given, kept):
    proxies(NO_PROXY=given, **proxy)
    prepare_proxies([])
    assert os.environ["NO_PROXY"] == os.environ["no_proxy"]
    found = os.environ["NO_PROXY"].split(",")
    assert [host for host in found if host not in ("localhost", "127.0.0.1", "::1")] == kept
    httpx.Client().close()


@pytest.mark.parametrize("given", [{"NO_PROXY": "*", "all_proxy": "socks://a"}, {"NO_PROXY": ""}])
def test_where_nothing_is_proxied_nothing_is_changed(proxies, given):
    proxies(**given)
    prepare_proxies([])
    assert os.environ["no_proxy"] == given["NO_PROXY"]


@pytest.mark.parametrize("name", ["HTTP_PROXY", "https_proxy", "ALL_PROXY"])
@pytest.mark.parametrize(
    "value",
    [
        "socks://user:secret@127.0.0.1:1080",
        "http://",
        "http://host:secret",
        "://",
        "ftp://secret",
        "se cret",
    ],
)
def test_a_proxy_that_cannot_be_used_is_said_in_a_sentence_without_it(proxies, name, value):
    proxies(**{name: value})
    with pytest.raises(SettingsError, match=f"^{name.upper()} .* socks5://host:port") as caught:
        prepare_proxies([])
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("command", [["-m", "lib.worker"], ["-m", "uvicorn", "lib.asgi:app"]])
def test_the_start_ends_with_that_sentence(command, tmp_path):
    ended = subprocess.run(
        [sys.executable, *command],
        cwd=PROJECT,
        env=bare(ALL_PROXY="socks://127.0.0.1:1080", DARKROOM_DATA=str(tmp_path)),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    assert "ALL_PROXY" in ended.stderr.splitlines()[-1]
