"""A history to which everything happens, one thing after another."""

from collections.abc import Iterator
from pathlib import Path

from lib.database import load
from lib.database.pool import Connection

ERROR = 0.1  # What percentiles of histograms promise.
_steps = load("stages", Path(__file__).parent)


def stages(db: Connection) -> Iterator[str]:
    """Names each stage once it is reached, from rows that nobody has folded to purged ones.

    The view all_jobs holds all jobs that ever were, without the deleted.
    """
    _steps.fill(db)
    yield "never folded"
    _steps.rebuild(db)
    yield "folded"
    assert _steps.retry(db) == 30
    assert _steps.cancel(db) == 10
    assert _steps.complete(db) == 20
    assert _steps.delete(db) == 20
    yield "changed"
    _steps.refresh(db)
    yield "folded again"
    _steps.keep(db)
    assert _steps.purge(db) > 1000
    _steps.drop_kept(db)
    yield "purged"
    _steps.refresh(db)
    yield "purged and folded"


def close(estimate: float | None, truth: float | None) -> bool:
    """Whether a percentile is as near to the rows as it promises."""
    if estimate is None or truth is None:
        return estimate is truth
    return abs(estimate - truth) <= max(ERROR * truth, 0.001)
