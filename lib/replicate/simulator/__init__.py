"""A server on this machine that speaks Replicate's HTTP API and draws the images itself.

- `server`: starts and stops it; its token.
- `app`: the endpoints. `asked` reads requests, `answers` writes responses.
- `models`: the models that it knows, and how long they take.
- `schedule`: when a prediction starts and ends, and with which error.
- `faults`: what goes wrong on purpose.
- `predictions`: the stored predictions; their state follows from the clock at each read.
- `once`: files that processes make together.
- `images`: the pictures.
"""
