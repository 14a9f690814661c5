"""Runs the self-test's checks in order and cleans up afterwards."""

import asyncio
import json
import logging
import time
from collections.abc import Collection
from datetime import UTC, datetime

import httpx

from lib.checks.selftest.catalogue import CLEAN_UP, selected
from lib.checks.selftest.check import CheckFailed, CheckSkipped, Result
from lib.checks.selftest.context import RunContext, Unreachable
from lib.checks.selftest.report import Report, outcomes
from lib.checks.selftest.target import Target
from lib.database import (
    DatabaseError,
    DatabaseUnavailable,
    SchemaMissing,
    connect,
    open_async_pool,
)

logger = logging.getLogger(__name__)

STATEMENT_SECONDS = 15.0
MAX_RUN_SECONDS = 600.0
"""Time limit for all checks together. Must stay below the 15 minutes after which rows count as
leftovers of a killed run."""


class CannotRun(Exception):
    """The self-test could not start; the message says what to fix first."""


class SelfTest:
    """A self-test run. `results` are updated in place and may be read from other threads."""

    def __init__(self, target: Target, actor: str, only: Collection[str] = ()) -> None:
        """Select the checks in `only` and their dependencies. Raises KeyError for unknown names."""
        self._target = target
        self._actor = actor
        self._clean_up = Result(CLEAN_UP)
        self._check_results = [Result(check) for check in selected(frozenset(only))]
        self.results = [*self._check_results, self._clean_up]

    async def run(self) -> Report:
        """Run the checks, clean up, and record the report in the audit log.

        If cancelled, it cleans up but records no report. Raises CannotRun.
        """
        started_at, start = datetime.now(UTC), time.monotonic()
        target = self._target
        try:
            # A plain connection fails at once; the pool would wait for the database first.
            (await asyncio.to_thread(connect, target.database_url)).close()
        except DatabaseError as error:
            raise CannotRun(target.without_secrets(str(error))) from error
        pool = await open_async_pool(
            target.database_url,
            max_size=3,
            wait=5.0,
            statement_timeout=STATEMENT_SECONDS,
            application_name="darkroom self-test",
        )
        async with pool, httpx.AsyncClient(timeout=None) as http:
            context = RunContext(target, pool, http)
            await self._record(context, "record_start", run=str(context.run))
            try:
                await self._run_checks(context)
            finally:
                await self._run_check(self._clean_up, context)
            report = Report(
                run=str(context.run),
                outcome="failed" if any(r.status == "failed" for r in self.results) else "passed",
                started_at=started_at.isoformat(timespec="seconds"),
                seconds=round(time.monotonic() - start, 3),
                database=target.database,
                functions=target.functions_url,
                provider=target.provider,
                checks=outcomes(self.results, target),
            )
            await self._record(context, "record_run", report=json.dumps(report))
        return report

    async def _run_checks(self, context: RunContext) -> None:
        deadline = time.monotonic() + MAX_RUN_SECONDS
        for result in self._check_results:
            if time.monotonic() > deadline:
                _skip(result, f"The whole run took longer than {MAX_RUN_SECONDS / 60:g} minutes.")
            elif reason := self._unmet_dependency(result):
                _skip(result, reason)
            else:
                await self._run_check(result, context)

    def _unmet_dependency(self, result: Result) -> str:
        for other in self._check_results:
            if other.check.name in result.check.needs and other.status != "passed":
                how = "failed" if other.status == "failed" else "was skipped"
                return f'Needs "{other.check.title}", which {how}.'
        return ""

    async def _run_check(self, result: Result, context: RunContext) -> None:
        check, start = result.check, time.monotonic()
        result.status = "running"
        try:
            async with asyncio.timeout(check.time_limit):
                result.came_back = await check.run(context)
            result.status = "passed"
        except CheckFailed as failure:
            _fail(result, failure.came_back, failure.repair)
        except CheckSkipped as skipped:
            _skip(result, str(skipped))
        except SchemaMissing as error:
            self._handle_missing_schema(result, error)
        except DatabaseUnavailable as error:
            _fail(result, str(error), "See that the database runs, then run the self-test again.")
        except Unreachable as error:
            _fail(result, str(error), "Look at the log of the app, or of the function.")
        except TimeoutError:
            _fail(result, f"Not done after {check.time_limit:g} s.", check.on_timeout)
        except asyncio.CancelledError:
            _skip(result, "Interrupted.")
            raise
        except Exception as error:
            logger.exception("Check %s broke", check.name)
            _fail(
                result,
                f"{type(error).__name__}: {error}",
                "This is no answer that the self-test knows: the message says what the database or"
                " the network refused. Its log has the whole of it.",
            )
        result.seconds = time.monotonic() - start

    def _handle_missing_schema(self, result: Result, error: SchemaMissing) -> None:
        schema = self._check_results[0]
        if schema.status == "failed" and result is not schema:
            _skip(result, f'Uses what "{schema.check.title}" found missing.')
        else:
            _fail(result, str(error), "DATABASE_URL=… python -m lib.database.migrations")

    async def _record(self, context: RunContext, query: str, **parameters: str) -> None:
        try:
            await context.query(query, actor=self._actor, **parameters)
        except DatabaseError as error:
            logger.warning("The self-test is not in the audit log: %s", error)


def _fail(result: Result, came_back: str, repair: str) -> None:
    result.status, result.came_back, result.repair = "failed", came_back, repair


def _skip(result: Result, reason: str) -> None:
    result.status, result.came_back = "skipped", reason
