"""Removal of everything the self-test created: rows, users and stored images."""

import asyncio
from collections.abc import Sequence
from typing import Any

from lib.checks.check import Finding
from lib.checks.selftest.context import RunContext
from lib.checks.selftest.result import CheckFailed
from lib.formats import plural
from lib.storage import Storage

WAIT_SECONDS = 60.0
"""How long to wait for a generation that is still running: if it were deleted now, the worker
would store its image afterwards."""
POLL_SECONDS = 0.1


async def remove_leftovers(context: RunContext) -> Finding:
    """Remove leftovers of runs that were killed more than 15 minutes ago."""
    removed = await context.query("remove", run=None)
    await asyncio.to_thread(_delete_images, context.target.storage, removed["storage_paths"])
    if not (removed["generations"] or removed["users"]):
        return Finding("ok", "No leftovers.")
    return Finding("ok", f"Removed from earlier runs: {_counts(removed)}.")


async def remove_run(context: RunContext) -> Finding:
    """Remove everything this run created."""
    try:
        async with asyncio.timeout(WAIT_SECONDS):
            await _wait_until_finished(context)
        unfinished = False
    except TimeoutError:
        unfinished = True
    removed = await context.query("remove", run=context.run)
    kept = await asyncio.to_thread(_delete_images, context.target.storage, removed["storage_paths"])
    if unfinished:
        raise CheckFailed(
            f"Removed: {_counts(removed)}. One generation was still running after"
            f" {WAIT_SECONDS:g} s, so its image may still be stored later.",
            "Check the worker's log for the cause. The image contains no user data, only a test"
            " picture.",
        )
    elsewhere = (
        f" Not in this app's storage, so not deleted: {plural(len(kept), 'file')},"
        f" {', '.join(kept)}."
    )
    return Finding("ok", f"Removed: {_counts(removed)}.{elsewhere if kept else ''}")


async def _wait_until_finished(context: RunContext) -> None:
    while True:
        if not await context.query("unfinished", run=context.run):
            return
        await asyncio.sleep(POLL_SECONDS)


def _counts(removed: Any) -> str:
    return ", ".join(plural(removed[f"{name}s"], name) for name in ("generation", "job", "user"))


def _delete_images(storage: Storage, paths: Sequence[str]) -> list[str]:
    """Delete images and thumbnails from our storage and return the paths not found there."""
    return [path for path in paths if not storage.delete(path)]
