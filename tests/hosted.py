"""A database as a hosted project has it: the role that owns it is no superuser."""

from pathlib import Path
from urllib.parse import urlsplit

from lib.database import connect
from lib.database.bootstrap import bootstrap

HOSTED = Path(__file__).parent / "sql" / "hosted.sql"


def hosted(url: str) -> str:
    """Makes such a database of a superuser's; returns the URL of the role that owns it."""
    with connect(url) as conn:
        bootstrap(conn)
        conn.execute(HOSTED.read_bytes())
    parts = urlsplit(url)
    return parts._replace(netloc=f"hosted_postgres@{parts.netloc.rpartition('@')[2]}").geturl()
