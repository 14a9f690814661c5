"""Who may sign in, and how they do."""

from typing import Any

from playwright.sync_api import Page, expect
from provider import Provider
from running_app import App

PEOPLE = {role: f"{role}@studio.example" for role in ("admin", "operator", "viewer")}
LISTS = {f"DARKROOM_{role.upper()}S": address for role, address in PEOPLE.items()}
LONG = 30_000


def secrets(auth: str, lists: dict[str, str]) -> str:
    """The text of a secrets.toml."""
    return "".join(f'{name} = "{value}"\n' for name, value in lists.items()) + auth


def sign_in(page: Page, app: App, provider: Provider, **claims: Any) -> None:
    """Signs in somebody with these claims, at the page that asks for it."""
    provider.claims = {"sub": claims.get("email", "somebody"), "email_verified": True} | claims
    page.goto(app.url)
    page.get_by_role("button", name="Sign in", exact=True).click(timeout=LONG)
    expect(page.get_by_role("button", name="Sign out")).to_be_visible(timeout=LONG)
