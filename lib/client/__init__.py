"""The Python client for applications: start image generations and follow their progress.

Applications install this package alone, so it imports nothing else from Darkroom.
"""

from .image_generation import ImageGeneration
from .start import (
    Started,
    StartRefused,
    start_image_generation,
    start_image_generation_async,
)
from .subscribe import AccessToken, subscribe_to_generation
from .subscription import (
    GenerationNotFound,
    GenerationUpdate,
    Image,
    Subscription,
    SubscriptionError,
    SubscriptionRefused,
    SubscriptionTimeout,
)

__all__ = [
    "AccessToken",
    "GenerationNotFound",
    "GenerationUpdate",
    "Image",
    "ImageGeneration",
    "StartRefused",
    "Started",
    "Subscription",
    "SubscriptionError",
    "SubscriptionRefused",
    "SubscriptionTimeout",
    "start_image_generation",
    "start_image_generation_async",
    "subscribe_to_generation",
]
