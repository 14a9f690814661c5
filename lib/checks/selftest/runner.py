"""Runs the self-test's checks in order and cleans up afterwards."""

import asyncio
import json
import logging
import time
from collections.abc import Collection
from datetime import UTC, datetime

import httpx

from lib.checks.check import Finding
from lib.checks.selftest.catalogue import CLEAN_UP, selected
from lib.checks.selftest.context import RunContext, Unreachable
from lib.checks.selftest.report import Report, outcomes
from lib.checks.selftest.result import CheckEnded, Result
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
                result.finding = _skipped(f"The run took longer than {MAX_RUN_SECONDS / 60:g} min.")
            elif reason := self._unmet_dependency(result):
                result.finding = _skipped(reason)
            else:
                await self._run_check(result, context)

    def _unmet_dependency(self, result: Result) -> str:
        for other in self._check_results:
            if other.check.name in result.check.needs and other.status != "passed":
                how = "failed" if other.status == "failed" else "was skipped"
                return f"Needs “{other.check.title}”, which {how}."
        return ""

    async def _run_check(self, result: Result, context: RunContext) -> None:
        start = time.monotonic()
        result.running = True
        try:
            async with asyncio.timeout(result.check.time_limit):
                finding = await result.check.run(context)
        except asyncio.CancelledError:
            result.finding = _skipped("Interrupted.")
            raise
        except Exception as error:  # noqa: BLE001
            finding = self._explain(error, result)
        result.finding, result.seconds = finding, time.monotonic() - start

    def _explain(self, error: Exception, result: Result) -> Finding:
        match error:
            case CheckEnded():
                return error.finding
            case SchemaMissing():
                schema = self._check_results[0]
                if schema.status == "failed" and result is not schema:
                    return _skipped(f"Needs objects that “{schema.check.title}” reported missing.")
                todo = "DATABASE_URL=… python -m lib.database.migrations"
            case DatabaseUnavailable():
                todo = "Make sure that the database is running, then run the self-test again."
            case Unreachable():
                todo = "Check the app's or the function's log."
            case TimeoutError():
                check = result.check
                return Finding(
                    "critical", f"Not finished after {check.time_limit:g} s.", check.on_timeout
                )
            case _:
                logger.error(
                    "Check %s raised an unexpected error", result.check.name, exc_info=error
                )
                return Finding(
                    "critical",
                    f"{type(error).__name__}: {error}",
                    "Unexpected error. See the log for details.",
                )
        return Finding("critical", str(error), todo)

    async def _record(self, context: RunContext, query: str, **parameters: str) -> None:
        try:
            await context.query(query, actor=self._actor, **parameters)
        except DatabaseError as error:
            logger.warning("The self-test is not in the audit log: %s", error)


def _skipped(reason: str) -> Finding:
    return Finding("not_applicable", reason)
