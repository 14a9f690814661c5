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
        "Everything that the migrations make is there",
        schema.schema_complete,
        "Every table, view, function and trigger of supabase/migrations exists.",
        "Database",
    ),
    Check(
        "leftovers",
        "Nothing is left of earlier self-tests",
        cleanup.remove_leftovers,
        "What a run left that was killed is removed.",
        "Database",
    ),
    Check(
        "enqueue",
        "A job is enqueued",
        queue.enqueue,
        "enqueue_job answers with an id, and the job is pending with 0 attempts.",
        "Database",
    ),
    Check(
        "claim",
        "A job is claimed once",
        queue.claim,
        "claim_next_job gives the job as processing with 1 attempt, and not a second time.",
        "Database",
        needs=("enqueue",),
    ),
    Check(
        "complete",
        "A job is completed",
        queue.complete,
        "complete_job ends a success as completed, a failure as pending for a retry, and changes"
        " nothing for an attempt that is not the current one.",
        "Database",
        needs=("claim",),
    ),
    Check(
        "invalid-arguments",
        "Invalid arguments are refused",
        queue.invalid_arguments,
        "Each gives its documented error: SQLSTATE 22023 for a bad argument, DR404 for no job.",
        "Database",
    ),
    Check(
        "row-level-security",
        "Another user's job is invisible",
        row_security.users_see_their_own,
        "Tables have their policies, and of two signed-in users each sees only their own rows.",
        "Database",
    ),
    Check(
        "stuck-jobs",
        "A stuck job is found and reset",
        queue.stuck_job_reset,
        "A job without a heartbeat is in stuck_jobs; a reset makes it pending, attempts unchanged.",
        "Database",
        needs=("claim",),
    ),
    Check(
        "functions",
        "The functions answer, and refuse who has no key",
        functions.refuse_without_key,
        "start-generation without a key gives HTTP 401 no_key.",
        "Functions",
    ),
    Check(
        "start-generation",
        "start-generation starts a generation",
        functions.start_generation,
        "HTTP 200 with generation_id and job_id for the secret key; for the publishable key 404 for"
        " an unknown model and 403 for a test, or 401 where starting needs a signed-in user.",
        "Functions",
        needs=("schema", "leftovers", "functions"),
    ),
    Check(
        "process-jobs",
        "process-jobs runs what is due",
        functions.process_jobs,
        "HTTP 200 with counts for the secret key, 403 for the publishable key.",
        "Functions",
        needs=("functions",),
        time_limit=120,
        on_timeout="process-jobs runs the jobs that are due and answers when they have ended. If"
        " models take as long as that, lower MAX_PARALLEL_JOBS; else look at the log of the"
        " function.",
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
        on_timeout="Look at the log of the function for what the provider does, and at Failures.",
    ),
    Check(
        "error-handling",
        "A job that cannot succeed ends as failed",
        functions.invalid_model,
        "A job of an unknown model is in failed_jobs_recent after 1 attempt.",
        "Functions",
        needs=("process-generation",),
        time_limit=60,
    ),
    Check(
        "signed-in-user",
        "A signed-in user's generation is theirs",
        signed_in.own_generation,
        "HTTP 200 for the publishable key with the token of a user who has signed in; generation"
        " and job name that user.",
        "Functions",
        needs=("start-generation",),
    ),
    Check(
        "rate-limiting",
        "A user over the limit is refused",
        signed_in.over_limit_refused,
        "Of two starts by a user who may start one an hour, the second gives HTTP 429 with"
        " Retry-After.",
        "Functions",
        needs=("signed-in-user",),
    ),
    Check(
        "worker",
        "A worker is alive",
        queue.worker_alive,
        "A worker showed life within a minute, or process-jobs was called within two.",
        "Workers",
    ),
    Check(
        "realtime",
        "Changes arrive while one waits",
        realtime.changes_arrive,
        "A new generation and its progress are published to subscribers: over Supabase Realtime, or"
        " by NOTIFY where there is none.",
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
    "Nothing of this run is left",
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
