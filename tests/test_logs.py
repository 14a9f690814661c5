"""What a process writes to its terminal."""

import logging

import pytest

from lib import logs


@pytest.fixture
def handler(monkeypatch):
    """The handler that the processes' messages go through."""
    root = logging.Logger("root")
    monkeypatch.setattr(logging, "root", root)
    logs.configure()
    [handler] = root.handlers
    return handler


def test_what_a_message_quotes_commands_no_terminal_and_forges_no_line(handler):
    hostile = "\x1b[2J\x1b]0;title\x07 a\r\nERROR forged \x9b31m"
    record = logging.makeLogRecord(
        {"msg": "Job %s failed", "args": (hostile,), "levelname": "INFO"}
    )
    line = handler.format(record)
    assert line.endswith(r"INFO Job \x1b[2J\x1b]0;title\x07 a\r\nERROR forged \x9b31m failed")


def test_a_traceback_keeps_its_lines_alone(handler):
    try:
        raise ValueError("\x1b[2J")
    except ValueError as error:
        record = logging.makeLogRecord({"msg": "Broke", "exc_info": (ValueError, error, None)})
    assert handler.format(record).splitlines()[-1] == r"ValueError: \x1b[2J"
