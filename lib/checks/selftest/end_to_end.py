"""End-to-end check: a generation becomes an image that a browser can fetch."""

import asyncio
from urllib.parse import urljoin

import httpx

from lib.checks.check import Finding
from lib.checks.selftest.context import RunContext
from lib.checks.selftest.functions import generation_failed, skip_if_held
from lib.checks.selftest.result import CheckFailed
from lib.formats import duration

POLL_SECONDS = 0.1
SECONDS = 150.0
"""How long the generation may take, including the time it is pending."""


async def start_to_image(context: RunContext) -> Finding:
    """Follow the generation of the check start-generation until its image can be fetched."""
    assert context.generation_id is not None
    generation = await context.query("generation", generation_id=context.generation_id)
    while generation and generation["status"] in ("queued", "processing"):
        await skip_if_held(context)
        if generation["seconds"] > SECONDS:
            raise CheckFailed(
                f"Still {generation['status']} after {duration(generation['seconds'])}"
                f" at {generation['progress']}%.",
                "If it never ends, check the worker's log. To shorten the queue ahead of it (Jobs,"
                " Pending), start more workers: python -m lib.worker",
            )
        await asyncio.sleep(POLL_SECONDS)
        generation = await context.query("generation", generation_id=context.generation_id)
    if generation is None:
        raise CheckFailed(
            "The functions responded, but the generation is not in this database.",
            "The functions and the self-test use different databases: set the same DATABASE_URL"
            " for both.",
        )
    if generation["status"] != "completed":
        raise generation_failed(generation["status"], generation["error_message"])
    if not generation["image_url"]:
        raise CheckFailed("Completed without an image_url.", "Update the worker to this version.")
    url = urljoin(f"{context.target.functions_url}/", generation["image_url"])
    return Finding("ok", f"Completed; {await _fetch_image(context, url)} at {url}")


async def _fetch_image(context: RunContext, url: str) -> str:
    try:
        response = await context.http.get(url, follow_redirects=True)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise CheckFailed(
            f"Completed, but {url} does not respond: {type(error).__name__}.",
            "Set DARKROOM_URL to the address at which browsers reach the app, for every worker,"
            " and restart the workers.",
        ) from error
    content_type = response.headers.get("content-type", "")
    if not (response.is_success and content_type.startswith("image/")):
        raise CheckFailed(
            f"Completed, but {url} returns HTTP {response.status_code} {content_type}.",
            "Workers must store images in the folder that the app serves. Share it between the"
            " machines, and set the same DARKROOM_DATA and DARKROOM_URL everywhere.",
        )
    return f"{content_type} of {len(response.content) / 1024:,.0f} KiB"
