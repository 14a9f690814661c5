"""The simulated models: the eight of the models table, under the same IDs."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Model:
    """A simulated model. Run times are lognormally distributed."""

    id: str
    median_seconds: float
    spread: float
    """Standard deviation of the logarithm of the run time."""
    steps: int
    """Default number of steps in the progress bar."""
    single_output: bool
    """Whether the output is one URL instead of a list."""
    version: str | None = None
    """Set for a community model, which can only be run by version."""
    cold_start_share: float = 0.0
    """Fraction of predictions that first wait for a cold start."""


# The medians are rounded estimates from the run times on the models' public pages; the spreads are
# guesses: narrow for models that are always warm, wide for those behind another provider's queue.
# Only community models have cold starts: official ones are kept warm.
_MODELS = (
    Model("black-forest-labs/flux-schnell", 1.0, 0.25, 4, single_output=False),
    Model("black-forest-labs/flux-dev", 6.0, 0.30, 28, single_output=False),
    Model("black-forest-labs/flux-1.1-pro", 5.0, 0.35, 25, single_output=True),
    Model("stability-ai/stable-diffusion-3.5-large", 8.0, 0.30, 35, single_output=False),
    Model(
        "stability-ai/sdxl",
        7.0,
        0.35,
        50,
        single_output=False,
        version="39ed52f2a78e934b3ba6e2a89f5b1c712de7dfea535525255b1aa35c5565e08b",
        cold_start_share=0.04,
    ),
    Model("ideogram-ai/ideogram-v3-turbo", 5.0, 0.40, 20, single_output=True),
    Model("recraft-ai/recraft-v3", 7.0, 0.40, 20, single_output=True),
    Model("google/imagen-4", 6.0, 0.45, 20, single_output=True),
)

MODELS = {model.id: model for model in _MODELS}

VERSIONS = {
    name: model
    for model in _MODELS
    if model.version
    for name in (model.version, f"{model.id}:{model.version}")
}
"""Accepted values of `version`."""
