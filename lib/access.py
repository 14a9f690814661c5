"""Who may do what: viewers look, operators act on jobs, admins change how the system is set up."""

from enum import IntEnum


class Role(IntEnum):
    """Each may do what those before it may."""

    VIEWER = 1
    OPERATOR = 2
    ADMIN = 3


class AccessDenied(Exception):
    """Who is looking may not do this; the message says who may."""


def role() -> Role:
    """The role of who is looking. Without sign-in, whoever reaches the app is its admin."""
    return Role.ADMIN


def require(needed: Role) -> None:
    """Raises AccessDenied for who has less than that role. Every action begins with it."""
    if role() < needed:
        raise AccessDenied(
            f"This takes the role {needed.name.lower()}; yours is {role().name.lower()}."
        )
