"""Without sign-in only this computer is served, whatever else the configuration says."""

import httpx
import psutil
import pytest
from playwright.sync_api import Page, expect

from lib.ui.pages import PAGES, VIEWS, page_path

LONG = 30_000
MARK = "markofseven"
CONNECTED = (
    "select count(*)::int as n from pg_stat_activity"
    " where datname = current_database() and application_name = 'darkroom dashboard'"
)
PATHS = [page_path(file) for file in (*PAGES, *VIEWS)]


@pytest.fixture
def marked(db) -> None:
    """Jobs that a page which shows data would show."""
    for status in ("pending", "failed"):
        db.execute(
            "insert into job_queue (job_type, payload, status, attempts, completed_at,"
            " error_message) values (%(mark)s::text, jsonb_build_object('prompt', %(mark)s::text),"
            " %(status)s::text, 1, case %(status)s::text when 'failed' then now() end, %(mark)s)",
            {"mark": MARK, "status": status},
        )


def frames_of(page: Page) -> list[bytes]:
    """Fills with what the app says to the page."""
    heard: list[bytes] = []
    page.on(
        "websocket", lambda socket: socket.on("framereceived", lambda frame: heard.append(frame))
    )
    return heard


@pytest.mark.parametrize(
    ("setting", "paths"),
    [
        pytest.param({"STREAMLIT_SERVER_ADDRESS": "0.0.0.0"}, PATHS, marks=pytest.mark.slow),
        ({"DARKROOM_URL": "https://darkroom.example"}, PATHS[:2]),
    ],
)
def test_a_published_app_shows_how_to_configure_sign_in_and_no_data(
    make_app, page: Page, database, db, marked, setting, paths
) -> None:
    app = make_app(DATABASE_URL=database, **setting).start()
    heard = frames_of(page)
    for path in paths:
        page.goto(f"{app.url}{path}")
        expect(page.get_by_role("heading", name="Sign-in not configured")).to_be_visible(
            timeout=LONG
        )
        expect(page.get_by_text("[auth]")).to_be_visible()
        expect(page.get_by_test_id("stSidebar")).to_be_hidden()
    assert heard
    assert not any(MARK.encode() in frame for frame in heard)
    assert db.execute(CONNECTED).fetchone() == {"n": 0}
    app.folder.joinpath("images").mkdir(exist_ok=True)
    app.folder.joinpath("images", "known.png").write_bytes(b"image")
    for answer in (
        httpx.get(f"{app.url}/images/known.png"),
        app.post("start-generation", {"prompt": MARK, "model_id": "m"}),
        app.post("process-jobs"),
        httpx.get(f"{app.url}/functions/v1/nothing"),
    ):
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "closed")


def test_by_default_nothing_is_bound_to_a_network(make_app) -> None:
    app = make_app(DARKROOM_SAMPLE_DATA="0").start()
    process = psutil.Process(app.process.pid)
    bound = [
        connection.laddr.ip
        for each in (process, *process.children(recursive=True))
        for connection in each.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert bound
    assert set(bound) == {"127.0.0.1"}


@pytest.mark.slow
def test_the_same_app_shows_all_of_it_on_this_computer_alone(
    make_app, page: Page, database, db, marked
) -> None:
    app = make_app(DATABASE_URL=database).start()
    heard = frames_of(page)
    page.goto(app.url)
    expect(page.get_by_text(MARK).first).to_be_visible(timeout=LONG)
    assert any(MARK.encode() in frame for frame in heard)
    assert db.execute(CONNECTED).fetchone()["n"] > 0
    app.folder.joinpath("images").mkdir(exist_ok=True)
    app.folder.joinpath("images", "known.png").write_bytes(b"image")
    image = f"{app.url}/images/known.png"
    assert httpx.get(image).content == b"image"
    # For a proxy, which may ask for anybody.
    assert httpx.get(image, headers={"X-Forwarded-For": "127.0.0.1"}).status_code == 403
    proxied = page.context.browser.new_context(extra_http_headers={"X-Forwarded-For": "10.0.0.7"})
    other = proxied.new_page()
    other.goto(app.url)
    expect(other.get_by_role("heading", name="Sign-in not configured")).to_be_visible(timeout=LONG)
    proxied.close()
