"""The indexes that the queue needs, as the migrations make them, and building one anew."""

import re
from functools import cache
from pathlib import Path

from lib.checks.expected_schema import statements
from lib.database import Pool, connect, load, translated
from lib.database.migrations import MIGRATIONS
from lib.resources import database_url
from lib.settings import settings

GUARD = "job_queue_live_generation_key"
"""Refuses a second live job of a generation."""
_MAKES = re.compile(
    r"create (?:unique )?index (?:if not exists )?(?P<name>\w+)\s+"
    r"on public\.(?:job_queue|image_generations|job_leases)\b"
)
_DROPS = re.compile(r"drop index (?:if exists )?public\.(?P<name>\w+)")


@cache
def needed(folder: Path = MIGRATIONS) -> dict[str, str]:
    """The SQL of the indexes of the tables that jobs go through, by name."""
    found: dict[str, str] = {}
    for path in sorted(folder.glob("*.sql")):
        for statement in statements(path.read_text(encoding="utf-8")):
            if made := _MAKES.match(statement):
                found[made["name"]] = statement
            elif dropped := _DROPS.match(statement):
                found.pop(dropped["name"], None)
    return found


def restore(name: str, _pool: Pool, actor: str) -> str:
    """Builds one of the needed indexes without stopping the queue, and records it."""
    make = re.sub(r"index (if not exists )?", "index concurrently ", needed()[name], count=1)
    # The pages' connections have a time limit, which a large table exceeds.
    url = database_url(settings())
    with translated(), connect(url, application_name="darkroom maintenance") as connection:
        drop = load("troubleshooting").drop_statement(connection, name=name)
        if drop is not None:
            connection.execute(drop.encode())
        connection.execute(make.encode())
        load("maintenance").record_maintenance(
            connection, actor=actor, task="indexes", note=f"build {name}"
        )
    return f"{name} is built."
