"""The only room that talks to Replicate.

- `client`: create, follow and cancel predictions, fetch their images.
- `prediction`: a prediction as the API tells it.
- `errors`: what goes wrong, in terms that a queue can act on.
- `retry`: when and how long to wait before trying again.
- `simulator`: a server on this machine that speaks the same API.
"""
