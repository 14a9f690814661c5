"""Bodies end within limits of size and time, and a slow one holds nothing up."""

import socket
import time
from urllib.parse import urlsplit

import pytest
from starlette.middleware import Middleware

from lib.api import routes
from lib.api.body_limit import BodyLimit

SECONDS = 0.5


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    limit = Middleware(BodyLimit, max_bytes=1000, seconds=SECONDS)
    monkeypatch.setattr(routes, "BODY_LIMIT", limit)


def answer(
    served, *parts: bytes, length: int | None = None, pause: float = 0
) -> tuple[bytes, float]:
    """The answer to a request that is sent in parts, and when it came; the connection is closed."""
    url = urlsplit(served.url)
    framing = f"Content-Length: {length}" if length else "Transfer-Encoding: chunked"
    with socket.create_connection((url.hostname, url.port), 10) as connection:
        connection.sendall(
            b"POST /functions/v1/start-generation HTTP/1.1\r\nHost: localhost\r\n"
            + f"apikey: {served.keys.secret}\r\n{framing}\r\n\r\n".encode()
        )
        began = time.monotonic()
        connection.settimeout(0.01 if pause else 10)
        said = b""
        for part in parts:
            try:
                connection.sendall(part)
                time.sleep(pause)
            except OSError:
                break
        connection.settimeout(10)
        while data := connection.recv(10_000):
            said += data
        return said, time.monotonic() - began


@pytest.mark.parametrize("length", [50, None])
def test_a_body_that_does_not_end_is_refused_in_time(served, length) -> None:
    said, took = answer(served, b"{" if length else b"1\r\n{\r\n", length=length)
    assert b" 408 " in said.split(b"\r\n")[0]
    assert b'"too_slow"' in said
    # The server counts from the headers, the client from a little later.
    assert SECONDS - 0.1 <= took < SECONDS + 3


def test_a_body_that_drips_gets_no_more_time(served) -> None:
    said, took = answer(served, *[b"1\r\n{\r\n"] * 20, pause=0.1)
    assert b'"too_slow"' in said
    assert took < SECONDS + 3


@pytest.mark.parametrize("length", [10_000, None])
def test_a_body_that_is_too_large_is_refused_as_it_arrives(served, length) -> None:
    part = bytes(2000)
    said, _ = answer(served, part if length else b"7d0\r\n" + part + b"\r\n", length=length)
    assert b" 413 " in said.split(b"\r\n")[0]
    assert b'"too_large"' in said
