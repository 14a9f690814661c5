"""Storage of finished images.

- `contract`: the interface of a storage, and its errors.
- `local`: files in a folder, served by the app.
- `supabase`: a bucket of Supabase Storage.

To store images elsewhere, add a module that implements `contract.Storage` and choose it in
lib/resources.py.
"""

from lib.storage.contract import NotAnImage, Storage, StorageError, StorageFailed, StoredImage

__all__ = ["NotAnImage", "Storage", "StorageError", "StorageFailed", "StoredImage"]
