"""Pictures of every page for the documentation: docs/pictures/ and the gallery docs/pictures.md.

    python -m bench.pictures [--only PAGE,…] [--to FOLDER]

Starts the app on a fresh data folder with sample history, does there what operators do, and takes
each page at 1440x900 and 390x844, light and dark, once all of it is painted and stands still.
"""

import argparse
import ast
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Literal
from uuid import UUID, uuid4

from PIL import Image
from playwright.sync_api import Browser, Page

from bench.browser import PROJECT, App, chromium, running_app
from lib.checks.deployment.progress import tick
from lib.database import Pool, embedded, load, open_pool
from lib.ops.fault_injection import PRESETS, inject, with_model
from lib.ops.maintenance.tasks import record
from lib.ops.test_runs.runs import start_run
from lib.ops.test_runs.submission import Submission
from lib.provider.simulator.faults import FaultFile, Faults
from lib.queue.operator_actions import (
    pause_queue,
    reset_stuck_jobs,
    resume_queue,
    retry_jobs,
    set_async_rollout,
    set_user_limits,
)
from lib.settings.keys import local_keys
from lib.ui.pages import PAGES, page_path

PICTURES, GALLERY = PROJECT / "docs" / "pictures", PROJECT / "docs" / "pictures.md"
SIZES = {1440: 900, 390: 844}
# By their browser's name the app knows phones, and shows them fewer columns.
PHONE = (
    "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{}"
    " Mobile Safari/537.36"
)
SHARES = {1440: "36%", 390: "12%"}
"""Of a row of the gallery: all four pictures of a page side by side."""
Theme = Literal["light", "dark"]
THEMES: tuple[Theme, ...] = ("light", "dark")
INTRODUCTION = (
    "Taken from the running app by `python -m bench.pictures`, on sample history: at 1440 by 900"
    " and at 390 by 844 pixels, light and dark. Below each title, the question that the page"
    " answers."
)
MODELS = ("black-forest-labs/flux-schnell", "black-forest-labs/flux-dev", "stability-ai/sdxl")
PROMPT = "A lighthouse on a cliff, watercolour, golden hour"
PEOPLE = ("ann", "ben")
SETTINGS = {
    "DARKROOM_SIMULATOR_SPEED": "4",
    "DARKROOM_SIMULATOR_FAILURE_RATE": "0",
    # Who acts on the pages.
    "LOGNAME": PEOPLE[0],
}
PATIENCE_SECONDS = 60.0
# Nothing runs, waits or is stale; every chart, table and image has its picture; no font is missing.
# So for ten frames, since tables and charts draw themselves a moment after their place is there.
SETTLED = """() => {
  const seen = (element) => element.getBoundingClientRect().width > 0;
  const all = (selector) => [...document.querySelectorAll(selector)].filter(seen);
  const id = (name) => `[data-testid=${name}]`;
  const drawn = ['stVegaLiteChart', 'stEChartsChart', 'stMetricChart', 'stDataFrame', 'stMermaid'];
  const busy = ['stSkeleton', 'stSpinner', 'stStatusWidget', 'stToast'].map(id);
  const settled = document.querySelector(id('stApp'))?.dataset.testScriptState === 'notRunning'
    && document.querySelector('h1')
    && !all([...busy, '[data-stale=true]'].join()).length
    && all(drawn.map(id).join()).every((one) => [...one.querySelectorAll('svg, canvas')].some(seen))
    && all('img').every((one) => one.complete && one.naturalWidth)
    && document.fonts.status === 'loaded';
  window.settledFrames = settled ? (window.settledFrames ?? 0) + 1 : 0;
  return window.settledFrames > 10;
}"""
# Counts when the page begins and ends to draw itself anew.
WATCH = """
window.changes = 0;
new MutationObserver((seen) => { window.changes += seen.length; }).observe(document, {
  subtree: true, attributes: true, attributeFilter: ['data-test-script-state', 'data-stale'],
});
"""


@dataclass(frozen=True)
class Shown:
    """A page as it is pictured."""

    file: str
    title: str
    path: str

    @property
    def question(self) -> str:
        """What the page answers, as its file says."""
        source = (PROJECT / "pages" / f"{self.file}.py").read_text()
        return str(ast.get_docstring(ast.parse(source)))


def main() -> None:
    parser = argparse.ArgumentParser(description="Pictures of every page for the documentation.")
    parser.add_argument("--only", default="", help="files of pages, with commas between")
    parser.add_argument("--to", type=Path, default=PICTURES, help="folder (default: docs/pictures)")
    options = parser.parse_args()
    only = [name for name in options.only.split(",") if name]
    began = time.monotonic()
    os.environ |= SETTINGS
    options.to.mkdir(exist_ok=True)
    with app() as (running, folder), pool_of(folder) as pool:
        pages = shown(prepared(running, folder, pool), only)
        with chromium() as browser:
            for width in SIZES:
                for theme in THEMES:
                    take_all(browser, running.url, pages, theme, width, options.to)
    if not only and options.to == PICTURES:
        GALLERY.write_text(gallery(pages))
    taken = [file.stat().st_size for file in options.to.glob("*.webp")]
    print(f"{len(taken)} pictures, {sum(taken) / 1e6:.1f} MB, {time.monotonic() - began:.0f} s")


@contextmanager
def app() -> Iterator[tuple[App, Path]]:
    """The app on a data folder of its own, and that folder."""
    with tempfile.TemporaryDirectory(prefix="darkroom-pictures-") as name:
        folder = Path(name)
        # As root the database server runs as another OS user.
        folder.chmod(0o755)
        try:
            with running_app(None, folder) as running:
                yield running, folder
        finally:
            embedded.start(folder / "postgres").stop()


