"""When a prediction starts and ends, and its error: drawn once, seeded by its ID."""

import math
import random
from dataclasses import dataclass

from lib.provider.simulator.models import SENSITIVE, Model

QUEUE_SECONDS = (0.1, 0.6)
COLD_START_SECONDS = (20.0, 60.0)
SLOWDOWN = 10

OUT_OF_MEMORY = (
    "CUDA out of memory. Tried to allocate 2.25 GiB. GPU 0 has a total capacity of 44.40 GiB of "
    "which 1.12 GiB is free."
)
INTERRUPTED = "Prediction interrupted; please retry (code: PA)"
VENDOR_ERRORS = {
    "e001": "The account at the model's vendor has insufficient credit. (E001)",
    "e002": "The model's vendor rejected the API key. (E002)",
    "e003": "Service is currently unavailable due to high demand. Please try again later. (E003)",
    "e004": "Service is temporarily unavailable. Please try again later. (E004)",
    "e005": SENSITIVE,
    "e6716": "Director: unexpected error handling prediction (E6716)",
    "e9828": "Director: unexpected error handling prediction (E9828)",
    "pa": INTERRUPTED,
}
"""Errors that a tag in the prompt causes, such as [E003]."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """Seconds from creation to start and end; a prediction that hangs ends at infinity."""

    starts: float
    ends: float
    error: str | None


def draw_schedule(
    model: Model, prediction_id: str, prompt: str, *, speed: float, failure_rate: float
) -> Schedule:
    """The schedule of a prediction; always the same for the same ID.

    `failure_rate` is the fraction that fails at random. In the prompt, [fail], [nsfw] and the tags
    of VENDOR_ERRORS make it fail, [slow] makes it ten times slower and [hang] makes it never end.
    `speed` divides all times.
    """
    # Make all draws unconditionally, so that a tag does not change later draws.
    draws = random.Random(prediction_id)
    waits = draws.uniform(*QUEUE_SECONDS)
    cold_start = draws.uniform(*COLD_START_SECONDS)
    waits += cold_start if draws.random() < model.cold_start_share else 0
    runs = model.median_seconds * draws.lognormvariate(0, model.spread)
    fails = draws.random() < failure_rate
    error = (
        draws.choice((OUT_OF_MEMORY, model.refusal or SENSITIVE, INTERRUPTED)) if fails else None
    )
    tags = prompt.lower()
    if "[fail]" in tags:
        error = OUT_OF_MEMORY
    if "[nsfw]" in tags:
        error = model.refusal
    for tag, text in VENDOR_ERRORS.items():
        if f"[{tag}]" in tags:
            error = text
    if "[slow]" in tags:
        runs *= SLOWDOWN
    if "[hang]" in tags:
        runs = math.inf
    return Schedule(waits / speed, (waits + runs) / speed, error)
