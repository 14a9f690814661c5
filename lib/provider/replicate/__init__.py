"""The client of Replicate.

- `client`: create, follow and cancel predictions, download their images.
- `prediction`: parse predictions from API responses.
- `errors`: turn an error response into a ProviderError.
- `files`: download the files of an output.
- `retry`: which errors to retry, and the backoff.
"""
