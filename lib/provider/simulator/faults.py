"""Fault injection: errors and delays that the simulator produces until they are removed.

They are stored in a file next to the predictions, so that all processes which share the folder
agree, and they survive a restart of the simulator.
"""

import json
import math
import os
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Any

from lib.provider.simulator.models import MODELS
from lib.provider.simulator.predictions import RateLimit
from lib.provider.simulator.schedule import OUT_OF_MEMORY, Schedule

FAILURES = {
    "prediction_failed": "prediction fails",
    "never_ends": "prediction never ends",
    "not_an_image": "image cannot be opened",
    "429": "rate-limited (HTTP 429)",
    "500": "server error (HTTP 500)",
    "401": "token rejected (HTTP 401)",
    "402": "no credit (HTTP 402)",
    "404": "model unknown (HTTP 404)",
    "422": "input rejected (HTTP 422)",
}
"""Failures for a percentage of predictions; the HTTP errors occur when one is created."""
OUTAGES = {
    "cut": "Every connection is dropped without a response",
    "unavailable": "Every request returns HTTP 503",
}
MAX_SLOWDOWN, MAX_EXTRA_SECONDS, MAX_RETRY_AFTER, MAX_CREATES = 100, 600, 3600, 600


class FaultsError(ValueError):
    """Invalid faults; the message says which and what is allowed."""


@dataclass(frozen=True, slots=True)
class ModelFaults:
    """Faults of a model's predictions. Raises FaultsError if invalid."""

    slower: float = 1.0
    """Multiplier of run times."""
    extra_seconds: float = 0.0
    """Added to run times after the multiplication."""
    failures: Mapping[str, float] = field(default_factory=dict)
    """Kinds of FAILURES with their percentages, at most 100 in total."""
    retry_after: int = 30
    """Seconds in Retry-After when a creation is throttled."""
    creates_per_minute: int | None = None

    def __post_init__(self) -> None:
        _check("slower", self.slower, 1, MAX_SLOWDOWN)
        _check("extra_seconds", self.extra_seconds, 0, MAX_EXTRA_SECONDS)
        _check("retry_after", self.retry_after, 1, MAX_RETRY_AFTER)
        if self.creates_per_minute is not None:
            _check("creates_per_minute", self.creates_per_minute, 1, MAX_CREATES)
        for kind, percent in self.failures.items():
            if kind not in FAILURES:
                raise FaultsError(f"Unknown failure {kind}: choose from {', '.join(FAILURES)}.")
            _check(kind, percent, 0, 100)
        if sum(self.failures.values()) > 100:
            raise FaultsError("The error mix adds up to more than 100%.")

    def failure_for(self, prediction_id: str) -> str | None:
        """The kind of failure of a prediction, if any; always the same for the same ID."""
        draw = Random(f"fault {prediction_id}").random() * 100
        for kind in FAILURES:
            draw -= self.failures.get(kind, 0)
            if draw < 0:
                return kind
        return None

    def applied_to(self, schedule: Schedule, failure: str | None) -> Schedule:
        """The schedule of a prediction with these faults."""
        runs = (schedule.ends - schedule.starts) * self.slower + self.extra_seconds
        slowed = replace(schedule, ends=schedule.starts + runs)
        if failure == "prediction_failed":
            return replace(slowed, error=OUT_OF_MEMORY)
        return replace(slowed, ends=math.inf) if failure == "never_ends" else slowed

    @property
    def summary(self) -> list[str]:
        """A short description of each fault; empty without faults."""
        parts = []
        if self.slower > 1:
            parts.append(f"runs take {self.slower:g} times as long")
        if self.extra_seconds:
            parts.append(f"runs take {self.extra_seconds:g} s longer")
        for kind, percent in self.failures.items():
            wait_hint = f", Retry-After {self.retry_after} s" if kind == "429" else ""
            if percent:
                # A code in parentheses shares them.
                name = FAILURES[kind]
                start = f"{name[:-1]}, " if name.endswith(")") else f"{name} ("
                parts.append(f"{start}{percent:g}% of predictions{wait_hint})")
        if self.creates_per_minute:
            plural = "" if self.creates_per_minute == 1 else "s"
            parts.append(f"at most {self.creates_per_minute} prediction{plural} per minute")
        return parts


@dataclass(frozen=True, slots=True)
class Faults:
    """All injected faults. A model's own faults replace those of all models."""

    outage: str | None = None
    """One of OUTAGES, which makes all other faults irrelevant."""
    all_models: ModelFaults = field(default_factory=ModelFaults)
    models: Mapping[str, ModelFaults] = field(default_factory=dict)
    since: datetime | None = None
    by: str = ""

    def __post_init__(self) -> None:
        if self.outage is not None and self.outage not in OUTAGES:
            raise FaultsError(f"Unknown outage {self.outage}: choose from {', '.join(OUTAGES)}.")
        for model in self.models:
            if model not in MODELS:
                raise FaultsError(f"The simulator has no model {model}.")

    def for_model(self, model: str) -> ModelFaults:
        """The faults of a model."""
        return self.models.get(model, self.all_models)

    def rate_limit(self, model: str) -> RateLimit | None:
        """The limit for creating predictions of a model; models without their own share one."""
        creates = self.for_model(model).creates_per_minute
        return RateLimit(creates, model if model in self.models else None) if creates else None

    @property
    def summary(self) -> list[str]:
        """A description of each fault, without a full stop; empty without faults."""
        outage = [OUTAGES[self.outage]] if self.outage else []
        every = [f"All models: {part}" for part in self.all_models.summary]
        return (
            outage
            + every
            + [
                f"{model}: {part}"
                for model, faults in self.models.items()
                for part in faults.summary
            ]
        )


class FaultFile:
    """The active faults of all simulators that share a folder."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "faults.json"

    def exists(self) -> bool:
        """Whether any faults are active."""
        return self._path.exists()

    def read(self) -> Faults:
        """The active faults. Raises FaultsError if the file is corrupt."""
        try:
            text = self._path.read_text()
        except FileNotFoundError:
            return Faults()
        try:
            return _parse_faults(json.loads(text))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise FaultsError(f"The faults file cannot be read: {error}") from error

    def write(self, faults: Faults) -> None:
        """Replace the active faults; if `faults` does nothing, remove the file."""
        if not faults.summary:
            self._path.unlink(missing_ok=True)
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        draft = self._path.with_name(f"faults.{secrets.token_hex(4)}")
        draft.write_text(json.dumps(asdict(faults), default=datetime.isoformat))
        os.replace(draft, self._path)


def _parse_faults(value: dict[str, Any]) -> Faults:
    since = value.pop("since")
    return Faults(
        all_models=ModelFaults(**value.pop("all_models")),
        models={model: ModelFaults(**faults) for model, faults in value.pop("models").items()},
        since=since and datetime.fromisoformat(since),
        **value,
    )


def _check(name: str, value: float, least: float, most: float) -> None:
    if not least <= value <= most:
        raise FaultsError(f"{name} is {value:g}: use {least:g} to {most:g}.")
