"""Faults of the simulated provider, put in force by operators and recorded."""

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
    "Rate limited": ModelFaults(creates_per_minute=6),
}
"""What often goes wrong with a model, or with all."""


def fault_file(settings: Settings) -> FaultFile | None:
    """Where the faults of the simulated provider are kept; None with the real Replicate."""
    return None if settings.replicate_token else FaultFile(settings.data / "replicate")


def inject(pool: Pool, actor: str, file: FaultFile, faults: Faults) -> None:
    """Puts faults in force for every simulator of the data folder, in place of all before.

    Faults that do nothing clear all. Raises DatabaseUnavailable, when nothing is changed, since
    it could not be recorded.
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
    """Faults with those of one model, or of all (None), replaced. An outage stays."""
    if model is None:
        return replace(faults, all_models=model_faults)
    others = {name: each for name, each in faults.models.items() if name != model}
    # Nothing wrong means: as all others.
    return replace(faults, models=others | ({model: model_faults} if model_faults.summary else {}))
