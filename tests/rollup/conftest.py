"""A queue with a history of the test's making."""

import pytest
from history import History

from lib.database.pool import Connection


@pytest.fixture
def history(db: Connection) -> History:
    """The empty queue of a fresh database, two hours before a midnight of the past."""
    return History(db)
