"""Error groups of refused jobs: their sentence as users see it."""

from collections.abc import Mapping
from typing import Any


def is_refusal(group: Mapping[str, Any]) -> bool:
    """Whether the jobs of an error group were refused, so that they do not count as failures."""
    return bool(group["error_code"] == "refused")


def refusal_sentence(group: Mapping[str, Any]) -> str:
    """The error message of the refused jobs; of several models' jobs without the model's name."""
    models = group["models"]
    model = models[0] if len(models) == 1 and models[0] else "the model"
    return str(group["error_group"]).replace("<model>", model)
