"""All self-test checks, in execution order."""

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
from lib.checks.selftest.check import Check

CHECKS = (
    Check(
        "schema",
        "Database",
        "Everything that the migrations make is there",
        "Every table, view, function and trigger of supabase/migrations exists.",
        schema.schema_complete,
    ),
    Check(
        "leftovers",
        "Database",
        "Nothing is left of earlier self-tests",
        "What a run left that was killed is removed.",
        cleanup.remove_leftovers,
    ),
    Check(
        "enqueue",
        "Database",
        "A job is enqueued",
        "enqueue_job answers with an id, and the job is pending with 0 attempts.",
        queue.enqueue,
    ),
    Check(
        "claim",
        "Database",
        "A job is claimed once",
        "claim_next_job gives the job as processing with 1 attempt, and not a second time.",
        queue.claim,
        needs=("enqueue",),
    ),
    Check(
        "complete",
        "Database",
        "A job is completed",
        "complete_job ends a success as completed, a failure as pending for a retry, and changes"
        " nothing for an attempt that is not the current one.",
        queue.complete,
        needs=("claim",),
    ),
    Check(
        "invalid-arguments",
        "Database",
        "Invalid arguments are refused",
        "Each gives its documented error: SQLSTATE 22023 for a bad argument, DR404 for no job.",
        queue.invalid_arguments,
    ),
    Check(
        "row-level-security",
        "Database",
        "Another user's job is invisible",
        "Tables have their policies, and of two signed-in users each sees only their own rows.",
        row_security.users_see_their_own,
    ),
    Check(
        "stuck-jobs",
        "Database",
        "A stuck job is found and reset",
        "A job without a sign of life is in stuck_jobs; a reset makes it pending, attempts"
        " unchanged.",
        queue.stuck_job_reset,
        needs=("claim",),
    ),
    Check(
        "functions",
        "Functions",
        "The functions answer, and refuse who has no key",
        "start-generation without a key gives HTTP 401 no_key.",
        functions.refuse_without_key,
    ),
    Check(
        "start-generation",
        "Functions",
        "start-generation starts a generation",
        "HTTP 200 with generation_id and job_id for the secret key; for the publishable key 404 for"
        " an unknown model and 403 for a test.",
        functions.start_generation,
        needs=("schema", "leftovers", "functions"),
    ),
    Check(
        "process-jobs",
        "Functions",
        "process-jobs runs what is due",
        "HTTP 200 with counts for the secret key, 403 for the publishable key.",
        functions.process_jobs,
        needs=("functions",),
        time_limit=120,
        on_timeout="process-jobs runs the jobs that are due and answers when they have ended. If"
        " models take as long as that, lower MAX_PARALLEL_JOBS; else look at the log of the"
        " function.",
    ),
    Check(
        "process-generation",
        "Functions",
        "process-generation runs one generation",
        "HTTP 200 for the secret key, and the generation is completed; 403 for the publishable"
        " key.",
        functions.process_generation,
        needs=("schema", "leftovers", "functions"),
        time_limit=120,
        on_timeout="Look at the log of the function for what the provider does, and at Failures.",
    ),
    Check(
        "error-handling",
        "Functions",
        "A job that cannot succeed ends as failed",
        "A job of an unknown model is in failed_jobs_recent after 1 attempt.",
        functions.invalid_model,
        needs=("process-generation",),
        time_limit=60,
    ),
    Check(
        "signed-in-user",
        "Functions",
        "A signed-in user's generation is theirs",
        "HTTP 200 for the publishable key with the token of a user who has signed in; generation"
        " and job name that user.",
        signed_in.own_generation,
        needs=("start-generation",),
    ),
    Check(
        "rate-limiting",
        "Functions",
        "A user over the limit is refused",
        "Of two starts by a user who may start one an hour, the second gives HTTP 429 with"
        " Retry-After.",
        signed_in.over_limit_refused,
        needs=("signed-in-user",),
    ),
    Check(
        "worker",
        "Workers",
        "A worker is alive",
        "A worker showed life within a minute, or process-jobs was called within two.",
        queue.worker_alive,
    ),
    Check(
        "realtime",
        "End to end",
        "Changes arrive while one waits",
        "A new generation and its progress are told to whoever listens: over Supabase Realtime, or"
        " by NOTIFY where there is none.",
        realtime.changes_arrive,
        needs=("leftovers",),
        time_limit=30,
    ),
    Check(
        "end-to-end",
        "End to end",
        "A generation becomes an image",
        "A worker completes what start-generation started, and its image is fetched over HTTP.",
        end_to_end.start_to_image,
        needs=("start-generation", "worker"),
        time_limit=end_to_end.SECONDS + 10,
    ),
)
CLEAN_UP = Check(
    "clean-up",
    "Clean-up",
    "Nothing of this run is left",
    "Its generations, jobs, user and images are removed.",
    cleanup.remove_run,
    time_limit=cleanup.WAIT_SECONDS + 20,
)
"""Always runs last, even if the run fails or is cancelled."""
ALWAYS = ("schema", "leftovers")
"""Included in every selection: they explain or prevent failures of the other checks."""


def selected(names: frozenset[str]) -> list[Check]:
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
