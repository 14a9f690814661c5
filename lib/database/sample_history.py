"""Thirty days of sample history, so that a new installation has something to show."""

import logging
import shutil
from datetime import datetime
from pathlib import Path

from lib.database import load
from lib.database.pool import Connection

logger = logging.getLogger(__name__)

IMAGES = Path(__file__).parent / "sample_images"
"""One file for each scene in each light, drawn by bench/sample_images.py."""


def load_sample_history(
    connection: Connection, images: Path | None = None, *, until: datetime | None = None
) -> int:
    """Fill an empty queue with thirty days of sample history ending at `until` (default: now).

    `images` is the folder of stored images, which gets a few that thousands of completed
    generations share; without it they have none.

    Returns the number of jobs written: 0 if the queue has any jobs, or if history was loaded
    before, even if it has been removed since. Safe to call concurrently. Deterministic
    for the same `until`; within the same UTC hour only the end differs. No job is pending, so
    a worker has nothing to run. Needs the right to write `auth.users`.
    """
    sql = load("sample_history")
    with connection.transaction():
        sql.lock(connection)
        if not sql.wanted(connection):
            return 0
        logger.info("Loading 30 days of sample data")
        sql.prepare(connection)
        sql.span(connection, until=until)
        sql.draw_requests(connection)
        sql.run_requests(connection)
        sql.forget_future(connection)
        sql.leave_stuck(connection)
        sql.repeat_some(connection)
        sql.write_users(connection)
        sql.write_generations(connection, images=_store_images(images))
        written: int = sql.write_jobs(connection)
        sql.sample_queue(connection)
        sql.record(connection, jobs=written)
        sql.fold(connection)
        sql.analyze(connection)
    return written


def _store_images(folder: Path | None) -> bool:
    if folder is None:
        return False
    try:
        shutil.copytree(IMAGES, folder, dirs_exist_ok=True)
    except OSError as error:
        logger.warning("The sample images cannot be stored: %s", error)
        return False
    return True
