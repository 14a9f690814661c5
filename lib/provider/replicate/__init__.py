"""The client of Replicate.

- `client`: creates, follows and cancels predictions, downloads their images.
- `prediction`: reads a prediction from an answer of the API.
- `errors`: turns an error answer into a ProviderError.
- `retry`: when and how long to wait before another try.
"""
