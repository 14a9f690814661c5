"""The client of Cog, Replicate's open-source server of one model, on a machine of one's own.

- `client`: run and cancel predictions, read the model's schema, download output files.
- `errors`: turn an error response and the server's health into a ProviderError.
"""
