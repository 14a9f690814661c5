"""The simulated models: those that the migrations put into the models table, and one more."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MIGRATION = Path(__file__).parents[3] / "supabase" / "migrations" / "20261124090200_models.sql"
"""Has the models as JSON between two $models$."""

NSFW = "NSFW content detected. Try running it again, or try a different prompt."
ALL_NSFW = (
    "All generated images contained NSFW content. Try running it again with a different prompt."
)
SENSITIVE = (
    "The input or output was flagged as sensitive. Please try again with different inputs. (E005)"
)


@dataclass(frozen=True, slots=True)
class Model:
    """A simulated model. Run times are lognormally distributed."""

    id: str
    median_seconds: float
    spread: float
    """Standard deviation of the logarithm of the run time."""
    version: str | None
    """Set for a community model, which can only be run by version."""
    inputs: Mapping[str, Mapping[str, Any]]
    """The inputs by name, as in models.input_schema."""
    output_shape: str | None
    size_rules: Mapping[str, Any]
    cold_start_share: float = 0.0
    """Fraction of predictions that first wait for a cold start."""

    @property
    def steps(self) -> int:
        """Default number of steps in the progress bar."""
        for name in ("num_inference_steps", "steps"):
            if name in self.inputs:
                return int(self.inputs[name]["default"])
        return 25

    @property
    def single_output(self) -> bool:
        """Whether the output is one URL instead of a list."""
        return self.output_shape != "uri[]"

    @property
    def refusal(self) -> str | None:
        """The error of a refused prediction; None for a model that succeeds without an image."""
        match self.id.split("/"):
            case ["black-forest-labs", "flux-schnell" | "flux-dev"]:
                return ALL_NSFW
            case ["stability-ai", "sdxl"]:
                return NSFW
            case ["stability-ai", _]:
                return None
            case _:
                return SENSITIVE


# Median and spread. The medians are rounded estimates from the run times on the models' public
# pages; the spreads are guesses: narrow for models that are always warm, wide for those behind
# another provider's queue.
_RUN_SECONDS = {
    "black-forest-labs/flux-schnell": (1.0, 0.25),
    "black-forest-labs/flux-dev": (6.0, 0.30),
    "black-forest-labs/flux-1.1-pro": (5.0, 0.35),
    "black-forest-labs/flux-2-pro": (11.5, 0.35),
    "black-forest-labs/flux-2-max": (28.0, 0.35),
    "black-forest-labs/flux-2-klein-4b": (4.0, 0.30),
    "stability-ai/stable-diffusion-3.5-large": (8.0, 0.30),
    "stability-ai/sdxl": (7.0, 0.35),
    "ideogram-ai/ideogram-v3-turbo": (5.0, 0.40),
    "recraft-ai/recraft-v3": (7.0, 0.40),
    "google/imagen-4": (6.0, 0.45),
    "google/nano-banana": (10.5, 0.40),
    "topazlabs/image-upscale": (12.8, 0.35),
    "bytedance/seedream-4": (14.0, 0.40),
    "qwen/qwen-image": (3.5, 0.30),
    "prunaai/z-image-turbo": (5.0, 0.30),
}
_OTHER_SECONDS = (10.0, 0.40)


def _shipped() -> dict[str, Model]:
    found = re.search(r"\$models\$(.*)\$models\$", MIGRATION.read_text("utf-8"), re.DOTALL)
    assert found, f"{MIGRATION} has no models"
    models = {}
    for row in json.loads(found[1]):
        median, spread = _RUN_SECONDS.get(row["id"], _OTHER_SECONDS)
        models[row["id"]] = Model(
            row["id"],
            median,
            spread,
            row["version"],
            row["input_schema"],
            row["output_shape"],
            row["size_rules"],
            # Official models are kept warm.
            cold_start_share=0.04 if row["version"] else 0.0,
        )
    return models


SHIPPED = _shipped()
NOT_SHIPPED = Model(
    "google/nano-banana-2",
    10.5,
    0.40,
    None,
    {
        "prompt": {"type": "string", "required": True, "x-order": 0},
        "image_input": {
            "type": "array",
            "items": {"type": "string", "format": "uri"},
            "default": [],
            "x-order": 1,
        },
        "aspect_ratio": {
            "type": "string",
            "enum": [
                *("match_input_image", "1:1", "1:4", "1:8", "2:3", "3:2", "3:4", "4:1", "4:3"),
                *("4:5", "5:4", "8:1", "9:16", "16:9", "21:9"),
            ],
            "default": "match_input_image",
            "x-order": 2,
        },
        "resolution": {"type": "string", "enum": ["1K", "2K", "4K"], "default": "1K", "x-order": 3},
        "google_search": {"type": "boolean", "default": False, "x-order": 4},
        "image_search": {"type": "boolean", "default": False, "x-order": 5},
        "output_format": {
            "type": "string",
            "enum": ["jpg", "png"],
            "default": "jpg",
            "x-order": 6,
        },
    },
    "uri",
    {},
)
"""A model to add to the models table."""

MODELS = SHIPPED | {NOT_SHIPPED.id: NOT_SHIPPED}

VERSIONS = {
    name: model
    for model in MODELS.values()
    for name in ((model.version, f"{model.id}:{model.version}") if model.version else (model.id,))
}
"""Accepted values of `version`: official models go by name."""
