"""Fault injection for the simulated provider, recorded in the audit log."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

from lib.database import Pool, load, translated
from lib.provider.simulator.faults import FaultFile, Faults, FaultsError, ModelFaults
from lib.settings import Settings

PRESETS: Mapping[str, ModelFaults] = {
    "Slow": ModelFaults(slower=10),
    "One in three fails": ModelFaults(failures={"prediction_failed": 33}),
    "Rate-limited": ModelFaults(creates_per_minute=6),
}
"""Common faults, for one model or all models."""


def fault_file(settings: Settings) -> FaultFile | None:
    """The file that holds the simulator's faults; None when the real Replicate is used."""
    return None if settings.replicate_token else FaultFile(settings.data / "replicate")


def inject(pool: Pool, actor: str, file: FaultFile, faults: Faults) -> None:
    """Replace the faults of every simulator that uses the data folder.

    Empty faults clear all. Raises DatabaseUnavailable, in which case nothing is changed, because
    the change could not be recorded.
    """
    try:
        before = file.read().summary
    except FaultsError as error:
        before = [str(error)]
    details = json.dumps({"before": {"faults": before}, "after": {"faults": faults.summary}})
    with translated(), pool.connection() as connection:
        load("operator_actions").record_faults(connection, actor=actor, details=details)
    file.write(replace(faults, since=datetime.now(UTC), by=actor))


def with_model(faults: Faults, model: str | None, model_faults: ModelFaults) -> Faults:
    """Replace the faults of one model, or of all models (None); an outage stays."""
    if model is None:
        return replace(faults, all_models=model_faults)
    others = {name: each for name, each in faults.models.items() if name != model}
    # Without an entry a model gets the faults of all models.
    return replace(faults, models=others | ({model: model_faults} if model_faults.summary else {}))
