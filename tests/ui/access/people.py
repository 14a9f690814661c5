"""Who may sign in, and how they do."""

from typing import Any

from playwright.sync_api import Page, expect
from provider import Provider
from running_app import App

from lib.database.pool import Connection

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


def audit(rows: Connection) -> list[tuple[str, str]]:
    """Who did what, in order."""
    found = rows.execute("select actor, action from audit_log order by id").fetchall()
    return [(row["actor"], row["action"]) for row in found]


def stuck(rows: Connection, job_type: str = "a") -> None:
    """One more stuck job."""
    rows.execute(
        "insert into job_queue (job_type, status, attempts, started_at, updated_at)"
        " values (%s, 'processing', 1, now() - interval '1 hour', now() - interval '1 hour')",
        [job_type],
    )


def see_stuck(page: Page, app: App) -> None:
    """Opens the stuck jobs and waits until the one that there is is shown.

    What pages show is some seconds old, and shared by all.
    """
    page.goto(f"{app.url}/jobs?view=stuck")
    page.get_by_role("button", name="Reset all 1").wait_for(timeout=LONG)
