"""The state of a generation for a user interface."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from typing import Any
from uuid import UUID, uuid4

from .start import StartRefused, start_image_generation_async
from .subscribe import AccessToken, subscribe_to_generation
from .subscription import GenerationUpdate, Image, Subscription, SubscriptionError


class ImageGeneration:
    """The state of one generation at a time for a user interface, like the React hook.

    `status` is idle, queued, processing, completed or failed; `progress` in percent; `images` and
    `image_url`, the URL of the first, once completed; `error` once failed. A cancelled generation
    shows as failed, with an error that says so. `on_change` is called with this object after every
    change.

    `url`, `key` and `functions_url` as in start_image_generation; `access_token` and `timeout` in
    seconds as in subscribe_to_generation. `subscribe` overrides how generations are followed, by
    default through the project's Realtime.
    """

    def __init__(
        self,
        url: str,
        key: str,
        *,
        functions_url: str | None = None,
        access_token: AccessToken | None = None,
        timeout: float | None = None,
        on_change: Callable[["ImageGeneration"], None] | None = None,
        subscribe: Callable[[UUID], Subscription] | None = None,
    ) -> None:
        self.status = "idle"
        self.progress = 0
        self.image_url: str | None = None
        self.images: tuple[Image, ...] = ()
        self.error: str | None = None
        self.generation_id: UUID | None = None
        self._url = url
        self._key = key
        self._functions_url = functions_url
        self._access_token = access_token
        self._timeout = timeout
        self._on_change = on_change
        self._subscribe = subscribe or self._subscribe_by_realtime
        self._task: asyncio.Task[None] | None = None

    async def start(self, *, prompt: str, model_id: str, **request: Any) -> None:
        """Start a generation and follow it to its end, replacing an earlier one.

        `request` as in start_image_generation. Returns early on `reset`. Raises StartRefused and
        SubscriptionError after setting the status to failed.
        """
        self.reset()
        request = {"idempotency_key": str(uuid4())} | request
        self._task = asyncio.create_task(
            self._generate({"prompt": prompt, "model_id": model_id, **request})
        )
        try:
            await self._task
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task and task.cancelling():
                raise

    def reset(self) -> None:
        """Return to idle and stop following; the generation itself continues."""
        if self._task is not None:
            self._task.cancel()
        self.generation_id = None
        self.images = ()
        self._set_state("idle")

    async def _generate(self, request: dict[str, Any]) -> None:
        token = self._access_token() if callable(self._access_token) else self._access_token
        self._set_state("queued")
        try:
            started = await start_image_generation_async(
                self._url,
                self._key,
                functions_url=self._functions_url,
                access_token=token,
                **request,
            )
            self.generation_id = started.generation_id
            async with aclosing(aiter(self._subscribe(started.generation_id))) as updates:
                async for update in updates:
                    self._apply(update)
        except (StartRefused, SubscriptionError) as error:
            self._set_state("failed", self.progress, error=str(error))
            raise

    def _subscribe_by_realtime(self, generation_id: UUID) -> Subscription:
        return subscribe_to_generation(
            generation_id,
            supabase_url=self._url,
            supabase_key=self._key,
            access_token=self._access_token,
            timeout=self._timeout,
        )

    def _apply(self, update: GenerationUpdate) -> None:
        match update.status:
            case "cancelled":
                error = update.error_message or "The generation was cancelled."
                self._set_state("failed", update.progress, error=error)
            case "failed":
                error = update.error_message or "The generation failed."
                self._set_state("failed", update.progress, error=error)
            case status:
                # While queued, error_message is that of an earlier attempt, not a final failure.
                self.images = update.images
                self._set_state(status, update.progress, image_url=update.image_url)

    def _set_state(
        self,
        status: str,
        progress: int = 0,
        *,
        image_url: str | None = None,
        error: str | None = None,
    ) -> None:
        previous = (self.status, self.progress, self.image_url, self.error)
        self.status, self.progress, self.image_url, self.error = status, progress, image_url, error
        if self._on_change and previous != (status, progress, image_url, error):
            self._on_change(self)
