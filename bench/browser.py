"""The app as its users see it: a process of its own, and Chromium looking at it."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

PROJECT = Path(__file__).parent.parent
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# Notes when the script has ended and every chart, table and image has its picture, and when the
# Overview's strip and figures were there, in milliseconds since the navigation or the click on a
# link of the sidebar; looked at before each frame.
WATCH = """
(() => {
  const drawn = '[data-testid=stVegaLiteChart], [data-testid=stEChartsChart],'
    + ' [data-testid=stMetricChart], [data-testid=stDataFrame]';
  const visible = (element) => element.getBoundingClientRect().width > 0;
  const heading = () => document.querySelector('h1')?.textContent;
  const fresh = (id) => [...document.querySelectorAll(`[data-testid=${id}]`)].filter(
    (element) => visible(element) && !element.closest('[data-stale=true]')).length;
  const watch = (began, left) => {
    window.paintedAfter = window.figuresAfter = undefined;
    const look = () => {
      const app = document.querySelector('[data-testid=stApp]');
      if (!window.figuresAfter && heading() && heading() !== left && fresh('stAlert')
        && fresh('stMetric') >= 5) {
        // What is posted before a frame with this priority runs as soon as the frame is painted.
        scheduler.postTask(() => { window.figuresAfter ??= performance.now() - began; },
          {priority: 'user-blocking'});
      }
      const done = app && app.dataset.testScriptState === 'notRunning'
        && heading() && heading() !== left && !document.querySelector('[data-testid=stSkeleton]')
        && [...document.querySelectorAll(drawn)].filter(visible).every(
          (chart) => [...chart.querySelectorAll('svg, canvas')].some(visible))
        && [...document.images].every((image) => image.complete);
      if (done) requestAnimationFrame(() => { window.paintedAfter = performance.now() - began; });
      else requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
  };
  watch(0);
  window.follow = (path) => {
    const links = [...document.querySelectorAll(
      '[data-testid=stSidebar] [data-testid=stPageLink-NavLink]')];
    // The link to the home page is empty, so that it would resolve to the open page.
    const target = (link) => new URL(link.getAttribute('href') || '/', location.origin).pathname;
    const link = links.find((link) => target(link) === path);
    watch(performance.now(), heading());
    link.click();
  };
})();
"""


@dataclass(frozen=True)
class App:
    """A running app: where, and as which process."""

    url: str
    pid: int


@contextmanager
def running_app(database_url: str | None, folder: Path) -> Iterator[App]:
    """Runs `streamlit run app.py` on the database, with an own data folder.

    Without a database on the embedded one, with its worker.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    log = folder / "app.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "streamlit", "run", "app.py", f"--server.port={port}"],
            cwd=PROJECT,
            env=os.environ | {"DATABASE_URL": database_url or "", "DARKROOM_DATA": str(folder)},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        while not answers(url):
            if process.poll() is not None:
                raise RuntimeError(f"The app did not start: {log.read_text()}")
            time.sleep(0.05)
        yield App(url, process.pid)
    finally:
        process.terminate()
        process.wait(60)


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/_stcore/health").is_success
    except httpx.TransportError:
        return False


def chromium_path() -> str:
    """Chromium or Chrome from the PATH. Raises SystemExit where there is none."""
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        raise SystemExit("No Chromium found: install one.")
    return path


@contextmanager
def chromium() -> Iterator[Browser]:
    """The browser, led by Playwright."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=FLAGS)
        yield browser
        browser.close()


def new_context(browser: Browser) -> BrowserContext:
    """A browser that was never here, on a desktop."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    context.set_default_timeout(60_000)
    context.add_init_script(WATCH)
    return context


def painted(page: Page, url: str) -> float:
    """Opens the page; seconds until the last of its charts and tables is painted."""
    page.goto(url)
    page.wait_for_function("window.paintedAfter")
    return float(page.evaluate("window.paintedAfter")) / 1000
