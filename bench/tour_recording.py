"""The README's recording: from a prompt to its image, as an animated WebP.

    python -m bench.tour_recording [--to FILE]

Starts the app on a fresh data folder, types a prompt on Generate, presses the button, and films the
page in real time until the image is there. Take it on an idle machine, where more frames fit in.
"""

import argparse
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, expect

from bench.browser import PROJECT, chromium
from bench.pictures import SETTINGS, app, still

RECORDING = PROJECT / "docs" / "prompt-to-image.webp"
VIEW = {"width": 1200, "height": 720}
SIZE = (1000, 600)
"""Of the recording, in pixels."""
PROMPT = "A lighthouse on a cliff at sunset"
KEYSTROKES, KEYSTROKES_MS = 3, 150
"""Characters typed between two frames, and how long each of these frames is shown."""
PATIENCE_SECONDS = 60.0
SEEN_MS = 2_500
"""How long the image stays before the recording begins again."""
QUALITY = 60


@dataclass
class Frame:
    """A picture of the page, and how long it is shown."""

    picture: bytes
    milliseconds: int = 0


class Film:
    """Pictures of a page with the time between them; equal ones are one frame."""

    def __init__(self, page: Page) -> None:
        self.frames: list[Frame] = []
        self._page = page
        self._at = time.monotonic()

    def shoot(self) -> None:
        """Take the page as it is now."""
        picture, now = self._page.screenshot(animations="disabled"), time.monotonic()
        if self.frames:
            self.frames[-1].milliseconds += round(1000 * (now - self._at))
        self._at = now
        if not self.frames or self.frames[-1].picture != picture:
            self.frames.append(Frame(picture))


def main() -> None:
    parser = argparse.ArgumentParser(description="The README's recording of prompt to image.")
    parser.add_argument("--to", type=Path, default=RECORDING, help=f"file (default: {RECORDING})")
    target = parser.parse_args().to
    os.environ |= SETTINGS | {"DARKROOM_SIMULATOR_SPEED": "1"}
    with app() as (running, _), chromium() as browser:
        context = browser.new_context(viewport=VIEW, color_scheme="light", locale="en-GB")
        page = context.new_page()
        page.goto(f"{running.url}/generate")
        frames = filmed(page)
        context.close()
    save(frames, target)
    seconds = sum(frame.milliseconds for frame in frames) / 1000
    print(f"{len(frames)} frames, {seconds:.1f} s, {target.stat().st_size / 1000:.0f} kB")


def filmed(page: Page) -> list[Frame]:
    """Type the prompt, generate, and film until the image stands still."""
    still(page)
    prompt = page.get_by_label("Prompt", exact=True)
    film = Film(page)
    for part in parts(PROMPT):
        prompt.press_sequentially(part)
        film.shoot()
    for frame in film.frames:
        frame.milliseconds = KEYSTROKES_MS
    page.get_by_role("button", name="Generate 1 image").click()
    image = page.get_by_role("img", name=PROMPT)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not image.is_visible() and time.monotonic() < deadline:
        film.shoot()
    expect(image).to_be_visible()
    still(page)
    film.shoot()
    film.frames[-1].milliseconds = SEEN_MS
    return film.frames


def parts(text: str) -> Iterator[str]:
    for start in range(0, len(text), KEYSTROKES):
        yield text[start : start + KEYSTROKES]


def save(frames: Sequence[Frame], target: Path) -> None:
    """Write the frames as an animated WebP that repeats."""
    first, *others = [smaller(frame.picture) for frame in frames]
    first.save(
        target,
        save_all=True,
        append_images=others,
        duration=[frame.milliseconds for frame in frames],
        loop=0,
        quality=QUALITY,
        method=4,
    )


def smaller(picture: bytes) -> Image.Image:
    with Image.open(BytesIO(picture)) as opened:
        return opened.convert("RGB").resize(SIZE, Image.Resampling.LANCZOS)


if __name__ == "__main__":
    main()
