"""What a first visit loads: assets compressed, and no code that the page does not need."""

import re
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect
from running_app import App, apps
from streamlit.file_util import get_static_dir

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def app(eventually):
    with apps(eventually) as make:
        yield make().start()


def test_assets_travel_compressed_and_are_kept_for_ever(app: App):
    [path] = re.findall(r'src="\.(/static/js/index\.[^"]+)"', httpx.get(app.url).text)
    packed, plain = (
        httpx.get(f"{app.url}{path}", headers={"accept-encoding": encoding})
        for encoding in ("gzip, br", "identity")
    )
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert packed.content == plain.content == (Path(get_static_dir()) / path[1:]).read_bytes()
    assert int(packed.headers["content-length"]) < len(plain.content) / 2
    for answer in (packed, plain):
        assert "immutable" in answer.headers["cache-control"]
        assert "javascript" in answer.headers["content-type"]
    assert httpx.get(f"{app.url}{path}", headers={"host": "evil.example"}).status_code == 400


def test_a_font_travels_as_it_is(app: App):
    font = next(Path(get_static_dir()).glob("static/media/*.woff2"))
    answer = httpx.get(f"{app.url}/static/media/{font.name}")
    assert "content-encoding" not in answer.headers
    assert answer.content == font.read_bytes()


def test_the_figures_are_drawn_without_waiting_for_the_code_of_charts(app: App, page: Page):
    loaded: list[str] = []
    page.on("request", lambda request: loaded.append(request.url.rpartition("/")[2]))
    page.route(re.compile(r"/(embed|ArrowVegaLiteChart)\."), lambda route: None)  # Never answered.
    page.goto(app.url)
    curve = page.get_by_role("img", name="Completed, last 24 hours")
    expect(curve).to_be_visible(timeout=30_000)
    assert curve.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
    assert any(name.startswith("Metric.") for name in loaded)
    heavy = ("DataFrame.", "Table.", "remark-emoji.")
    assert [name for name in loaded if name.startswith(heavy)] == []


def test_the_grid_is_loaded_once_a_charts_table_is_opened(app: App, page: Page):
    loaded: list[str] = []
    page.on("request", lambda request: loaded.append(request.url.rpartition("/")[2]))
    page.goto(f"{app.url}/throughput")
    expect(page.locator("[data-testid=stVegaLiteChart] svg.marks")).to_have_count(5, timeout=30_000)
    page.wait_for_load_state("networkidle")
    assert any(name.startswith("ArrowVegaLiteChart.") for name in loaded)
    # The second is for names of pictures, which a time such as 12:30:45 looks like.
    assert [name for name in loaded if name.startswith(("DataFrame.", "remark-emoji."))] == []

    page.get_by_text("As a table").first.click()
    expect(page.get_by_test_id("stDataFrame")).to_be_visible(timeout=30_000)
    age = page.get_by_text("Updated").text_content()
    expect(page.get_by_text("Updated")).not_to_have_text(str(age), timeout=30_000)
    expect(page.get_by_test_id("stDataFrame")).to_be_visible()
