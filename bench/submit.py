"""How long after a click on Generate does the screen say so? Prints milliseconds.

    python -m bench.submit [submits]

The app on its embedded default, with sample history, in Chromium. Measured in the browser from the
click: until the page says that the job is queued, and until it says that a worker has it.
"""

import os
import sys
import tempfile
from pathlib import Path
from statistics import median

from playwright.sync_api import Page

from bench.browser import chromium, new_context, running_app

SUBMITS = 10
WORKED_ON = "Starting|Running|Storing"
# Looks before each frame, as a person would see it.
WATCH = """
() => {
  const seen = window.seen = {};
  const button = [...document.querySelectorAll('button')].find(
    (b) => b.innerText.startsWith('Generate 1'));
  const before = new Set(location.search.match(/run=[^&]*/) || []);
  button.addEventListener('click', () => {
    const clicked = performance.now();
    const look = () => {
      const now = performance.now() - clicked;
      const toast = [...document.querySelectorAll('[data-testid=stToast]')].some(
        (t) => t.innerText.includes('started') && !t.dataset.old);
      const here = location.search.match(/run=[^&]*/);
      const run = here && !before.has(here[0])
        && document.querySelectorAll('[data-testid=stProgress]');
      if (!seen.queued && (toast || run?.length)) seen.queued = now;
      if (!seen.processing && run && [...run].some((p) => /WORKED_ON/.test(p.innerText)))
        seen.processing = now;
      if (!seen.processing) requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
  }, {once: true});
  document.querySelectorAll('[data-testid=stToast]').forEach((t) => { t.dataset.old = 1; });
}
""".replace("WORKED_ON", WORKED_ON)


def submit(page: Page, number: int) -> tuple[float, float]:
    """Milliseconds from the click to "queued" and to "processing"."""
    page.get_by_label("Prompt", exact=True).fill(f"A lighthouse, number {number}")
    page.evaluate(WATCH)
    page.get_by_role("button", name="Generate 1 image").click()
    page.wait_for_function("window.seen.processing")
    seen = page.evaluate("window.seen")
    # The next one begins on a page at rest.
    page.get_by_role("img", name=f"A lighthouse, number {number}").wait_for()
    return float(seen["queued"]), float(seen["processing"])


def summary(name: str, times: list[float]) -> str:
    """The times in words, in milliseconds."""
    return f"click to {name}: median {median(times):.0f} ms, max {max(times):.0f} ms"


def main() -> None:
    """Measures and prints."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else SUBMITS
    with tempfile.TemporaryDirectory() as folder:
        # As root the server runs as another OS user.
        Path(folder).chmod(0o755)
        with running_app(None, Path(folder)) as app, chromium() as browser:
            page = new_context(browser).new_page()
            page.goto(f"{app.url}/generate")
            page.get_by_label("Prompt", exact=True).wait_for()
            page.wait_for_timeout(3000)
            submit(page, 0)
            load = os.getloadavg()[0]
            times = [submit(page, number) for number in range(1, count + 1)]
            later = os.getloadavg()[0]
    print(f"{count} submits after one to warm up; load before {load:.1f}, after {later:.1f}")
    print(summary("queued", [queued for queued, _ in times]))
    print(summary("processing", [processing for _, processing in times]))


if __name__ == "__main__":
    main()
