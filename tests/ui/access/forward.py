"""A TCP forward to an app, as `ssh -L` makes it, or a proxy that rewrites Host and adds nothing."""

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

BUFFER = 65_536


@contextmanager
def forward(port: int, *, host: str | None = None) -> Iterator[int]:
    """The port of a forward to another port of this computer; `host` replaces Host."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_serve, args=(server, port, host), daemon=True).start()
        yield server.getsockname()[1]
        # Closing alone leaves a thread in accept().
        server.shutdown(socket.SHUT_RDWR)


def _serve(server: socket.socket, port: int, host: str | None) -> None:
    with suppress(OSError):
        while True:
            near, _ = server.accept()
            far = socket.create_connection(("127.0.0.1", port))
            for source, target, name in ((near, far, host), (far, near, None)):
                threading.Thread(target=_pump, args=(source, target, name), daemon=True).start()


def _pump(source: socket.socket, target: socket.socket, host: str | None) -> None:
    with suppress(OSError):
        while data := source.recv(BUFFER):
            if host:
                data = re.sub(rb"(?im)^host: .*?\r$", f"Host: {host}\r".encode(), data)
            target.sendall(data)
    for each in (source, target):
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
