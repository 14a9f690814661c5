"""What a process writes to its terminal."""

import logging

import pytest

from lib import logs


@pytest.fixture
def ours(monkeypatch):
    """The handler that the processes' messages go through."""
    root = logging.Logger("root")
    monkeypatch.setattr(logging, "root", root)
    factory = logging.getLogRecordFactory()
    logs.configure()
    yield root.handlers[0]
    logging.setLogRecordFactory(factory)


@pytest.fixture(params=["ours", "library"])
def handler(request, ours):
    """Likewise, or one that a library such as Streamlit made for its own messages."""
    if request.param == "ours":
        return ours
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    return handler


def test_what_a_message_quotes_commands_no_terminal_and_forges_no_line(handler):
    hostile = "\x1b[2J\x1b]0;title\x07 a\r\nERROR forged \x9b31m"
    record = logging.makeLogRecord(
        {"msg": "Job %s failed", "args": (hostile,), "levelname": "INFO"}
    )
    line = handler.format(record)
    assert line.endswith(r"INFO Job \x1b[2J\x1b]0;title\x07 a\r\nERROR forged \x9b31m failed")


def test_no_text_is_reversed_hidden_or_broken_into_lines(handler):
    hostile = "a\u2028ERROR forged\u2029\u202egnp.exe\u2066\u200f\u200b\ufeff"
    line = handler.format(logging.makeLogRecord({"msg": "%s", "args": (hostile,)}))
    assert line.isascii()
    assert len(line.splitlines()) == 1
    assert line.endswith(r"a\u2028ERROR forged\u2029\u202egnp.exe\u2066\u200f\u200b\ufeff")


def test_a_traceback_keeps_its_lines_alone(handler):
    try:
        raise ValueError("\x1b[2J")
    except ValueError as error:
        record = logging.makeLogRecord({"msg": "Broke", "exc_info": (ValueError, error, None)})
    assert handler.format(record).splitlines()[-1] == r"ValueError: \x1b[2J"


def test_a_message_of_several_lines_is_one(handler):
    record = logging.makeLogRecord({"msg": "Exception in ASGI application\n", "levelname": "INFO"})
    assert handler.format(record).endswith("INFO Exception in ASGI application")
