"""All self-test checks, in execution order."""

from lib.checks.check import Check
from lib.checks.selftest import (
    cleanup,
    end_to_end,
    functions,
    queue,
    realtime,
    row_security,
    schema,
    signed_in,
)
from lib.checks.selftest.result import SelfTestCheck

CHECKS: tuple[SelfTestCheck, ...] = (
    Check(
        "schema",
        "Schema is complete",
        schema.schema_complete,
        "Every table, view, function and trigger of supabase/migrations exists.",
        "Database",
    ),
    Check(
        "leftovers",
        "No leftovers from earlier self-tests",
        cleanup.remove_leftovers,
        "Anything that an interrupted run left behind is removed.",
        "Database",
    ),
    Check(
        "enqueue",
        "A job is enqueued",
        queue.enqueue,
        "enqueue_job returns an id, and the job is pending with 0 attempts.",
        "Database",
    ),
    Check(
        "claim",
        "A job is claimed once",
        queue.claim,
        "claim_next_job returns the job as processing with 1 attempt, and does not return it"
        " again.",
        "Database",
        needs=("enqueue",),
    ),
    Check(
        "complete",
        "A job is completed",
        queue.complete,
        "complete_job marks a successful job completed, returns a failed one to pending for a"
        " retry, and ignores attempts that are no longer current.",
        "Database",
        needs=("claim",),
    ),
    Check(
        "invalid-arguments",
        "Invalid arguments are rejected",
        queue.invalid_arguments,
        "Each raises its documented error: SQLSTATE 22023 for an invalid argument, DR404 for an"
        " unknown job.",
        "Database",
    ),
    Check(
        "row-level-security",
        "Another user's jobs are invisible",
        row_security.users_see_their_own,
        "Tables have their policies, and each of two signed-in users sees only their own rows.",
        "Database",
    ),
    Check(
        "stuck-jobs",
        "A stuck job is found and reset",
        queue.stuck_job_reset,
        "A job without a heartbeat is in stuck_jobs; a reset makes it pending with its attempts"
        " unchanged.",
        "Database",
        needs=("claim",),
    ),
    Check(
        "functions",
        "The functions respond, and reject calls without a key",
        functions.refuse_without_key,
        "start-generation without a key returns HTTP 401 no_key.",
        "Functions",
    ),
    Check(
        "start-generation",
        "start-generation starts a generation",
        functions.start_generation,
        "HTTP 200 with generation_id and job_id for the secret key. For the publishable key:"
        " 404 for an unknown model and 403 for a test, or 401 if starting requires sign-in.",
        "Functions",
        needs=("schema", "leftovers", "functions"),
    ),
    Check(
        "process-jobs",
        "process-jobs runs pending jobs",
        functions.process_jobs,
        "HTTP 200 with counts for the secret key, 403 for the publishable key.",
        "Functions",
        needs=("functions",),
        time_limit=120,
        on_timeout="Darkroom's process-jobs responds within 5 s; a project's own function may wait"
        " for its jobs to end. Check the function's log.",
    ),
    Check(
        "process-generation",
        "process-generation runs one generation",
        functions.process_generation,
        "HTTP 200 for the secret key, and the generation is completed; 403 for the publishable"
        " key.",
        "Functions",
        needs=("schema", "leftovers", "functions"),
        time_limit=120,
        on_timeout="Check the function's log and the Failures page.",
    ),
    Check(
        "error-handling",
        "A job that cannot succeed ends as failed",
        functions.invalid_model,
        "A job for an unknown model is in failed_jobs_recent after 1 attempt.",
        "Functions",
        needs=("process-generation",),
        time_limit=60,
    ),
    Check(
        "signed-in-user",
        "A signed-in user's generation belongs to them",
        signed_in.own_generation,
        "HTTP 200 for the publishable key with the token of a signed-in user; the generation"
        " and the job belong to that user.",
        "Functions",
        needs=("start-generation",),
    ),
    Check(
        "rate-limiting",
        "Requests over the limit are rejected",
        signed_in.over_limit_refused,
        "For a user with a limit of one start per hour, the second start returns HTTP 429 with"
        " Retry-After.",
        "Functions",
        needs=("signed-in-user",),
    ),
    Check(
        "worker",
        "A worker is alive",
        queue.worker_alive,
        "A worker sent a heartbeat in the last minute, or process-jobs was called in the last two.",
        "Workers",
    ),
    Check(
        "realtime",
        "Changes arrive in real time",
        realtime.changes_arrive,
        "A new generation and its progress are published to subscribers: over Supabase"
        " Realtime, or by NOTIFY without a Supabase project.",
        "End to end",
        needs=("leftovers",),
        time_limit=30,
    ),
    Check(
        "end-to-end",
        "A generation becomes an image",
        end_to_end.start_to_image,
        "A worker completes what start-generation started, and its image is fetched over HTTP.",
        "End to end",
        needs=("start-generation", "worker"),
        time_limit=end_to_end.SECONDS + 10,
    ),
)
CLEAN_UP: SelfTestCheck = Check(
    "clean-up",
    "Nothing from this run remains",
    cleanup.remove_run,
    "Its generations, jobs, user and images are removed.",
    "Clean-up",
    time_limit=cleanup.WAIT_SECONDS + 20,
)
"""Always runs last, even if the run fails or is cancelled."""
ALWAYS = ("schema", "leftovers")
"""Included in every selection: they explain or prevent failures of the other checks."""


def selected(names: frozenset[str]) -> list[SelfTestCheck]:
    """The named checks and their dependencies; all checks if no names are given.

    Raises KeyError for an unknown name.
    """
    by_name = {check.name: check for check in CHECKS}
    wanted: set[str] = set()

    def add(name: str) -> None:
        wanted.add(name)
        for need in by_name[name].needs:
            add(need)

    for name in names | set(ALWAYS) if names else by_name:
        add(name)
    return [check for check in CHECKS if check.name in wanted]
