"""A team's own check of prompts, before anything is created at a provider."""

import asyncio
import inspect
import logging
from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID

from lib.queue.worker_calls import JobFailed

logger = logging.getLogger(__name__)

CHECK_SECONDS = 10.0
"""How long a check may take; its prediction must be requested within 30 s of the intent."""
MAX_REASON = 500
"""Most characters of a check's sentence that are kept."""


class PromptCheck:
    """Calls `function`, sync or async, with a prompt, the user's id (or None) and the model.

    It returns None, or a sentence for the user that says why the prompt is refused.
    """

    def __init__(self, function: Callable[[str, UUID | None, str], Any]) -> None:
        self._function = function

    async def __call__(self, prompt: str, user_id: UUID | None, model_id: str) -> None:
        """Let a prompt pass, or raise JobFailed: refused, or prompt_check_failed to try again."""
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                reason = await self._ask(prompt, user_id, model_id)
        except Exception as error:
            logger.exception("The prompt check failed")
            raise _failed(type(error).__name__) from error
        if reason is None:
            return
        if not isinstance(reason, str) or not reason.strip():
            logger.error("The prompt check returned %r instead of None or a sentence", reason)
            raise _failed("the check returned neither None nor a sentence")
        raise JobFailed(reason.strip()[:MAX_REASON], code="refused", permanent=True)

    async def _ask(self, prompt: str, user_id: UUID | None, model_id: str) -> Any:
        call = partial(self._function, prompt, user_id, model_id)
        # In a thread, so that a slow check holds up no other job.
        is_async = inspect.iscoroutinefunction(self._function)
        answer = call() if is_async else await asyncio.to_thread(call)
        return await answer if inspect.isawaitable(answer) else answer


def _failed(why: str) -> JobFailed:
    return JobFailed(
        f"The prompt could not be checked ({why}), so nothing was generated.",
        code="prompt_check_failed",
    )
