"""A walk over every page of the navigation, which listens to all that the app says."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from playwright.sync_api import Page, Request, Response, WebSocket
from running_app import App

from lib.ui.pages import PAGES, page_path

LONG = 30_000
PLAIN = "zqplain"
HOSTILE = (
    f"{PLAIN} <script>window.hacked=1</script>"
    ' <img src="http://evil.example/a.png" onerror="window.hacked=1"> <b>zqhtml</b>'
    " **zqbold** *zqem* ~~zqstruck~~ `zqcode` ![x](http://evil.example/b.png)"
    " [zqlink](http://evil.example/c) <http://evil.example/d> http://evil.example/e"
    " :red[zqred] :red-badge[zqbadge] $x^2$ :material/skull: :skull: :fire:"
    " [javascript](javascript:window.hacked=1)"
    " \x1b[31mzqansi\x1b[0m\x1b]0;zqtitle\x07"
    "\n\n# zqheading\n\n- zqitem\n\n"
)
INTERPRETED = (Path(__file__).parent / "interpreted.js").read_text()
READY = """() => document.querySelector('h1')
    && !document.querySelector('[data-testid=stSkeleton]')
    && document.querySelector('[data-testid=stApp]').dataset.testScriptState === 'notRunning'
    && !document.querySelector('[data-stale=true]')"""
JOB = "00000000-0000-4000-8000-0000000001{:02}"
QUERIES = {
    "job": [{"id": JOB.format(n)} for n in range(1, 6)] + [{"id": HOSTILE[:60]}],
    "users": [{"user": "00000000-0000-4000-8000-000000000001"}, {"user": HOSTILE[:320]}],
    "generate": [{"run": "00000000-0000-4000-8000-000000000401"}, {"models": HOSTILE}],
    "models": [{"model": HOSTILE}],
    "migration_path": [{"model": HOSTILE}],
    "jobs": [
        {"model": HOSTILE, "type": HOSTILE},
        {"error": "zqplain"},
        {"job": HOSTILE[:60]},
        {"created_by": HOSTILE[:200]},
        {"field": HOSTILE[:200], "value": HOSTILE[:200], "time": "24 h"},
        {"view": "stuck", "model": HOSTILE, "type": HOSTILE},
        {"view": "duplicates"},
    ],
    "failures": [{"kind": HOSTILE}],
    "throughput": [{"by": "type"}, {"by": "model"}],
    "alerts": [{"view": view} for view in ("Channels", "Silences", "History")],
    "maintenance": [{"view": view} for view in ("Purge", "Space", "Growth", "Models", "Limits")],
    "rollback": [{"way": "Resume"}],
    "audit": [{"who": HOSTILE, "what": HOSTILE}],
}
"""Addresses of pages that show more than the page alone, or say what they were asked for."""
ASK = {
    "overview": re.compile(f"^Resume {PLAIN}"),
    "users": re.compile("^Set limits$"),
    "alerts": re.compile("^Remove$"),
}
"""Buttons whose question names what hostile people wrote."""
ALL = [*PAGES]


@dataclass
class Heard:
    """What came of a walk."""

    wrong: dict[str, list[str]] = field(default_factory=dict)
    """By page: what was taken for something else than text."""
    shown: set[str] = field(default_factory=set)
    """The pages that were given hostile text at all."""
    said: list[bytes] = field(default_factory=list)
    """Frames of websockets and bodies of answers."""


def walk(page: Page, app: App, files: list[str]) -> Heard:
    """Visits the pages of these files, also with questions in their addresses."""
    heard = Heard()
    asked: list[str] = []
    answers: list[Response] = []

    def note(request: Request) -> None:
        # Nobody has this host. A route that refuses it would turn off the browser's cache.
        if urlsplit(request.url).hostname == "evil.example":
            asked.append(request.url)

    def listen(socket: WebSocket) -> None:
        socket.on("framereceived", lambda frame: heard.said.append(_bytes(frame)))

    page.on("request", note)
    page.on("websocket", listen)
    page.on("response", lambda answer: answers.append(answer))
    for file in files:
        for query in [{}, *QUERIES.get(file, [])]:
            before = len(heard.said)
            page.goto(f"{app.url}{page_path(file)}?{urlencode(query)}")
            page.wait_for_function(READY, timeout=LONG)
            # Tables and charts draw themselves a moment after their place is there.
            page.wait_for_load_state("networkidle")
            found = page.evaluate(INTERPRETED)
            for _ in _opened(page) if not query or file == "audit" else ():
                found += page.evaluate(INTERPRETED)
            button = page.get_by_role("button", name=ASK.get(file)).first
            if file in ASK and button.count():
                button.click()
                page.get_by_role("dialog").get_by_role("button").nth(2).wait_for(timeout=LONG)
                found += page.evaluate(INTERPRETED)
            if found or asked:
                heard.wrong[f"{file} {sorted(query)}"] = sorted({*found, *asked})
            if any(PLAIN.encode() in said for said in heard.said[before:]):
                heard.shown.add(file)
            heard.said += filter(None, map(_body, answers))
            asked.clear()
            answers.clear()
    return heard


def _opened(page: Page) -> Iterator[None]:
    """Opens what can be opened on the page, one after the other."""
    main = page.get_by_test_id("stMain")
    main.locator("details:not([open]) > summary").evaluate_all("all => all.map(e => e.click())")
    yield
    for choice in main.get_by_role("combobox").all():
        choice.click()
        yield
        page.keyboard.press("Escape")
    # The first row of each table; where rows can be selected, it is.
    for table in main.get_by_test_id("stDataFrame").all():
        if table.is_visible():
            table.click(position={"x": 16, "y": 52})
            page.wait_for_function(READY, timeout=LONG)
            yield


def _bytes(frame: str | bytes) -> bytes:
    return frame.encode() if isinstance(frame, str) else frame


def _body(answer: Response) -> bytes:
    """What our own server answered; of Streamlit's own files there is no need."""
    static = "/static/" in answer.url or answer.status in (101, 204, 304)
    return b"" if static or 300 <= answer.status < 400 else answer.body()
