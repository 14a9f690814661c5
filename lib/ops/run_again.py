"""Run an ended job again, with another prompt and parameters."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

from lib.database import Pool, load, translated
from lib.ops.test_runs.inputs import NEGATIVE_PROMPT
from lib.ops.test_runs.sizes import MAX_SIDE, MIN_SIDE
from lib.ops.test_runs.submission import MAX_PROMPT_CHARS, MAX_SEED, Invalid, Submission

SIDES = ("width", "height")
SIZE_INPUTS = {
    *SIDES, "aspect_ratio", "size", "image_size", "resolution", "megapixels", "output_megapixels",
}  # fmt: skip
"""What models call the size of the image."""
COUNT_INPUTS = ("num_outputs", "number_of_images", "max_images")
"""What models call the number of images."""
SEQUENCE = "sequential_image_generation"
"""What turns it on."""


@dataclass(frozen=True, slots=True)
class Changes:
    """The request of the new job. `parameters` are those of the model, without the seed."""

    prompt: str | None
    """None for a model without one."""
    parameters: Mapping[str, Any]
    seed: int | None
    test: bool
    """A test counts for no limit; otherwise the job is the original user's."""


def parse_parameters(text: str) -> dict[str, Any]:
    """Parameters from a JSON object. Raises Invalid."""
    try:
        value = json.loads(text or "{}", parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise Invalid("Parameters", f"not valid JSON ({error}).") from error
    if not isinstance(value, dict):
        raise Invalid("Parameters", 'enter a JSON object, such as {"width": 1024}.')
    return value


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a JSON number")


def resized(parameters: Mapping[str, Any], width: int, height: int) -> dict[str, Any]:
    """Parameters with another size."""
    kept = {name: value for name, value in parameters.items() if name not in SIZE_INPUTS}
    return {**kept, "width": width, "height": height}


def image_count(parameters: Mapping[str, Any]) -> int:
    """How many images the parameters ask for."""
    counts = (parameters.get(name) for name in COUNT_INPUTS)
    return next((count for count in counts if isinstance(count, int)), 1)


def with_image_count(parameters: Mapping[str, Any], count: int) -> dict[str, Any]:
    """Parameters that ask for another number of images."""
    others = {*COUNT_INPUTS, SEQUENCE}
    kept = {name: value for name, value in parameters.items() if name not in others}
    return {**kept, "num_outputs": count}


def run_again(
    pool: Pool, actor: str, job_id: UUID, model_id: str, key: UUID, changes: Changes
) -> UUID:
    """Start a generation like that of an ended job and return the new job's id.

    A repeated call with the same `key` returns the first job. Recorded in the audit log. Raises
    Invalid, and QueryError with sqlstate DR429 if the user's limit is reached, DR404 if the model
    is disabled.
    """
    _check(changes)
    parameters = dict(changes.parameters)
    if changes.seed is not None:
        parameters["seed"] = changes.seed
    settings = json.dumps(_settings(model_id, changes)) if changes.test else None
    with translated(), pool.connection() as connection:
        job: UUID = load("operator_actions").run_job_again(
            connection,
            actor=actor,
            job_id=job_id,
            key=key,
            prompt=(changes.prompt or "").strip(),
            parameters=json.dumps(parameters),
            settings=settings,
        )
        return job


def _check(changes: Changes) -> None:
    if changes.prompt is not None and not changes.prompt.strip():
        raise Invalid("Prompt", "describe the image.")
    if len(changes.prompt or "") > MAX_PROMPT_CHARS:
        raise Invalid("Prompt", f"use at most {MAX_PROMPT_CHARS:,} characters.")
    if changes.seed is not None and not 0 <= changes.seed <= MAX_SEED:
        raise Invalid("Seed", f"choose a whole number from 0 to {MAX_SEED:,}.")
    for name, value in changes.parameters.items():
        items = value if isinstance(value, list) else [value]
        if any(isinstance(item, dict | list) for item in items):
            raise Invalid(
                "Parameters", f"{name} must be text, a number, true, false, null or a list of them."
            )
        if name in SIDES and not (type(value) is int and MIN_SIDE <= value <= MAX_SIDE):
            raise Invalid("Parameters", f"{name} must be {MIN_SIDE} to {MAX_SIDE:,} pixels.")
        if name == "seed":
            raise Invalid("Parameters", "enter the seed in its own field.")


def _settings(model_id: str, changes: Changes) -> dict[str, Any]:
    """The run as the form of Generate submits it; run_job_again adds a size given as a ratio."""
    given = changes.parameters
    others = {*SIZE_INPUTS, *COUNT_INPUTS, SEQUENCE, NEGATIVE_PROMPT}
    return asdict(
        Submission(
            prompt=changes.prompt or "",
            negative_prompt=str(given.get(NEGATIVE_PROMPT) or ""),
            models=[model_id],
            width=given.get("width"),
            height=given.get("height"),
            seed=changes.seed,
            images=1,
            load_test=False,
            jobs=1,
            per_second=1.0,
            parameters={
                model_id: {name: value for name, value in given.items() if name not in others}
            },
            outputs=image_count(given),
        )
    )
