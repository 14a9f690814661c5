"""The PostgreSQL server that a benchmark runs on: one of its own, gone afterwards."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from lib.database import connect, embedded, load
from lib.database.bootstrap import bootstrap
from lib.database.migrations import apply

QUERIES = Path(__file__).parent / "queries"


@contextmanager
def temporary_server() -> Iterator[str]:
    """Start a server with PostgreSQL's defaults; yields the URL of a migrated database."""
    with tempfile.TemporaryDirectory() as folder:
        # As root the server runs as another OS user, who must get to its data.
        Path(folder).chmod(0o755)
        server = embedded.start(Path(folder) / "postgres")
        try:
            with connect(server.url) as connection:
                bootstrap(connection)
                apply(connection)
            yield server.url
        finally:
            server.stop()


def fresh_peer_database(url: str) -> str:
    """Return the URL of an empty database on the same server, replacing the one before."""
    databases = load("server", QUERIES)
    with connect(url) as connection:
        databases.drop_peer_database(connection)
        databases.create_peer_database(connection)
    return urlsplit(url)._replace(path="/peer").geturl()
