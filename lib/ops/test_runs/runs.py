"""Start and delete test runs."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any
from uuid import UUID

from lib.client import StartRefused, start_image_generation
from lib.database import Pool, load, translated
from lib.ops.test_runs.inputs import (
    NEGATIVE_PROMPT,
    image_input,
    takes_negative_prompt,
    takes_prompt,
)
from lib.ops.test_runs.sizes import MATCH_INPUT_IMAGE, Model
from lib.ops.test_runs.submission import Submission, check
from lib.storage import Storage


def start_run(
    pool: Pool,
    actor: str,
    url: str,
    key: str,
    run_id: UUID,
    submission: Submission,
    models: Mapping[str, Model],
) -> None:
    """Record a run and start its jobs through start-generation, one request per model.

    Idempotent by `run_id`. Raises Invalid before anything is started. Raises StartRefused if a
    request is refused; that model and those after it are not started. Raises DatabaseUnavailable.
    """
    check(submission, models)
    sql = load("test_runs")
    with translated(), pool.connection() as connection:
        sql.start_run(
            connection,
            id=run_id,
            actor=actor,
            prompt=submission.prompt.strip(),
            models=list(submission.models),
            settings=json.dumps(asdict(submission)),
            jobs=submission.total,
        )
    try:
        for model, jobs in submission.shares.items():
            _start_share(url, key, run_id, submission, models[model], jobs)
    except StartRefused:
        with translated(), pool.connection() as connection:
            sql.withdraw_run(connection, actor=actor, id=run_id)
        raise


def _start_share(
    url: str, key: str, run_id: UUID, submission: Submission, model: Model, jobs: int
) -> None:
    share: dict[str, Any] = {"id": str(run_id), "jobs": jobs}
    if submission.load_test:
        share["per_second"] = submission.per_second / len(submission.models)
    outputs = min(submission.outputs, model["max_outputs"])
    parameters = dict(submission.parameters.get(model["id"], {}))
    if submission.negative_prompt.strip() and takes_negative_prompt(model):
        parameters[NEGATIVE_PROMPT] = submission.negative_prompt.strip()
    image = image_input(model)
    if submission.width is None and model["matches_input"] and image and image.name in parameters:
        parameters["aspect_ratio"] = MATCH_INPUT_IMAGE
    start_image_generation(
        url,
        key,
        prompt=submission.prompt if takes_prompt(model) else None,
        model_id=model["id"],
        idempotency_key=f"{run_id} {model['id']}"[:255],
        test=True,
        test_run=share,
        width=submission.width,
        height=submission.height,
        seed=submission.seed,
        num_outputs=outputs if outputs > 1 else None,
        **parameters,
    )


def delete_run(pool: Pool, actor: str, run_id: UUID, storage: Storage) -> int:
    """Cancel the live jobs of a run and delete its jobs, generations, images and thumbnails.

    Returns the number of deleted generations. Raises QueryError with sqlstate DR404 if there is no
    such run.
    """
    with translated(), pool.connection() as connection:
        deleted = load("test_runs").delete_run(connection, actor=actor, run=run_id)
    for path in deleted["storage_paths"]:
        storage.delete(path)
    return int(deleted["generations"])
