"""Storage of finished images.

- `contract`: the interface of a storage, and its errors.
- `images`: whether bytes are an image, and of which format.
- `local`: files in a folder, served by the app.
- `outage`: whether a storage takes images again after it has failed.
- `supabase`: a bucket of Supabase Storage.
- `svg`: whether a file is an SVG in which nothing runs.

To store images elsewhere, add a module that implements `contract.Storage` and choose it in
lib/resources.py.
"""

from lib.storage.contract import (
    PRIVATE,
    CheckedImage,
    ImageRefused,
    NotAnImage,
    Storage,
    StorageError,
    StorageFailed,
    StoredImage,
    output_folder,
)
from lib.storage.outage import Outage

__all__ = [
    "PRIVATE",
    "CheckedImage",
    "ImageRefused",
    "NotAnImage",
    "Outage",
    "Storage",
    "StorageError",
    "StorageFailed",
    "StoredImage",
    "output_folder",
]
