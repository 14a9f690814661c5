"""The figures of the dashboards as a table, and the document that holds it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf

from bench.browser import PROJECT
from bench.peers.dashboards import VIEWS

DOCUMENT = PROJECT / "docs" / "comparison.md"
BLOCK = re.compile(r"(?<=<!-- figures -->\n).*?(?=<!-- /figures -->)", re.DOTALL)
CLEARLY = 0.9
"""Below this share of ours a figure is better than ours."""


@dataclass(frozen=True)
class Cost:
    """What one visit of a view costs the database."""

    milliseconds: float
    statements: int
    rows: int


@dataclass(frozen=True)
class Figures:
    """What was measured of one dashboard."""

    name: str
    versions: Sequence[str]
    size: str
    """Of its database."""
    paint: Mapping[str, tuple[float, float]]
    """Seconds at a first visit and again, by view."""
    costs: Mapping[str, Cost]
    alone: float
    """Milliseconds of database time in a minute in which nobody looks."""


@dataclass(frozen=True)
class Measure:
    """One line of the table."""

    title: str
    values: Sequence[float | None]
    """Ours first; None where there is no such view."""
    unit: str

    def written(self, value: float | None) -> str:
        if value is None:
            return "–"
        if value == inf:
            return "not in a minute"
        if self.unit == "s":
            return f"{value:.2f} s"
        if self.unit == "ms":
            return f"{value:.1f} ms" if value < 100 else f"{value:,.0f} ms"
        return f"{value:,.0f}"


def report(figures: Sequence[Figures], where: str) -> str:
    """Where peers are better than ours, then the whole table, in Markdown."""
    all_measures = list(measures(figures))
    names = [figure.name for figure in figures]
    better = [line for measure in all_measures if (line := where_better(names, measure))]
    rows = [["", *(titled(figure) for figure in figures)]]
    rows += [["Size of the database", *(figure.size for figure in figures)]]
    rows += [[m.title, *map(m.written, m.values)] for m in all_measures]
    parts = [where, "Better than Darkroom:", "\n".join(better) or "- nothing", table(rows)]
    return "\n\n".join(parts) + "\n"


def titled(figure: Figures) -> str:
    *dashboard, queue = figure.versions or [""]
    own = f" (dashboard {dashboard[0]})" if dashboard else ""
    return f"{figure.name} {queue}{own}".rstrip()


def measures(figures: Sequence[Figures]) -> list[Measure]:
    lines = []
    for view in VIEWS:
        paints = [figure.paint.get(view) for figure in figures]
        costs = [figure.costs.get(view) for figure in figures]
        lines += [
            Measure(f"{view}: painted, first visit", [p and p[0] for p in paints], "s"),
            Measure(f"{view}: painted, again", [p and p[1] for p in paints], "s"),
            Measure(f"{view}: database", [c and c.milliseconds for c in costs], "ms"),
            Measure(f"{view}: statements", [c and c.statements for c in costs], ""),
            Measure(f"{view}: rows read", [c and c.rows for c in costs], ""),
        ]
    alone = [figure.alone for figure in figures]
    return [*lines, Measure("Left alone for a minute: database", alone, "ms")]


def where_better(names: Sequence[str], measure: Measure) -> str | None:
    ours = measure.values[0]
    assert ours is not None
    better = [
        f"{name} {measure.written(value)}"
        for name, value in zip(names[1:], measure.values[1:], strict=True)
        if value is not None and value < CLEARLY * ours
    ]
    if not better:
        return None
    return f"- {measure.title}: {', '.join(better)}; {names[0]} {measure.written(ours)}"


def table(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    rules = ["-" * (widths[0] + 2), *("-" * (width + 1) + ":" for width in widths[1:])]
    return "\n".join([lines[0], f"|{'|'.join(rules)}|", *lines[1:]])


def write(text: str) -> None:
    """Puts the text in the place of the last one in the document."""
    document = DOCUMENT.read_text()
    DOCUMENT.write_text(BLOCK.sub(lambda _: text, document))
