"""Every page in a real browser, light and dark, wide and narrow: nothing broken, nothing cut.

On a desktop axe-core looks at each page too.
"""

import re
from importlib.resources import files
from pathlib import Path
from urllib.parse import urljoin

import axe_playwright_python
import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect
from running_app import App, apps

from bench.pictures import PHONE
from lib.ui.pages import PAGES, page_path

pytestmark = pytest.mark.slow

SIZES = {"desktop": (1440, 900), "phone": (390, 844)}
FAULTS = (Path(__file__).parent / "faults.js").read_text()
ACCESSIBILITY = (Path(__file__).parent / "accessibility.js").read_text()
AXE = str(files(axe_playwright_python) / "axe.min.js")
STREAMLITS = [
    {
        "rules": ["color-contrast"],
        "where": "[data-testid=stCode] .token",
        "why": "The colours of code are not among those of a theme.",
    },
]
DARK_STREAMLITS = [
    *STREAMLITS,
    {
        "rules": ["color-contrast"],
        "where": "[data-testid=stButtonGroup] [data-selected=true]",
        "why": "The chosen segment is the primary colour on a dark tint of it, primary buttons are"
        " white on the same colour: none has enough contrast to both.",
    },
    {
        "rules": ["color-contrast"],
        "where": "[data-testid=stSliderThumbValue]",
        "why": "The value of a slider is in the same colour.",
    },
]
VIEWS = {
    "/jobs": ("failed", "stuck", "duplicates"),
    "/alerts": ("Channels", "Silences", "History"),
    "/maintenance": ("Purge", "Space", "Growth", "Models", "Limits"),
}
"""Parts of pages that a control brings up."""
READY = """() => document.querySelector('h1')
    && document.querySelector('[data-testid=stApp]').dataset.testScriptState === 'notRunning'
    && !document.querySelector('[data-testid=stSkeleton]')
    && !document.querySelector('[data-stale=true]')
    && [...document.querySelectorAll('[data-testid=stVegaLiteChart]')].every(
        (chart) => !chart.checkVisibility() || chart.querySelector('svg, canvas'))"""


# Notes at each frame where everything stands.
PLACES = """() => {
    window.places = new Set();
    const look = () => {
        const shown = [...document.querySelectorAll(
            '[data-testid=stMain] [data-testid=stElementContainer]')]
            .filter((element) => element.checkVisibility());
        places.add(shown.map((element) => element.getBoundingClientRect().top).join());
        requestAnimationFrame(look);
    };
    look();
}"""


@pytest.fixture(scope="module")
def app(eventually):
    with apps(eventually) as make:
        made = make().start()
        # For the pages that show tests, and one of a hostile kind.
        model = "black-forest-labs/flux-schnell"
        [run] = made.rows(
            "insert into public.test_runs (id, actor, prompt, models, jobs) select"
            " gen_random_uuid(), 'me', '**bold** <b>', array_agg(id), 2 from public.models"
            " where id = 'black-forest-labs/flux-schnell' returning id"
        )
        for prompt in ("A lighthouse", "**bold** <img src=x onerror=alert(1)> $x^2$ :red[x]"):
            asked = {"prompt": prompt, "model_id": model, "test": True}
            made.call("start-generation", asked | {"test_run": {"id": str(run["id"])}})
        yield made


def paths(app: App) -> list[str]:
    """The addresses of all pages, and those of views, of a job, of a user and of a test run."""
    [one] = app.rows("select id, created_by from public.job_queue where status = 'failed' limit 1")
    [run] = app.rows("select id from public.test_runs")
    return [
        *map(page_path, PAGES),
        *(f"{path}?view={view}" for path, views in VIEWS.items() for view in views),
        f"/job?id={one['id']}",
        f"/generate?run={run['id']}",
        "/generate?models=black-forest-labs/flux-dev&models=ideogram-ai/ideogram-v3-turbo",
        "/generate?models=topazlabs/image-upscale",
        "/generate?show=Load+test",
        "/generate?show=Earlier+runs",
        f"/users?user={one['created_by']}",
    ]


def standing_still(app: App, path: str) -> str:
    """The address without refreshes, during which what is drawn anew is pale."""
    return f"{urljoin(app.url, path)}{'&' if '?' in path else '?'}live=false"


@pytest.mark.timeout(600)
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_every_page(browser: Browser, app: App, scheme: str, size: str):
    width, height = SIZES[size]
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme=scheme,
        locale="en-GB",
        # Tables show other columns on a phone.
        user_agent=PHONE.format(browser.version) if size == "phone" else None,
    )
    if size == "desktop":
        context.add_init_script(path=AXE)
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: note(said, message))
    page.on("pageerror", lambda error: said.append(str(error)))
    faults = {}
    for path in paths(app):
        page.goto(standing_still(app, path))
        page.wait_for_function(READY, timeout=30_000)
        # Charts and tables draw themselves a moment after their place is there.
        page.wait_for_load_state("networkidle")
        expect(page.get_by_role("button", name="Search Shortcut")).to_be_visible()
        heading = page.get_by_role("heading", level=1).inner_text()
        expect(page).to_have_title(re.compile(rf"^(.+ · )?{re.escape(heading)} – Darkroom$"))
        found = page.evaluate(FAULTS)
        if size == "desktop":
            found += page.evaluate(
                ACCESSIBILITY, DARK_STREAMLITS if scheme == "dark" else STREAMLITS
            )
        if found or said:
            faults[path] = found + said
        said.clear()
    context.close()
    assert faults == {}


@pytest.mark.parametrize("path", ["/", "/throughput"])
def test_nothing_moves_while_a_page_is_drawn_anew(page: Page, app: App, path: str):
    page.goto(f"{app.url}{path}")
    page.wait_for_function(READY, timeout=30_000)
    page.wait_for_load_state("networkidle")
    page.evaluate(PLACES)
    for _ in range(2):
        age = str(page.get_by_text("Updated").text_content())
        expect(page.get_by_text(age)).to_be_hidden(timeout=30_000)
    assert page.evaluate("places.size") == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_question_of_an_action(browser: Browser, app: App, scheme: str):
    context = browser.new_context(
        viewport={"width": 1440, "height": 900}, color_scheme=scheme, locale="en-GB"
    )
    context.add_init_script(path=AXE)
    page = context.new_page()
    page.goto(standing_still(app, "/jobs?view=stuck"))
    page.get_by_role("button", name="Reset all").click(timeout=30_000)
    expect(page.get_by_role("dialog")).to_be_visible(timeout=30_000)
    # As it comes in it is transparent, and its text as pale.
    page.wait_for_function("document.getAnimations().every((a) => a.playState !== 'running')")
    assert page.evaluate(ACCESSIBILITY, STREAMLITS) == []
    context.close()


def note(said: list[str], message: ConsoleMessage) -> None:
    # Opened at a page, Streamlit looks for its server below that address first.
    if message.type == "error" and "/_stcore/" not in message.location["url"]:
        said.append(f"{message.text} {message.location['url']}")
