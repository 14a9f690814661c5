"""Exports: what comes from jobs is text in a spreadsheet, never a formula."""

import csv
from io import StringIO
from types import SimpleNamespace
from unittest.mock import MagicMock

import pytest

from lib.ui import export


def test_no_cell_is_a_formula(monkeypatch: pytest.MonkeyPatch) -> None:
    page = SimpleNamespace(
        button=lambda *args, **options: True,
        progress=MagicMock(),
        container=MagicMock(),
        download_button=MagicMock(),
    )
    monkeypatch.setattr(export, "st", page)
    formulas = ["=1+1", "+1", "-1", "@SUM(A1)", " =1", "\u00a0=1", "\uff1d1+1", "\uff20SUM(A1)"]
    formulas += ["\t=1+1", "\r=1+1", "\n=1+1", "\r\n=1+1", "\ttext", "\rtext", "\ntext", "\n\t @a"]
    plain = ["plain = text", " text", "", "'=1", "{=1}"]
    told = formulas + plain
    rows = [{"prompt": text, "payload": {"a": 1}, "attempts": -1} for text in told]
    export.csv_export("jobs", ["prompt", "payload", "attempts"], 5, lambda: [rows])
    (label, content, name, _), (other, marked, same_name, _) = (
        call.args for call in page.download_button.call_args_list
    )
    assert (label, name) == (f"Save {len(told)} rows", "jobs.csv")
    assert (other, same_name, marked) == ("Save for Excel", name, f"\ufeff{content}")
    head, *lines = csv.reader(StringIO(content, newline=""))
    assert head == ["prompt", "payload", "attempts"]
    assert [line[0] for line in lines] == [f"'{text}" for text in formulas] + plain
    assert {tuple(line[1:]) for line in lines} == {('{"a": 1}', "-1")}
