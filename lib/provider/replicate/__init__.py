"""The client of Replicate.

- `client`: create, follow and cancel predictions, download their images.
- `prediction`: parse a prediction from an API response.
- `errors`: turn an error response into a ProviderError.
- `retry`: which errors to retry, and the backoff.
"""
