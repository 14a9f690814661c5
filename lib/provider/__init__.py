"""The only package that talks to model providers.

- `contract`: the provider interface, its capabilities, predictions and errors.
- `providers`: which client serves a model.
- `replicate`: the client of Replicate.
- `cog`: the client of Cog, for models on machines of one's own.
- `simulator`: a server on this machine that speaks Replicate's API.
- `prediction`, `schemas`, `answers`, `failures`, `files`, `retry`: what the clients share.

To add a provider, add a package that implements `contract.Provider` and choose it in `providers`.
"""

from lib.provider.contract import (
    CANCEL_MARGIN_SECONDS,
    Capability,
    ListedPrediction,
    Prediction,
    PredictionList,
    Provider,
    ProviderError,
    PublishedModel,
)
from lib.provider.providers import Providers

__all__ = [
    "CANCEL_MARGIN_SECONDS",
    "Capability",
    "ListedPrediction",
    "Prediction",
    "PredictionList",
    "Provider",
    "ProviderError",
    "Providers",
    "PublishedModel",
]
