"""Self-test runs in a background thread."""

import asyncio
import logging
from collections.abc import Callable
from threading import Thread

from lib.checks.selftest.report import Outcome, Report, outcomes
from lib.checks.selftest.runner import CannotRun, SelfTest
from lib.checks.selftest.target import Target

logger = logging.getLogger(__name__)


class BackgroundRun:
    """A self-test run that starts on creation and does not depend on any browser session."""

    def __init__(self, target: Target, actor: str, on_end: Callable[[], object]) -> None:
        """Start the run; `on_end` is called in its thread when it has ended."""
        self.report: Report | None = None
        self.refusal = ""
        """Why the run could not start."""
        self.error = ""
        """Why the run ended without a report."""
        self._target = target
        self._test = SelfTest(target, actor)
        self._on_end = on_end
        self._thread = Thread(target=self._run, name="self-test", daemon=True)
        self._thread.start()

    @property
    def running(self) -> bool:
        """Whether the run is still in progress."""
        return self._thread.is_alive()

    @property
    def checks(self) -> list[Outcome]:
        """Current state of every check."""
        return outcomes(self._test.results, self._target)

    def _run(self) -> None:
        try:
            self.report = asyncio.run(self._test.run())
        except CannotRun as error:
            self.refusal = str(error)
        except Exception:
            logger.exception("The self-test raised an unexpected error")
            self.error = "Unexpected error. See the app's log."
        self._on_end()
