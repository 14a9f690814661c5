"""Every page: hostile texts are text on it, and no secret is said to the browser or the log."""

import re
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import jwt
import pytest
from people import LONG, PEOPLE, sign_in
from playwright.sync_api import Page, expect
from walk import ALL, HOSTILE, READY, walk

from lib.database import load
from lib.provider.simulator.faults import FaultFile, Faults
from lib.roles import Role
from lib.ui.pages import PAGES, may_open, page_path

pytestmark = pytest.mark.slow

FOLDER = Path(__file__).parent
PUBLISHABLE = "sb_publishable_q1w2e3r4t5y6u7i8o9p0"
SECRETS = {
    "password": "pw-of-the-database-7e57",
    "replica's password": "pw-of-the-replica-7e57",
    "SUPABASE_SECRET_KEY": "sb_secret_7e57a1b2c3d4e5f6g7h8",
    "SUPABASE_SERVICE_ROLE_KEY": jwt.encode({"role": "service_role"}, "s" * 32),
    "SUPABASE_JWT_SECRET": "signs-tokens-7e57-0123456789abcdef",
    "REPLICATE_API_TOKEN": "r8_7e57a1b2c3d4e5f6g7h8i9j0",
    "METRICS_TOKEN": "reads-metrics-7e57",
    "address of a channel": "token-of-the-channel-7e57",
}


@pytest.fixture
def settings(database: str, db, secrets_file) -> dict[str, str]:
    """Of an app that people sign in to, with every secret there is, on hostile data."""
    db.execute("select set_config('test.hostile', %s, false)", [HOSTILE])
    load("hostile", FOLDER).plant(db)
    db.execute(
        "insert into alert_channel_urls select id, 'json://127.0.0.1:9/' || %s from alert_channels",
        [SECRETS["address of a channel"]],
    )

    def with_password(of: str) -> str:
        return database.replace("postgres@", f"postgres:{SECRETS[of]}@")

    named = {name: value for name, value in SECRETS.items() if name.isupper()}
    return named | {
        "DATABASE_URL": with_password("password"),
        "DATABASE_READ_URL": with_password("replica's password"),
        "SUPABASE_PUBLISHABLE_KEY": PUBLISHABLE,
        "REPLICATE_API_URL": "http://127.0.0.1:9",
        "HOME": str(secrets_file.parents[1]),
    }


# Some fifty visits.
@pytest.mark.timeout(600)
def test_every_page_takes_hostile_texts_for_text_and_says_no_secret(
    make_app, settings, provider, page: Page
) -> None:
    app = make_app(**settings).start()
    sign_in(page, app, provider, email=PEOPLE["admin"])
    heard = walk(page, app, ALL)
    assert heard.wrong == {}
    assert heard.shown == {*ALL} - {"fault_injection", "admin"}

    headers = {"Authorization": f"Bearer {SECRETS['METRICS_TOKEN']}"}
    keys = ({}, {"apikey": "wrong"}, {"apikey": SECRETS["SUPABASE_SECRET_KEY"]})
    said = [
        *heard.said,
        httpx.get(f"{app.url}/metrics", headers=headers).raise_for_status().content,
        httpx.get(f"{app.url}/healthz").content,
        *(
            httpx.post(f"{app.url}/functions/v1/{function}", headers=key, json={}).content
            for function in ("start-generation", "process-generation", "process-jobs")
            for key in keys
        ),
    ]
    # What is shown on purpose is found, so that a secret would be.
    assert found({"publishable key": PUBLISHABLE}, said) == ["publishable key"]
    everything = SECRETS | {
        "client_secret": provider.client_secret,
        "cookie_secret": provider.cookie_secret,
    }
    log = app.log.read_bytes()
    assert found(everything, said) == []
    assert found(everything, [log]) == []
    # Nor does the log hold what a terminal would obey.
    assert b"\x1b" not in log


def test_viewers_have_links_to_their_own_pages_alone(
    make_app, settings, provider, page: Page
) -> None:
    app = make_app(**settings).start()
    sign_in(page, app, provider, email=PEOPLE["viewer"])
    own = [file for file in PAGES if may_open(Role.VIEWER, file)]
    for file in own:
        page.goto(f"{app.url}{page_path(file)}")
        page.wait_for_function(READY, timeout=LONG)
        assert page.get_by_test_id("stException").count() == 0, file
        links = page.get_by_test_id("stPageLink-NavLink").all()
        paths = {urlsplit(str(link.get_attribute("href"))).path for link in links}
        assert {f"/{path.strip('/')}" for path in paths} <= {*map(page_path, own)}


def test_the_page_of_faults_takes_hostile_texts_for_text(
    make_app, page: Page, database, db
) -> None:
    db.execute("select set_config('test.hostile', %s, false)", [HOSTILE])
    load("hostile", FOLDER).plant(db)
    app = make_app(DATABASE_URL=database)
    FaultFile(app.folder / "replicate").write(replace(Faults(outage="cut"), by=HOSTILE))
    heard = walk(page, app.start(), ["fault_injection"])
    assert heard.wrong == {}
    assert heard.shown == {"fault_injection"}


def test_a_database_that_is_away_is_said_without_its_password(
    make_app, settings, provider, page: Page, database_away
) -> None:
    app = make_app(**settings).start()
    said: list[bytes] = []
    page.on(
        "websocket", lambda socket: socket.on("framereceived", lambda frame: said.append(frame))
    )
    sign_in(page, app, provider, email=PEOPLE["admin"])
    with database_away():
        for path in ("/", "/jobs", "/deployment"):
            page.goto(f"{app.url}{path}")
            expect(
                page.get_by_text(re.compile("Database (unreachable|unavailable):")).first
            ).to_be_visible(timeout=LONG)
        refused = app.post("start-generation", {"prompt": "A", "model_id": "m"})
    assert found(SECRETS, [*said, refused.content, app.log.read_bytes()]) == []


def found(secrets: dict[str, str], said: list[bytes]) -> list[str]:
    """The names of those that were said."""
    return [name for name, value in secrets.items() if any(value.encode() in one for one in said)]
