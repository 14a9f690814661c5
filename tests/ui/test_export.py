"""Exports: what comes from jobs is text in a spreadsheet, never a formula."""

import csv
import tomllib
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import MagicMock

import pytest

from lib.ui import export

ROOT = Path(__file__).parents[2]


def test_tables_have_no_export_of_their_own_that_keeps_formulas() -> None:
    config = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text())
    assert config["client"]["disableDataExport"] is True


def test_no_cell_is_a_formula(monkeypatch: pytest.MonkeyPatch) -> None:
    page = SimpleNamespace(
        button=lambda *args, **options: True,
        progress=MagicMock(),
        container=MagicMock(),
        download_button=MagicMock(),
        session_state={},
    )
    monkeypatch.setattr(export, "st", page)
    formulas = ["=1+1", "+1", "-1", "@SUM(A1)", " =1", "\u00a0=1", "\uff1d1+1", "\uff20SUM(A1)"]
    formulas += ["\ttext", "\rtext", "\ntext"]
    # Where a semicolon or tab separates cells, or a line ends within quotes, another cell begins.
    inside = {
        "\t=1+1": "'\t'=1+1",
        "\r\n=1+1": "'\r'\n'=1+1",
        "a;=1+1": "a;'=1+1",
        'a"\n @b;c': "a\"\n' @b;c",
        "a; =1;-2": "a;' =1;'-2",
        "a\u2028=1": "a\u2028'=1",
    }
    plain = ["plain = text", " text", "", "'=1", "{=1}", "a, -b", "a; b", "a\nb", "https://a/?b=1"]
    told = formulas + list(inside) + plain
    rows = [{"prompt": text, "payload": {"a": "b;=1"}, "attempts": -1} for text in told]
    export.csv_export("jobs", ["prompt", "payload", "attempts"], 5, lambda: [rows])
    (label, content, name, _), (other, marked, same_name, _) = (
        call.args for call in page.download_button.call_args_list
    )
    assert (label, name) == (f"Save {len(told)} rows", "jobs.csv")
    assert (other, same_name, marked) == ("Save for Excel", name, f"\ufeff{content}")
    head, *lines = csv.reader(StringIO(content, newline=""))
    assert head == ["prompt", "payload", "attempts"]
    defused = [f"'{text}" for text in formulas] + list(inside.values())
    assert [line[0] for line in lines] == defused + plain
    assert {tuple(line[1:]) for line in lines} == {('{"a": "b;\'=1"}', "-1")}
