"""A local server that implements Replicate's HTTP API and draws the images itself.

- `server`: start and stop it.
- `connection`: its token, and where it listens.
- `app`: the endpoints. `requests` validates requests, `responses` builds responses.
- `models`: the simulated models and their run times; `schemas` their schemas, and what an input
  must be like; `sizes` the sizes of their images.
- `catalogue`: what the API says about models, hardware and the account; `uploads` its files.
- `schedule`: when a prediction starts and ends, and its error, if any.
- `faults`: injected faults.
- `predictions`: the stored predictions; their status is derived from the clock on each read.
- `images`: the generated images.
"""
