"""Follows one generation to its end.

- `following`: what is told and when, whatever happens to the connection.
- `database`: by LISTEN/NOTIFY, or polling where a pooler forbids LISTEN.
- `realtime`: by Supabase Realtime, with reads through PostgREST.
"""

from lib.subscription.following import (
    GenerationNotFound,
    GenerationUpdate,
    Subscription,
    SubscriptionError,
    SubscriptionRefused,
    SubscriptionTimeout,
)

__all__ = [
    "GenerationNotFound",
    "GenerationUpdate",
    "Subscription",
    "SubscriptionError",
    "SubscriptionRefused",
    "SubscriptionTimeout",
]
