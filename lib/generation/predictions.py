"""From an intent to a prediction: create it, or find the one that an earlier attempt created.

The intent is in the database before the request is sent. An attempt that finds one without the
provider's id looks for its prediction in the provider's list, by model, input and time, and sends
the request again only once it can no longer arrive and the list does not show it.
"""

import asyncio
import logging
from dataclasses import replace
from datetime import timedelta

from lib.database import DatabaseUnavailable
from lib.generation.inputs import InputFiles
from lib.generation.outputs import may_have_expired, outputs_expired
from lib.generation.prediction_calls import Intent, PredictionCalls, RecordOutcome
from lib.generation.prompt_check import PromptCheck
from lib.provider import CANCEL_MARGIN_SECONDS, Capability, Prediction, Provider, ProviderError
from lib.queue.worker_calls import Claim, ClaimLost, JobFailed

logger = logging.getLogger(__name__)

CREATE_SECONDS = 30.0
"""How long after its intent a request may still be sent or wait for its answer."""
ARRIVAL_SECONDS = 10.0
"""How much later a prediction may show in the provider's list."""
CLOCK_SECONDS = 60.0
"""How far the provider's clock may be behind the database's."""
SEARCH_SECONDS = 3300.0
"""How long an intent is looked for: the provider removes inputs after an hour."""
LOOK_AGAIN_SECONDS = 10.0
STOP_SECONDS = 3.0
"""How long a stopped attempt waits for the answer to its request."""
RECORD_RETRY_SECONDS = 0.5


