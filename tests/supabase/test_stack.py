"""The whole of Darkroom on a Supabase project behind a transaction pooler."""

import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from cron_server import send_requests
from environment import bare
from playwright.sync_api import ConsoleMessage, Page, expect
from running_app import apps
from stack import PUBLISHABLE, SECRET, Stack, rows, stack

from lib.client import Started, start_image_generation, subscribe_to_generation
from lib.client.subscription import GenerationUpdate
from lib.database import connect
from lib.ui.pages import PAGES, page_path

PROJECT = Path(__file__).parents[2]
READY = """() => document.querySelector('h1')
    && !document.querySelector('[data-testid=stSkeleton]')
    && !document.querySelector('[data-stale=true]')"""
LONG = 30_000
GENERATION = {"prompt": "A lighthouse", "model_id": "black-forest-labs/flux-schnell"}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def project(eventually: Callable[..., Any]) -> Iterator[Stack]:
    # Not pytest's own folder: as root pgbouncer runs as another OS user.
    with tempfile.TemporaryDirectory(prefix="darkroom-stack-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with stack(folder, eventually) as running:
            yield running


def test_the_self_test_is_green(project: Stack) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "lib.checks.selftest", "--json"],
        cwd=PROJECT,
        env=bare(**project.settings),
        capture_output=True,
        text=True,
        timeout=200,
    )
    report = json.loads(ended.stdout)
    red = [check for check in report["checks"] if check["status"] != "passed"]
    assert (ended.returncode, red) == (0, [])
    assert SECRET not in ended.stdout + ended.stderr
    assert project.bucket.objects == {}, "all it made is removed"


@pytest.fixture(scope="module")
def generated(project: Stack) -> tuple[UUID, Started, GenerationUpdate]:
    """A user, the generation that they started, and what they followed it to."""
    create = "insert into auth.users (id) values (gen_random_uuid()) returning id"
    [user] = rows(project.direct_url, create)
    token = project.project.token(user["id"])
    url = project.settings["SUPABASE_URL"]
    started = start_image_generation(
        url,
        PUBLISHABLE,
        functions_url=project.settings["DARKROOM_FUNCTIONS_URL"],
        access_token=token,
        idempotency_key=str(uuid4()),
        **GENERATION,
    )
    *_, last = subscribe_to_generation(
        started.generation_id,
        supabase_url=url,
        supabase_key=PUBLISHABLE,
        access_token=token,
        timeout=60,
    )
    return user["id"], started, last


def test_a_user_follows_a_generation_to_its_image(
    project: Stack, generated: tuple[UUID, Started, GenerationUpdate]
) -> None:
    user_id, started, last = generated
    assert last.status == "completed"
    assert httpx.get(str(last.image_url)).headers["content-type"] == "image/webp"
    jobs = rows(project.direct_url, "select id, created_by from public.job_queue")
    assert {"id": started.job_id, "created_by": user_id} in jobs


def test_every_page_works(
    project: Stack,
    generated: tuple[UUID, Started, GenerationUpdate],
    eventually: Callable[..., Any],
    page: Page,
) -> None:
    said: list[str] = []
    page.on("console", lambda message: note(said, message))
    page.on("pageerror", lambda error: said.append(str(error)))
    with apps(eventually) as make:
        app = make(**project.settings).start()
        page.goto(app.url)
        sidebar = page.get_by_test_id("stSidebar")
        expect(sidebar).to_contain_text("transaction pooler", timeout=LONG)
        expect(sidebar).to_contain_text(project.settings["DARKROOM_FUNCTIONS_URL"])
        faults: dict[str, list[str]] = {}
        for path in map(page_path, PAGES):
            page.goto(f"{app.url}{path}")
            page.wait_for_function(READY, timeout=LONG)
            text = page.get_by_test_id("stMain").inner_text()
            for wrong in ("Database unreachable", "Traceback", SECRET):
                if wrong in text:
                    said.append(f"shows {wrong!r}")
            if said:
                faults[path] = said.copy()
            said.clear()
        page.goto(f"{app.url}/job?id={generated[1].job_id}")
        image = page.get_by_role("img", name=GENERATION["prompt"])
        expect(image).to_have_attribute(
            "src", re.compile(f"^{project.settings['SUPABASE_URL']}/storage/"), timeout=LONG
        )
        assert image.evaluate("image => image.decode().then(() => image.naturalWidth)") == 512
    assert faults == {}


def test_pg_cron_is_scheduled_by_button_and_calls_the_functions(
    project: Stack, eventually: Callable[..., Any], page: Page
) -> None:
    functions = f"{project.settings['DARKROOM_FUNCTIONS_URL']}/functions/v1"
    page.set_viewport_size({"width": 1440, "height": 3000})
    with apps(eventually) as make, connect(project.direct_url) as conn:
        conn.execute("insert into vault.secrets values ('darkroom_secret_key', %s)", [SECRET])
        app = make(**project.settings).start()
        page.goto(f"{app.url}/workers")
        main, dialog = page.get_by_test_id("stMain"), page.get_by_role("dialog")
        main.get_by_role("button", name="Schedule process-jobs").click(timeout=LONG)
        shown = f"'* * * * *', '{functions}/process-jobs', 'darkroom_secret_key', 10);"
        expect(dialog).to_contain_text(shown, timeout=LONG)
        dialog.get_by_role("button", name="Schedule process-jobs", exact=True).click()
        expect(page.get_by_text("process-jobs scheduled: every minute.")).to_be_visible(
            timeout=LONG
        )
        [request] = eventually(lambda: send_requests(conn), 70)
        assert (request["url"], request["headers"]["apikey"]) == (
            f"{functions}/process-jobs",
            SECRET,
        )
        # On a slow machine the first call may time out; the next follows a minute later.
        runs = "select response_status, response_error, response_text from public.cron_runs(null)"
        deadline = time.monotonic() + 130
        while not any(run["response_status"] == 200 for run in rows(project.direct_url, runs)):
            assert time.monotonic() < deadline, rows(project.direct_url, runs)
            time.sleep(1)
        answered = "HTTP 200: Jobs processed: 0, errors: 0"
        expect(main.locator("canvas", has_text=answered)).to_have_count(1, timeout=LONG)
        main.get_by_role("button", name="Remove schedule").click()
        dialog.get_by_role("button", name="Remove schedule").click()
        expect(page.get_by_text("process-jobs removed.")).to_be_visible(timeout=LONG)
        assert rows(project.direct_url, "select jobid from cron.job") == []
        assert SECRET not in page.content()
        assert SECRET not in app.log.read_text()


def note(said: list[str], message: ConsoleMessage) -> None:
    # Opened at a page, Streamlit looks for its server below that address first.
    if message.type == "error" and "/_stcore/" not in message.location["url"]:
        said.append(f"{message.text} {message.location['url']}")
