"""One attempt at a job: its handler, and what becomes of the handler's errors."""

import asyncio
import logging

from lib.database import DatabaseUnavailable, QueryError
from lib.queue.worker_calls import Claim, ClaimLost, JobFailed
from lib.worker.handlers import Handler
from lib.worker.settlement import Interrupted, Outcome

logger = logging.getLogger(__name__)


async def run_handler(handler: Handler, claim: Claim) -> Outcome:
    """Run the handler of a claim. Raises ClaimLost, and CancelledError if it was cancelled."""
    try:
        return await handler(claim)
    except JobFailed as error:
        return error
    except QueryError as error:
        return JobFailed(error.message, code="invalid_payload", permanent=True)
    except DatabaseUnavailable as error:
        logger.warning("Job %s interrupted: %s", claim.job_id, error)
        return Interrupted()
    except ClaimLost:
        raise
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task and task.cancelling():
            raise
        logger.exception("Job %s: something that its handler waits for was cancelled", claim)
        return JobFailed("Unexpected error: CancelledError", code="internal")
    except Exception as error:
        # A bug in a handler must cost its job an attempt, not stop the worker.
        logger.exception("The handler of job %s raised an unexpected error", claim.job_id)
        return JobFailed(f"Unexpected error: {type(error).__name__}", code="internal")
