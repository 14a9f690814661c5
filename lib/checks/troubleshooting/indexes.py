"""Rebuilding the indexes of the tables that jobs go through."""

from lib.checks.expected_schema import create
from lib.database import Pool, connect, load, translated
from lib.resources import database_url
from lib.settings import settings

GUARD = "job_queue_live_generation_key"
"""Refuses a second live job of a generation."""


def restore(name: str, _pool: Pool, actor: str) -> str:
    """Builds one of the indexes without stopping the queue, and records it."""
    make = create("index", name).replace(" INDEX ", " INDEX CONCURRENTLY ", 1)
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
    return f"{name} built."
