"""Command-line self-test of the deployment given by the settings.

    python -m lib.checks.selftest [--json] [--only NAME,…]

Exit codes: 0 if no check failed, 1 if one failed, 2 if the self-test could not run.
"""

import argparse
import asyncio
import getpass
import json
import logging
import signal
import sys

from lib.checks.selftest.catalogue import CHECKS
from lib.checks.selftest.report import Report, as_json, as_text
from lib.checks.selftest.runner import CannotRun, SelfTest
from lib.checks.selftest.target import target
from lib.database import DatabaseError
from lib.settings import SettingsError, settings

PASSED, FAILED, CANNOT_RUN = 0, 1, 2


def main() -> int:
    """Run the self-test, print its report and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m lib.checks.selftest",
        description="Test the configured deployment. Runs up to three real generations, which the"
        " provider charges for, and cleans up afterwards.",
        epilog=f"Checks: {', '.join(check.name for check in CHECKS)}.",
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.add_argument("--only", default="", help="comma-separated names of checks")
    arguments = parser.parse_args()
    names = [name.strip() for name in arguments.only.split(",") if name.strip()]
    unknown = set(names) - {check.name for check in CHECKS}
    if unknown:
        parser.error(f"unknown check: {', '.join(sorted(unknown))}")
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    try:
        report = asyncio.run(_run(names))
    except (CannotRun, SettingsError, DatabaseError) as error:
        if arguments.json:
            print(json.dumps({"outcome": "cannot run", "error": str(error)}))
        print(f"The self-test cannot run: {error}", file=sys.stderr)
        return CANNOT_RUN
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("Self-test interrupted. Everything it created was removed.", file=sys.stderr)
        return CANNOT_RUN
    print(as_json(report) if arguments.json else as_text(report))
    return PASSED if report["outcome"] == "passed" else FAILED


async def _run(names: list[str]) -> Report:
    this = asyncio.current_task()
    assert this is not None
    # Like Ctrl-C: cancels the run, which then cleans up.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, this.cancel)
    deployment = await asyncio.to_thread(target, settings())
    return await SelfTest(deployment, f"{getpass.getuser()} (shell)", names).run()


if __name__ == "__main__":
    sys.exit(main())
