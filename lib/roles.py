"""Roles: viewers look, operators act on jobs, admins configure the system."""

from enum import IntEnum


class Role(IntEnum):
    """Each role includes the rights of those before it."""

    VIEWER = 1
    OPERATOR = 2
    ADMIN = 3


class AccessDenied(Exception):
    """The viewer lacks the required role; the message says who has it."""
