"""The state of a generation for a user interface."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from typing import Any
from uuid import UUID, uuid4

from .start import StartRefused, start_image_generation_async
from .subscribe import AccessToken, subscribe_to_generation
from .subscription import GenerationUpdate, Subscription, SubscriptionError


class ImageGeneration:
    """What a user interface shows of one generation at a time, as the React hook keeps it.

    `status` is idle, queued, processing, completed or failed; `progress` in percent; `image_url`
    once completed; `error` once failed. A cancelled generation shows as failed, with an error
    that says so. `on_change` is called with this object after every change.

    `url` and `key` as in start_image_generation; `access_token` and `timeout` in seconds as in
    subscribe_to_generation. `subscribe` follows a generation by other means than the project's
    Realtime.
    """

    def __init__(
        self,
        url: str,
        key: str,
        *,
        access_token: AccessToken | None = None,
        timeout: float | None = None,
        on_change: Callable[["ImageGeneration"], None] | None = None,
        subscribe: Callable[[UUID], Subscription] | None = None,
    ) -> None:
        self.status = "idle"
        self.progress = 0
        self.image_url: str | None = None
        self.error: str | None = None
        self.generation_id: UUID | None = None
        self._url = url
        self._key = key
        self._access_token = access_token
        self._timeout = timeout
        self._on_change = on_change
        self._subscribe = subscribe or self._subscribe_by_realtime
        self._run: asyncio.Task[None] | None = None

    async def start(self, *, prompt: str, model_id: str, **request: Any) -> None:
        """Starts a generation and follows it to its end, in place of an earlier one.

        `request` as in start_image_generation. Returns early when `reset`. Raises StartRefused
        and SubscriptionError, after showing them as failed.
        """
        self.reset()
        request = {"idempotency_key": str(uuid4())} | request
        self._run = asyncio.create_task(
            self._generate({"prompt": prompt, "model_id": model_id, **request})
        )
        try:
            await self._run
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task and task.cancelling():
                raise

    def reset(self) -> None:
        """Becomes idle, and follows no longer what it followed; the generation itself goes on."""
        if self._run is not None:
            self._run.cancel()
        self.generation_id = None
        self._show("idle")

    async def _generate(self, request: dict[str, Any]) -> None:
        token = self._access_token() if callable(self._access_token) else self._access_token
        self._show("queued")
        try:
            started = await start_image_generation_async(
                self._url, self._key, access_token=token, **request
            )
            self.generation_id = started.generation_id
            async with aclosing(aiter(self._subscribe(started.generation_id))) as updates:
                async for update in updates:
                    self._follow(update)
        except (StartRefused, SubscriptionError) as error:
            self._show("failed", self.progress, error=str(error))
            raise

    def _subscribe_by_realtime(self, generation_id: UUID) -> Subscription:
        return subscribe_to_generation(
            generation_id,
            supabase_url=self._url,
            supabase_key=self._key,
            access_token=self._access_token,
            timeout=self._timeout,
        )

    def _follow(self, update: GenerationUpdate) -> None:
        match update.status:
            case "cancelled":
                error = update.error_message or "The generation was cancelled."
                self._show("failed", update.progress, error=error)
            case "failed":
                error = update.error_message or "The generation failed."
                self._show("failed", update.progress, error=error)
            case status:
                # A queued one may say why an earlier attempt failed; it is not the end.
                self._show(status, update.progress, image_url=update.image_url)

    def _show(
        self,
        status: str,
        progress: int = 0,
        *,
        image_url: str | None = None,
        error: str | None = None,
    ) -> None:
        shown = (self.status, self.progress, self.image_url, self.error)
        self.status, self.progress, self.image_url, self.error = status, progress, image_url, error
        if self._on_change and shown != (status, progress, image_url, error):
            self._on_change(self)
