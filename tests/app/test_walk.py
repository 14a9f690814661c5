"""Every page in a real browser, light and dark, wide and narrow: nothing broken, nothing cut."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect
from running_app import App, apps

SIZES = {"desktop": (1440, 900), "phone": (390, 844)}
FAULTS = (Path(__file__).parent / "faults.js").read_text()
READY = """() => document.querySelector('h1')
    && !document.querySelector('[data-testid=stSkeleton]')
    && !document.querySelector('[data-stale=true]')"""


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


def paths(page: Page, app: App) -> list[str]:
    """The addresses in the sidebar, and those of a job, of a user and of a test run."""
    page.goto(app.url)
    links = page.get_by_test_id("stSidebarNavLink")
    expect(links.first).to_be_attached(timeout=30_000)
    [one] = app.rows("select id, created_by from public.job_queue where status = 'failed' limit 1")
    [run] = app.rows("select id from public.test_runs")
    return [
        *(str(link.get_attribute("href")) for link in links.all()),
        f"/job?id={one['id']}",
        f"/generate?run={run['id']}",
        f"/users?user={one['created_by']}",
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_every_page(browser: Browser, app: App, scheme: str, size: str):
    width, height = SIZES[size]
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme, locale="en-GB"
    )
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: note(said, message))
    page.on("pageerror", lambda error: said.append(str(error)))
    faults = {}
    for path in paths(page, app):
        page.goto(f"{app.url}{path}" if path.startswith("/") else path)
        page.wait_for_function(READY, timeout=30_000)
        # Charts and tables draw themselves a moment after their place is there.
        page.wait_for_load_state("networkidle")
        found = page.evaluate(FAULTS)
        if found or said:
            faults[path] = found + said
        said.clear()
    context.close()
    assert faults == {}


def note(said: list[str], message: ConsoleMessage) -> None:
    # Opened at a page, Streamlit looks for its server below that address first.
    if message.type == "error" and "/_stcore/" not in message.location["url"]:
        said.append(f"{message.text} {message.location['url']}")
