"""A model on a Cog server for one's own: added on Models or in a shell, run, down for itself."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cog_server import MODEL, cog_server
from environment import bare
from playwright.sync_api import Page, expect
from running_app import PROJECT, App

pytestmark = pytest.mark.slow

LONG = 30_000
SCHNELL = "black-forest-labs/flux-schnell"
ENDED = "select id from public.job_queue where status in ('pending', 'processing')"


def start(app: App, prompt: str, **more: Any) -> None:
    app.call("start-generation", {"prompt": prompt} | more)


def models_command(app: App, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lib.ops.models", *arguments],
        cwd=PROJECT,
        env=bare(DARKROOM_DATA=str(app.folder)),
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_model_on_ones_own_server(
    make_app, page: Page, tmp_path: Path, eventually: Callable[..., Any]
):
    page.set_viewport_size({"width": 1440, "height": 1200})
    app = make_app(DARKROOM_SAMPLE_DATA="0", DARKROOM_SIMULATOR_SPEED="20").start()
    dialog = page.get_by_role("dialog")
    show = dialog.get_by_role("button", name="Show model")
    with cog_server(tmp_path / "cog") as server:
        page.goto(f"{app.url}/models")
        page.get_by_role("button", name="Add model").click(timeout=LONG)
        dialog.get_by_role("textbox", name="Model", exact=True).fill(MODEL, timeout=LONG)
        address = dialog.get_by_role("textbox", name="Your Cog server (optional)")
        for url, answer in (
            ("http://ann:secret@127.0.0.1", "without a user, password or query"),
            ("http://127.0.0.1:9", f"The Cog server for {MODEL} does not respond"),
        ):
            address.fill(url)
            show.click()
            expect(dialog).to_contain_text(answer, timeout=LONG)
        address.fill(server.url)
        show.click()
        # Without the scheme, which is broken up so that no text becomes a link.
        place = server.url.removeprefix("http")
        expect(dialog).to_contain_text(f"{place}. Output: a list", timeout=LONG)
        dialog.get_by_role("button", name="Add model").click()
        expect(page.get_by_text(f"{MODEL} added.")).to_be_visible(timeout=LONG)
        expect(page.get_by_text(f"Runs on cog at {server.url}.")).to_be_visible(timeout=LONG)

        for number in range(3):
            start(app, f"at home {number}", model_id=MODEL)
        eventually(lambda: not app.rows(ENDED), 60)
        jobs = app.rows("select status, attempts, error_details from public.job_queue")
        assert [job["status"] for job in jobs] == ["completed"] * 3
        assert [job["error_details"] for job in jobs] == [None] * 3, "a busy server is no error"
        made = app.rows("select provider, status, predict_seconds > 0 as ran from predictions")
        assert made == [{"provider": "cog", "status": "succeeded", "ran": True}] * 3

        server.kill()
        for number in range(5):
            start(app, f"down {number}", model_id=MODEL)
        broken = "select provider from public.provider_breakers where open_until is not null"
        eventually(lambda: app.rows(broken) == [{"provider": f"cog at {server.url}"}], 60)
        start(app, "elsewhere", model_id=SCHNELL)
        elsewhere = "select status from image_generations where prompt = 'elsewhere'"
        eventually(lambda: app.rows(elsewhere) == [{"status": "completed"}], 60)
        page.goto(app.url)
        down = page.get_by_text(re.compile(rf"Provider cog at http.?{place} down for"))
        expect(down.first).to_be_visible(timeout=LONG)

        server.start()
        app.rows(
            "with probe as (update public.provider_breakers set open_until = now())"
            " update public.job_queue set scheduled_at = now() where status = 'pending'"
            " returning id"
        )
        eventually(lambda: not app.rows(ENDED), 90)
        failed = app.rows("select status from public.job_queue where status <> 'completed'")
        assert failed == []

        moved = server.url.replace("127.0.0.1", "localhost")
        again = models_command(app, "refresh", MODEL, "--provider", "cog", "--url", moved, "--yes")
        assert again.stdout.splitlines() == [f"Server: {server.url} → {moved}.", f"{MODEL} saved."]
        other = ("add", "home/other", "--provider", "cog", "--url", server.url)
        shown = models_command(app, *other)
        assert shown.stdout.startswith(f"home/other (cog at {server.url}), output a list of images")
        assert models_command(app, *other, "--yes").returncode == 0
        wrong = models_command(app, "add", "a/b", "--provider", "cog", "--url", "ftp://gpu")
        assert (wrong.returncode, "invalid server address" in wrong.stderr) == (1, True)
        page.goto(f"{app.url}/models?model={MODEL}")
        expect(page.get_by_text(f"Runs on cog at {moved}.")).to_be_visible(timeout=LONG)
