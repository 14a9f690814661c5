"""The only package that talks to model providers.

- `contract`: the provider interface, its capabilities, predictions and errors.
- `replicate`: the client of Replicate.
- `simulator`: a server on this machine that speaks Replicate's API.

To add a provider, add a package that implements `contract.Provider` and choose it in
lib/service.py.
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

__all__ = [
    "CANCEL_MARGIN_SECONDS",
    "Capability",
    "ListedPrediction",
    "Prediction",
    "PredictionList",
    "Provider",
    "ProviderError",
    "PublishedModel",
]
