"""The client of Replicate.

- `client`: create, follow and cancel predictions, download their images.
- `prediction`: parse predictions from API responses.
- `model`: parse models, and their schemas, from API responses.
- `answers`: read the JSON of an answer.
- `errors`: turn an error response into a ProviderError.
- `files`: download the files of an output.
- `retry`: which errors to retry, and the backoff.
"""
