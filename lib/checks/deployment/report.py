"""The checklist as a single HTML file; all quoted data is escaped."""

from collections.abc import Iterable
from datetime import datetime
from html import escape
from itertools import groupby
from zoneinfo import ZoneInfo

from lib.checks.check import Status
from lib.checks.deployment.catalogue import CHECKS, MANUAL
from lib.checks.deployment.facts import Manual
from lib.checks.deployment.progress import Checklist, PointRecord
from lib.checks.selftest.target import Target

STATUS_LABELS: dict[Status, str] = {
    "ok": "Done", "not_applicable": "Not needed", "warning": "To do", "critical": "To do",
}  # fmt: skip
STYLE = (
    "body{font:15px/1.45 sans-serif;max-width:60em;margin:2em auto;padding:0 1em;color:#111}"
    "table{border-collapse:collapse;width:100%}tr{break-inside:avoid}"
    "td{border-bottom:1px solid #bbb;padding:.4em .6em;vertical-align:top}"
    "td:first-child{width:6em}td:last-child{width:13em}.open{color:#a00;font-weight:bold}"
    "pre{white-space:pre-wrap;font-size:13px;margin:.4em 0}"
)


def report(checklist: Checklist, target: Target, at: datetime, by: str, zone: ZoneInfo) -> str:
    """Render the report of a checklist run `at` that time for user `by`, with times in `zone`."""
    done = sum(not found.open for found in checklist.findings.values())
    ticked = sum(checklist.ticked(point.name) for point in MANUAL)
    people = [
        _row(
            "ok" if checklist.ticked(point.name) else "critical",
            point.title,
            point.meaning,
            when=_ticked(checklist, point, zone),
        )
        for point in MANUAL
    ]
    text = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        f"<title>Darkroom: deployment checklist</title><style>{STYLE}</style></head><body>",
        "<h1>Deployment checklist</h1>",
        f"<p>{done} of {len(CHECKS)} automatic checks passed or not needed, {ticked} of"
        f" {len(MANUAL)} manual checks done. Checked {_moment(at, zone)} by {escape(by)}.</p>",
        f"<p>Database: {escape(target.database)}<br>Functions: {escape(target.functions_url)}<br>"
        f"Provider: {escape(target.provider)}</p>",
        *_sections(checklist, zone),
        f"<h2>People</h2><table>{''.join(people)}</table></body></html>",
    ]
    return "\n".join(text)


def _sections(checklist: Checklist, zone: ZoneInfo) -> Iterable[str]:
    for section, checks in groupby(CHECKS, key=lambda check: check.section):
        rows = []
        for check in checks:
            found, record = checklist.findings[check.name], checklist.records.get(check.name)
            when = _times(record, zone) if record and found.status != "not_applicable" else ""
            rows.append(_row(found.status, check.title, found.evidence, found.todo, when))
        yield f"<h2>{escape(section)}</h2><table>{''.join(rows)}</table>"


def _row(status: Status, title: str, text: str, todo: str = "", when: str = "") -> str:
    todo_html = f"<pre>{escape(todo)}</pre>" if todo else ""
    css = " class=open" if status in ("warning", "critical") else ""
    mark = f"<td{css}>{STATUS_LABELS[status]}</td>"
    return (
        f"<tr>{mark}<td><b>{escape(title)}</b><br>{escape(text)}{todo_html}</td>"
        f"<td>{escape(when)}</td></tr>"
    )


def _times(record: PointRecord, zone: ZoneInfo) -> str:
    since = f"since {_moment(record.since, zone)}"
    if record.done:
        return since
    last = (
        f"last done {_moment(record.last_done_at, zone)}" if record.last_done_at else "never done"
    )
    return f"{since}, {last}"


def _ticked(checklist: Checklist, point: Manual, zone: ZoneInfo) -> str:
    record = checklist.records.get(point.name)
    if record is None:
        return ""
    what = "ticked" if record.done else "unticked"
    return f"{what} by {record.ticked_by}, {_moment(record.since, zone)}"


def _moment(at: datetime, zone: ZoneInfo) -> str:
    return f"{at.astimezone(zone):%d %b %Y %H:%M}"
