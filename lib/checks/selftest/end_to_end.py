"""Does a generation become an image that a browser can fetch?"""

import asyncio

import httpx

from lib.checks.selftest.check import CheckFailed
from lib.checks.selftest.functions import generation_failed, skip_if_held
from lib.checks.selftest.trial import Trial
from lib.formats import duration

LOOK_SECONDS = 0.1
SECONDS = 150.0
"""How long the generation may take, waiting included."""


async def start_to_image(trial: Trial) -> str:
    """Follows what start-generation started until its image is fetched."""
    assert trial.generation_id is not None
    generation = await trial.ask("generation", generation_id=trial.generation_id)
    while generation and generation["status"] in ("queued", "processing"):
        await skip_if_held(trial)
        if generation["seconds"] > SECONDS:
            raise CheckFailed(
                f"Still {generation['status']} after {duration(generation['seconds'])}"
                f" at {generation['progress']} %.",
                "Look at the page Overview for what waits before it, and start more workers:"
                " python -m lib.worker. If it runs and does not end, look at the worker's log.",
            )
        await asyncio.sleep(LOOK_SECONDS)
        generation = await trial.ask("generation", generation_id=trial.generation_id)
    if generation is None:
        raise CheckFailed(
            "The functions answered, but the generation is not in this database.",
            "The functions and the self-test use different databases: set the same DATABASE_URL"
            " for both.",
        )
    if generation["status"] != "completed":
        raise generation_failed(generation["status"], generation["error_message"])
    image = await _fetched(trial, generation["image_url"])
    return f"Completed; {image} at {generation['image_url']}"


async def _fetched(trial: Trial, url: str | None) -> str:
    if not url:
        raise CheckFailed("Completed without an image_url.", "Update the worker to this version.")
    try:
        response = await trial.http.get(url, follow_redirects=True)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise CheckFailed(
            f"Completed, but {url} gives no answer: {type(error).__name__}.",
            "Set DARKROOM_URL to where browsers reach the app, for every worker, and restart them.",
        ) from error
    kind = response.headers.get("content-type", "")
    if not (response.is_success and kind.startswith("image/")):
        raise CheckFailed(
            f"Completed, but {url} gives HTTP {response.status_code} {kind}.",
            "Workers must store into the folder that the app serves: share it between their"
            " machines, and set the same DARKROOM_DATA and DARKROOM_URL for all.",
        )
    return f"{kind} of {len(response.content) / 1024:,.0f} KiB"