@contextmanager
def pool_of(folder: Path) -> Iterator[Pool]:
    url = embedded.start(folder / "postgres").url
    with open_pool(url, application_name="darkroom pictures") as pool:
        yield pool


def prepared(running: App, folder: Path, pool: Pool) -> dict[str, str]:
    """Does what operators do. The paths of pages that show one of many things, by their files."""
    operate(folder, pool)
    run = generate(running, folder, pool)
    # A job of the run, so that its picture is there; all have ended meanwhile.
    [job, *_] = ended(pool, run)
    subprocess.run(
        [sys.executable, "-m", "lib.checks.selftest"],
        cwd=PROJECT,
        env=os.environ | {"DARKROOM_DATA": str(folder), "DARKROOM_URL": running.url},
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return {"generate": f"/generate?run={run}", "job": f"/job?id={job['job_id']}"}


def operate(folder: Path, pool: Pool) -> None:
    """A week's work of two operators, in a moment."""
    ann, ben = PEOPLE
    with pool.connection() as connection:
        failed = load("failures").failed_ids(
            connection, key=None, start=None, length="24 hours", most=1_000
        )
        [stuck] = load("jobs").stuck(
            connection,
            model_id=None,
            job_type=None,
            after="-infinity",
            after_id=UUID(int=0),
            most=1,
        )
        [user, *_] = load("users").most_active(connection, start=None, length="7 days")
    set_async_rollout(pool, ben, 5)
    set_async_rollout(pool, ben, 25)
    set_user_limits(pool, ben, user["user_id"], 400, 60)
    pause_queue(pool, ann, reason="Replicate is under maintenance")
    resume_queue(pool, ann)
    retry_jobs(pool, ann, [job["id"] for job in failed[-3:]])
    reset_stuck_jobs(pool, ann, [stuck["id"]])
    faults = FaultFile(folder / "replicate")
    inject(pool, ben, faults, with_model(Faults(), MODELS[2], PRESETS["Slow"]))
    inject(pool, ben, faults, Faults())
    for task in ("failures", "health", "trends"):
        record(pool, ann, task)
    for point in ("team-trained", "alerts-reach"):
        tick(pool, ben, point, True)


def generate(running: App, folder: Path, pool: Pool) -> UUID:
    """Submits a test run."""
    run = uuid4()
    asked = Submission(
        prompt=PROMPT,
        negative_prompt="",
        models=MODELS,
        width=1216,
        height=832,
        seed=7,
        images=1,
        load_test=False,
        jobs=1,
        per_second=1.0,
    )
    with pool.connection() as connection:
        models = {model["id"]: model for model in load("generate").models(connection)}
    start_run(pool, PEOPLE[0], running.url, local_keys(folder).secret, run, asked, models)
    return run


def ended(pool: Pool, run: UUID) -> Sequence[Mapping[str, Any]]:
    """The jobs of a run, once all have ended."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        with pool.connection() as connection:
            jobs = list(load("generate").jobs(connection, run=run))
        if len(jobs) == len(MODELS) and all(job["status"] == "completed" for job in jobs):
            return jobs
        if time.monotonic() > deadline:
            raise SystemExit(f"The test run has not ended: {[job['status'] for job in jobs]}.")
        time.sleep(0.2)


def shown(paths: Mapping[str, str], only: Sequence[str] = ()) -> list[Shown]:
    """The pages of the navigation, or those asked for."""
    return [
        Shown(file, page.title, paths.get(file, page_path(file)))
        for file, page in PAGES.items()
        if not only or file in only
    ]


def take_all(
    browser: Browser, url: str, pages: Sequence[Shown], theme: Theme, width: int, folder: Path
) -> None:
    """Takes every page, in a browser that was here before, as an operator's has."""
    context = browser.new_context(
        viewport={"width": width, "height": SIZES[width]},
        color_scheme=theme,
        locale="en-GB",
        timezone_id="UTC",
        user_agent=PHONE.format(browser.version) if width == min(SIZES) else None,
    )
    context.add_init_script(WATCH)
    page = context.new_page()
    for one in pages:
        page.goto(f"{url}{one.path}")
        with Image.open(BytesIO(still(page))) as picture:
            picture.save(folder / name_of(one, theme, width), lossless=True, method=4)
    context.close()


def still(page: Page) -> bytes:
    """The page once it is painted, and while it is."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        page.wait_for_function(SETTLED, timeout=PATIENCE_SECONDS * 1000)
        before = page.evaluate("window.changes")
        taken = page.screenshot(animations="disabled")
        # A live page may have drawn itself anew meanwhile.
        if page.evaluate(SETTLED) and page.evaluate("window.changes") == before:
            return taken
    raise SystemExit(f"{page.url} does not stand still.")


def name_of(one: Shown, theme: str, width: int) -> str:
    return f"{one.file.replace('_', '-')}-{theme}-{width}.webp"


def gallery(pages: Sequence[Shown]) -> str:
    """docs/pictures.md: every page with its question, wide and narrow, light and dark."""
    parts = ["# Every page in pictures", INTRODUCTION]
    for one in pages:
        parts += [f"## {one.title}", one.question, "\n".join(images(one))]
    return "\n\n".join(parts) + "\n"


def images(one: Shown) -> Iterator[str]:
    for width, share in SHARES.items():
        for theme in THEMES:
            source = f"{PICTURES.name}/{name_of(one, theme, width)}"
            alt = f"{one.title}, {theme}, {width} pixels wide"
            yield f'<img src="{source}" width="{share}" alt="{alt}">'


if __name__ == "__main__":
    main()
