"""Checks that the deployment works and no job needs attention."""

from lib.checks.check import Finding
from lib.checks.deployment.facts import Facts
from lib.checks.troubleshooting.stuck import reset
from lib.formats import duration
from lib.ops import conditions
from lib.ops.action_texts import RESET_ADVICE

OLD_SECONDS = 7 * 86_400
"""A self-test older than this no longer counts."""
MAX_COUNTED = 1000
"""The query counts failed jobs only up to this limit."""


def end_to_end(facts: Facts) -> Finding:
    """The last self-test passed and is recent."""
    last = facts.query("self_test")
    run = "Run it on the Self-test page, or from a shell: .venv/bin/python -m lib.checks.selftest"
    if last is None:
        return Finding("warning", "The self-test has not run yet.", run, "self_test")
    when = f"{duration(last['seconds'])} ago (run by {last['actor']})"
    if last["outcome"] != "passed":
        return Finding(
            "critical",
            f"The self-test failed {when}: {', '.join(last['failed'])}.",
            "The Self-test page shows how to fix each check. Then run it again.",
            "self_test",
        )
    if last["seconds"] > OLD_SECONDS:
        return Finding(
            "critical",
            f"The last self-test passed {when}; it must be less than 7 days old.",
            run,
            "self_test",
        )
    return Finding("ok", f"The self-test passed {when}.", page="self_test")


def no_failed(facts: Facts) -> Finding:
    """No job failed permanently in the last 24 hours."""
    failed = facts.query("failed")
    refused = f", {failed['refused']:,} refused" if failed["refused"] else ""
    if not failed["jobs"]:
        return Finding("ok", f"No failed jobs{refused} in the last 24 hours.")
    count = f"More than {MAX_COUNTED:,}" if failed["jobs"] > MAX_COUNTED else f"{failed['jobs']:,}"
    return Finding(
        "warning",
        f"{count} failed{refused} in the last 24 hours, the newest"
        f" {duration(failed['newest_seconds'])} ago.",
        "The Failures page explains each error group and can retry its jobs.",
        "failures",
    )


def no_stuck(facts: Facts) -> Finding:
    """No running job lacks a heartbeat."""
    stuck = facts.query("stuck")
    if not stuck["jobs"]:
        return Finding("ok", "No stuck jobs.")
    return Finding(
        "warning",
        f"{conditions.stuck(stuck['jobs'], stuck['longest_seconds'])} {RESET_ADVICE}",
        "Reset the jobs on the Jobs page (Stuck view) or with this SQL:\n\n"
        "select * from public.reset_stuck_jobs('your name');",
        "stuck_jobs",
        repair=reset(stuck["jobs"]),
    )
