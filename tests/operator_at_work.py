"""An operator whose clicks are counted."""

import re
import time

from playwright.sync_api import Locator, Page, expect
from running_app import App

LONG = 60_000


class Operator:
    """Somebody at the Overview, whose clicks and seconds are counted."""

    def __init__(self, page: Page, app: App) -> None:
        self.page = page
        self.clicks = 0
        page.goto(app.url)
        # The last part of the Overview.
        expect(page.get_by_role("heading", name="Running jobs")).to_be_visible(timeout=LONG)
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    def click(self, target: Locator, **where: object) -> None:
        self.clicks += 1
        target.click(timeout=LONG, **where)

    def type(self, field: Locator, text: str, key: str = "") -> None:
        """Counts as one click, with the key that is pressed afterwards."""
        self.clicks += 1
        field.fill(text, timeout=LONG)
        if key:
            field.press(key)

    def sees(self, target: Locator) -> None:
        expect(target.first).to_be_visible(timeout=LONG)

    def link(self, name: str) -> Locator:
        return self.page.get_by_test_id("stMain").get_by_role("link", name=name).first

    def sidebar(self, name: str) -> Locator:
        links = self.page.get_by_test_id("stSidebar").get_by_role(
            "link", name=re.compile(f"^{name}")
        )
        return links.first

    def tab(self, name: str) -> Locator:
        return self.page.get_by_role("radio", name=name, exact=True)

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    def confirm(self, name: str) -> None:
        self.click(self.page.get_by_role("dialog").get_by_role("button", name=name, exact=True))
