"""Is the queue healthy? The verdict that an operator reads first."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from lib.actions import ALL_TYPES
from lib.formats import duration, share

# The deployment guide's alert on failures: more than a tenth, counted once there are enough.
FAILURE_SHARE, FAILURE_MINIMUM = 0.1, 10
OLDEST_DUE_SECONDS = 300
# Without a long-lived worker, cron wakes one every minute.
CRON_SECONDS = 90


@dataclass(frozen=True, slots=True)
class Verdict:
    """`level` is what to do: nothing, look soon, or act; `reason` says why, in a sentence."""

    level: Literal["good", "look", "act"]
    reason: str


def verdict(now: Mapping[str, Any]) -> Verdict:
    """The verdict on one row of the overview's `now` query: the worst that is true."""
    ended = now["last_hour_completed"] + now["last_hour_failed"]
    due, oldest = now["due"], now["oldest_due_seconds"]
    if now["paused"]:
        types = ", ".join("all jobs" if type == ALL_TYPES else type for type in now["paused"])
        return Verdict("look", f"The claiming of {types} is paused. Due and waiting: {due:,}.")
    if now["down"]:
        return Verdict(
            "act",
            f"The provider {now['down'][0]['provider']} is down since {now['down'][0]['since']}:"
            f" its jobs wait until it answers again. {now['down'][0]['reason']}",
        )
    if due and not now["workers_alive"] and oldest > CRON_SECONDS:
        return Verdict("act", f"Due jobs wait ({due:,}) and no worker is alive: start a worker.")
    if due and oldest > OLDEST_DUE_SECONDS:
        return Verdict("act", f"A job has waited for {duration(oldest)}: workers cannot keep up.")
    if ended >= FAILURE_MINIMUM and now["last_hour_failed"] / ended > FAILURE_SHARE:
        failed = share(now["last_hour_failed"], ended)
        return Verdict("act", f"{failed} of the jobs of the last hour failed.")
    if now["stuck"]:
        return Verdict("look", f"{now['stuck']:,} stuck: no worker has shown life for them.")
    if not now["workers_alive"]:
        return Verdict("look", "Nothing waits, but no worker is alive.")
    if not (ended or due or now["processing"]):
        return Verdict("good", "Nothing waits, and a worker is ready.")
    return Verdict("good", "Jobs are picked up and finished.")
