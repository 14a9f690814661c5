"""Faults on purpose: what the simulator does wrong until it is told to stop.

They are kept in a file beside the predictions, so that all processes which share the folder
agree, and a simulator that starts anew goes on with them.
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
    "429": "throttled (HTTP 429)",
    "500": "server error (HTTP 500)",
    "401": "token refused (HTTP 401)",
    "402": "no credit (HTTP 402)",
    "404": "model unknown (HTTP 404)",
    "422": "input refused (HTTP 422)",
}
"""What a share of the predictions can meet, in words. Those of HTTP meet their creation."""
OUTAGES = {
    "cut": "Every connection is cut without an answer",
    "unavailable": "Every request is answered with HTTP 503",
}
MOST_SLOWER, MOST_SECONDS, MOST_RETRY_AFTER, MOST_CREATES = 100, 600, 3600, 600


class FaultsError(ValueError):
    """Faults that cannot be; the message says which and what could."""


@dataclass(frozen=True, slots=True)
class ModelFaults:
    """What goes wrong with the predictions of a model. Raises FaultsError when it cannot be."""

    slower: float = 1.0
    """By how much run times are multiplied."""
    extra_seconds: float = 0.0
    """Added to run times as they are then."""
    failures: Mapping[str, float] = field(default_factory=dict)
    """Kinds of FAILURES with their shares in percent, at most 100 together."""
    retry_after: int = 30
    """Seconds that a throttled creation is asked to wait."""
    creates_per_minute: int | None = None

    def __post_init__(self) -> None:
        _check("slower", self.slower, 1, MOST_SLOWER)
        _check("extra_seconds", self.extra_seconds, 0, MOST_SECONDS)
        _check("retry_after", self.retry_after, 1, MOST_RETRY_AFTER)
        if self.creates_per_minute is not None:
            _check("creates_per_minute", self.creates_per_minute, 1, MOST_CREATES)
        for kind, percent in self.failures.items():
            if kind not in FAILURES:
                raise FaultsError(f"There is no failure {kind}: choose of {', '.join(FAILURES)}.")
            _check(kind, percent, 0, 100)
        if sum(self.failures.values()) > 100:
            raise FaultsError("The shares of failures come to more than 100 % together.")

    def drawn(self, prediction_id: str) -> str | None:
        """The kind of failure that a prediction meets, the same one for the same id."""
        draw = Random(f"fault {prediction_id}").random() * 100
        for kind in FAILURES:
            draw -= self.failures.get(kind, 0)
            if draw < 0:
                return kind
        return None

    def bent(self, schedule: Schedule, failure: str | None) -> Schedule:
        """The course of a prediction that meets these faults."""
        runs = (schedule.ends - schedule.starts) * self.slower + self.extra_seconds
        bent = replace(schedule, ends=schedule.starts + runs)
        if failure == "prediction_failed":
            return replace(bent, error=OUT_OF_MEMORY)
        return replace(bent, ends=math.inf) if failure == "never_ends" else bent

    @property
    def words(self) -> list[str]:
        """What they do, each in a few words; nothing when all is normal."""
        words = []
        if self.slower > 1:
            words.append(f"runs take {self.slower:g} times as long")
        if self.extra_seconds:
            words.append(f"runs take {self.extra_seconds:g} s longer")
        for kind, percent in self.failures.items():
            asked = f", asked to wait {self.retry_after} s" if kind == "429" else ""
            if percent:
                words.append(f"{FAILURES[kind]} for {percent:g} %{asked}")
        if self.creates_per_minute:
            words.append(f"at most {self.creates_per_minute} creations a minute")
        return words


@dataclass(frozen=True, slots=True)
class Faults:
    """All that is wrong. What a model has of its own stands in place of that of all models."""

    outage: str | None = None
    """One of OUTAGES: then nothing else matters."""
    all_models: ModelFaults = field(default_factory=ModelFaults)
    models: Mapping[str, ModelFaults] = field(default_factory=dict)
    since: datetime | None = None
    by: str = ""

    def __post_init__(self) -> None:
        if self.outage is not None and self.outage not in OUTAGES:
            raise FaultsError(f"There is no outage {self.outage}: choose of {', '.join(OUTAGES)}.")
        for model in self.models:
            if model not in MODELS:
                raise FaultsError(f"The simulator has no model {model}.")

    def of(self, model: str) -> ModelFaults:
        """What is wrong with a model."""
        return self.models.get(model, self.all_models)

    def limit(self, model: str) -> RateLimit | None:
        """The rate limit that creations of a model meet; that of all models is one for all."""
        creates = self.of(model).creates_per_minute
        return RateLimit(creates, model if model in self.models else None) if creates else None

    @property
    def words(self) -> list[str]:
        """What they do, each in a sentence without its end; nothing when all is normal."""
        outage = [OUTAGES[self.outage]] if self.outage else []
        every = [f"All models: {word}" for word in self.all_models.words]
        return (
            outage
            + every
            + [f"{model}: {word}" for model, faults in self.models.items() for word in faults.words]
        )


class FaultFile:
    """The faults in force for all simulators that share a folder."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "faults.json"

    def exists(self) -> bool:
        """Whether there are any."""
        return self._path.exists()

    def read(self) -> Faults:
        """Those in force. Raises FaultsError when someone else has spoilt the file."""
        try:
            text = self._path.read_text()
        except FileNotFoundError:
            return Faults()
        try:
            return _parsed(json.loads(text))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise FaultsError(f"The file of the faults cannot be read: {error}") from error

    def write(self, faults: Faults) -> None:
        """Puts faults in force, in place of all before; none are left when they do nothing."""
        if not faults.words:
            self._path.unlink(missing_ok=True)
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        draft = self._path.with_name(f"faults.{secrets.token_hex(4)}")
        draft.write_text(json.dumps(asdict(faults), default=datetime.isoformat))
        os.replace(draft, self._path)


def _parsed(value: dict[str, Any]) -> Faults:
    since = value.pop("since")
    return Faults(
        all_models=ModelFaults(**value.pop("all_models")),
        models={model: ModelFaults(**faults) for model, faults in value.pop("models").items()},
        since=since and datetime.fromisoformat(since),
        **value,
    )


def _check(name: str, value: float, least: float, most: float) -> None:
    if not least <= value <= most:
        raise FaultsError(f"{name} is {value:g}: give {least:g} to {most:g}.")
