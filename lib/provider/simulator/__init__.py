"""A server on this machine that speaks Replicate's HTTP API and draws the images itself.

- `server`: starts and stops it; its token.
- `app`: the endpoints. `requests` reads requests, `answers` writes responses.
- `models`: the models that it knows, and how long they take.
- `schedule`: when a prediction starts and ends, and with which error.
- `faults`: injected faults.
- `predictions`: the stored predictions; their state follows from the clock at each read.
- `images`: the pictures.
"""
