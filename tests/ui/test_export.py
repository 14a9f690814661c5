"""Exports: what comes from jobs is text in a spreadsheet, never a formula."""

import csv
from types import SimpleNamespace
from unittest.mock import MagicMock

import pytest

from lib.ui import export


def test_no_cell_is_a_formula(monkeypatch: pytest.MonkeyPatch) -> None:
    page = SimpleNamespace(
        button=lambda *args, **options: True, progress=MagicMock(), download_button=MagicMock()
    )
    monkeypatch.setattr(export, "st", page)
    told = ["=1+1", "+1", "-1", "@SUM(A1)", "plain = text"]
    rows = [{"prompt": text, "payload": {"a": 1}, "attempts": -1} for text in told]
    export.csv_export("jobs", ["prompt", "payload", "attempts"], 5, lambda: [rows])
    label, content, name, _ = page.download_button.call_args.args
    assert (label, name) == ("Save 5 rows", "jobs.csv")
    head, *lines = csv.reader(content.splitlines())
    assert head == ["prompt", "payload", "attempts"]
    assert [line[0] for line in lines] == ["'=1+1", "'+1", "'-1", "'@SUM(A1)", "plain = text"]
    assert {tuple(line[1:]) for line in lines} == {('{"a": 1}', "-1")}
