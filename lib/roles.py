"""Roles: viewers look, operators act on jobs, admins configure the system."""

from enum import IntEnum


class Role(IntEnum):
    """Each may do what those before it may."""

    VIEWER = 1
    OPERATOR = 2
    ADMIN = 3


class AccessDenied(Exception):
    """Who is looking may not do this; the message says who may."""
