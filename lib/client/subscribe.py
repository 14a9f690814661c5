"""Subscribe to a generation of a Supabase project."""

from collections.abc import Callable
from functools import partial
from uuid import UUID

from .subscription import Subscription

AccessToken = str | Callable[[], str]
"""A signed-in user's token, or a function that returns the current one: tokens expire."""


def subscribe_to_generation(
    generation_id: UUID | str,
    *,
    supabase_url: str,
    supabase_key: str,
    access_token: AccessToken | None = None,
    timeout: float | None = None,
    read_seconds: float | None = None,
) -> Subscription:
    """The updates of a generation until its end: iterate with `async for`, or `for` in a script.

    With a publishable key, pass the `access_token` of the generation's user, since row-level
    security shows it to no one else.

    Connection failures, including the first attempt, are logged and retried. `timeout` in seconds
    covers the whole loop. The row is read on each notification and every `read_seconds` without
    one: by default 10, or 1 while Realtime is not connected.

    The loop raises GenerationNotFound, SubscriptionTimeout, and SubscriptionRefused when the
    project rejects the key or the token; this call raises ValueError for a malformed ID or a
    `read_seconds` that is not positive.
    """
    # Imported on first use: Supabase's client takes half a second to load.
    from .realtime import Project, realtime_session

    id = UUID(str(generation_id))
    token = access_token if callable(access_token) else partial(str, access_token or supabase_key)
    project = Project(supabase_url.rstrip("/"), supabase_key, token)
    return Subscription(
        id, partial(realtime_session, project, id), timeout=timeout, read_seconds=read_seconds
    )
