"""The client of Replicate.

- `client`: create, follow and cancel predictions, download their images.
- `model`: parse models from API responses.
- `page`: parse pages of the list of predictions.
- `errors`: turn an error response into a ProviderError.
"""