class Predictions:
    """Gets predictions of `provider` for intents. Its methods raise ProviderError and ClaimLost.

    `check` sees the prompt before each creation, then `files` gives the files of the input.
    """

    def __init__(
        self,
        calls: PredictionCalls,
        provider: Provider,
        files: InputFiles,
        check: PromptCheck | None = None,
    ) -> None:
        self._calls = calls
        self.provider = provider
        self._files = files
        self._check = check

    async def get(
        self, claim: Claim, intent: Intent, began: float
    ) -> tuple[Intent, Prediction, float]:
        """The prediction of an intent, the intent that it belongs to after all, and its beginning.

        That is the event loop's time before the intent was read, `began`, or before the prediction
        was created. Raises JobFailed with code creation_unknown while it is not known whether an
        earlier request has arrived, outputs_expired, and those of the prompt check.
        """
        if Capability.GET not in self.provider.capabilities and (
            intent.provider_id is not None or intent.seconds is not None
        ):
            intent = await self._give_up(claim, intent)
            began = asyncio.get_running_loop().time()
        elif intent.provider_id is not None:
            try:
                known = await self._known(intent, intent.provider_id)
            except ProviderError as error:
                if error.code != "prediction_not_found":
                    raise
                # Too young to have been removed. Its id may be wrong; the list has the right one.
                if Capability.LIST not in self.provider.capabilities:
                    raise creation_unknown() from error
                logger.warning("The provider does not know prediction %s", intent.provider_id)
                intent = await self._calls.forget_id(claim, intent)
            else:
                refused = known.failure is not None and known.failure.permanent
                if known.status == "succeeded" or not known.finished or refused:
                    return intent, known, began
                began = asyncio.get_running_loop().time()
                intent = await self._calls.replace(claim, intent, known.status, known.error)
        if intent.seconds is not None:
            found = await self._find(claim, intent)
            if found:
                return intent, found, began
            began = asyncio.get_running_loop().time()
            if self._is_unknown(intent):
                logger.warning("Whether prediction %s was started is unknown", intent.id)
                intent = await self._calls.replace(claim, intent, "unknown")
            else:
                await self._calls.renew(claim, intent)
        given = await self._prepare(intent)
        if given:
            # Giving them may have taken longer than a request has from its intent on.
            began = asyncio.get_running_loop().time()
            # Only what is looked for in a list is kept: for others it may be the files themselves.
            kept = given if Capability.LIST in self.provider.capabilities else None
            await self._calls.renew(claim, intent, kept)
            intent = replace(intent, given_files=given)
        creating = asyncio.create_task(self._create(claim, intent, began + CREATE_SECONDS))
        try:
            return intent, await asyncio.shield(creating), began
        except asyncio.CancelledError:
            # Its answer now saves the next attempt the search.
            await asyncio.wait([creating], timeout=STOP_SECONDS)
            creating.cancel()
            raise

    async def take_back(self, claim: Claim, intent: Intent) -> None:
        """Take back an intent whose prediction was created but not started. Raises ClaimLost."""
        await self._calls.drop(await self._calls.forget_id(claim, intent))

    async def _give_up(self, claim: Claim, intent: Intent) -> Intent:
        """Another intent instead of one of an earlier attempt, whose files are lost with its end.

        Only once its prediction does not run: nothing runs twice at a time. Raises JobFailed with
        code creation_unknown until then.
        """
        if intent.ended:
            return await self._calls.replace(claim, intent, "expired")
        if Capability.OWN_ID not in self.provider.capabilities:
            _require_waited(intent.seconds or 0)
            return await self._calls.replace(claim, intent, "unknown")
        status = "unknown"
        try:
            cancelled = await self.provider.cancel(intent.provider_id or str(intent.id))
        except ProviderError as error:
            if error.code != "prediction_not_found":
                raise
        else:
            if not cancelled.finished:
                raise creation_unknown()
            status = cancelled.status
        logger.warning("The end of prediction %s is unknown (%s)", intent.id, status)
        return await self._calls.replace(claim, intent, status)

    async def _prepare(self, intent: Intent) -> dict[str, str]:
        """Check the prompt, and return what takes the places of files in the input."""
        passed = False
        try:
            if self._check and "prompt" in intent.input:
                await self._check(str(intent.input["prompt"]), intent.user_id, intent.model_id)
            given = await self._files.give(
                self.provider, intent.generation_id, intent.model_id, intent.input
            )
            passed = True
            return given
        finally:
            if not passed:
                # Nothing was sent, so the next attempt need not look for it.
                await self._calls.drop(intent)

    async def _known(self, intent: Intent, prediction_id: str) -> Prediction:
        """Read a prediction. Raises outputs_expired if its age explains what is missing."""
        try:
            prediction = await self.provider.get(prediction_id)
        except ProviderError as error:
            if error.code == "prediction_not_found" and may_have_expired(intent.at):
                raise outputs_expired(prediction_id) from error
            raise
        gone = prediction.status == "succeeded" and not prediction.output
        # Images that the safety filter left out leave an empty list, removed ones none.
        gone = gone and prediction.failure is None
        if gone and may_have_expired(prediction.created_at or intent.at):
            raise outputs_expired(prediction.id)
        return prediction

    def _is_unknown(self, intent: Intent) -> bool:
        can_list = Capability.LIST in self.provider.capabilities
        return not can_list or (intent.seconds or 0) > SEARCH_SECONDS

    async def _find(self, claim: Claim, intent: Intent) -> Prediction | None:
        """The prediction of an earlier attempt's intent; None if another is to be created.

        Raises JobFailed, creation_unknown, if the request may still arrive.
        """
        waited = intent.seconds or 0
        if Capability.LIST not in self.provider.capabilities:
            _require_waited(waited)
            return None
        listed = await self.provider.list_since(intent.at - timedelta(seconds=CLOCK_SECONDS))
        same = [
            each.id
            for each in reversed(listed.predictions)
            if each.model == intent.model_id and each.input == intent.sent_input
        ]
        adopted = await self._calls.adopt(claim, intent, same) if same else None
        if adopted is not None:
            logger.info("Adopted prediction %s, which an earlier attempt started", adopted)
            try:
                return await self._known(intent, adopted)
            except ProviderError as error:
                if error.code == "prediction_not_found":
                    raise creation_unknown() from error
                raise
        if waited > SEARCH_SECONDS:
            return None
        if not listed.complete:
            raise creation_unknown()
        _require_waited(waited)
        return None

    async def _create(self, claim: Claim, intent: Intent, until: float) -> Prediction:
        try:
            async with asyncio.timeout_at(until):
                prediction = await self.provider.create(
                    intent.model_id,
                    intent.sent_input,
                    version=intent.version,
                    cancel_after=intent.deadline_seconds + CANCEL_MARGIN_SECONDS,
                    # The queue delays all jobs of the model, and the slot is free for others.
                    wait_out_rate_limits=False,
                    own_id=str(intent.id),
                )
        except TimeoutError as error:
            raise ProviderError(
                f"The provider did not confirm within {CREATE_SECONDS:g} s that it started"
                f" {intent.model_id}.",
                code="unreachable",
            ) from error
        except ProviderError as error:
            if error.no_effect:
                await self._calls.drop(intent)
            raise
        outcome = await self._record(claim, intent, prediction)
        if outcome == "unwanted":
            await cancel(self.provider, prediction.id)
        if outcome == "taken":
            raise creation_unknown()
        if outcome != "held":
            raise ClaimLost(claim)
        return prediction

    async def _record(self, claim: Claim, intent: Intent, prediction: Prediction) -> RecordOutcome:
        """Store the provider's id, retrying for as long as the database is unreachable."""
        while True:
            try:
                return await self._calls.record(claim, intent, prediction)
            except DatabaseUnavailable as error:
                logger.warning("Prediction %s waits for the database: %s", prediction.id, error)
            await asyncio.sleep(RECORD_RETRY_SECONDS)


async def cancel(provider: Provider, prediction_id: str) -> None:
    """Cancel a prediction; an error is only logged."""
    try:
        await provider.cancel(prediction_id)
    except ProviderError as error:
        logger.warning("Prediction %s was not cancelled: %s", prediction_id, error)


def _require_waited(seconds: float) -> None:
    """Raise JobFailed as long as an intent's request may still arrive at the provider."""
    left = CREATE_SECONDS + ARRIVAL_SECONDS - seconds
    if left > 0:
        raise creation_unknown(left)


def creation_unknown(retry_after: float = LOOK_AGAIN_SECONDS) -> JobFailed:
    """The end of an attempt after which the next one looks for the prediction."""
    return JobFailed(
        "An earlier attempt may have started this generation at the provider. Its prediction is"
        " looked up before another is paid for.",
        code="creation_unknown",
        retry_after=retry_after,
    )
