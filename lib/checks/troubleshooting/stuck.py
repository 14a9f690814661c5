"""Symptom: jobs are stuck."""

from lib.checks.check import Check, Finding, Repair
from lib.checks.troubleshooting.symptom import Facts, Symptom
from lib.database import Pool, load, translated
from lib.formats import duration, plural
from lib.ops.action_texts import (
    BACK,
    CANCELLED,
    CHECK_AND_RESET,
    cancel_effect,
    outcome,
    reset_effect,
)
from lib.ops.conditions import no_worker
from lib.queue.operator_actions import cancel_jobs, in_batches, reset_stuck_jobs


def _reset(pool: Pool, actor: str) -> str:
    return outcome(BACK, len(reset_stuck_jobs(pool, actor, None)))


def reset(count: int) -> Repair:
    """Put all stuck jobs back on the queue."""
    return Repair(
        f"Reset {plural(count, 'stuck job')}",
        reset_effect(count),
        _reset,
    )


def silent_worker(facts: Facts) -> list[Finding]:
    """Workers that stopped sending heartbeats while running jobs."""
    now = facts["stuck"]
    held = now["stuck"] - now["unleased"]
    if not held:
        return []
    workers = "; ".join(
        f"{worker['host']} (pid {worker['pid']}) with {plural(worker['jobs'])}, no heartbeat for"
        f" {duration(worker['seconds'])}"
        for worker in now["silent"]
    )
    rescue = (
        "Other workers take over these jobs within a minute or two."
        if now["rescuers"]
        else no_worker()
    )
    return [
        Finding(
            "warning" if now["rescuers"] else "critical",
            f"{plural(held)}: {workers or 'workers unknown'}. {rescue}",
            cause="Worker lost with running jobs: killed, out of memory or disconnected.",
            jobs=held,
            repair=reset(now["stuck"]),
            todo="Check the logs and memory of that machine, and restart the worker.",
            page="stuck_jobs",
        )
    ]


def no_lease(facts: Facts) -> list[Finding]:
    """Processing jobs without a lease."""
    now = facts["stuck"]
    if not now["unleased"]:
        return []
    return [
        Finding(
            "warning",
            f"{plural(now['unleased'])} without a lease, claimed by a program that sends no"
            " heartbeats, such as an older worker or a manual call to claim_next_job. Workers do"
            " not take over such jobs, because that program may still be running.",
            cause="Jobs are running without a worker.",
            jobs=now["unleased"],
            repair=reset(now["stuck"]),
            todo=CHECK_AND_RESET,
            page="stuck_jobs",
        )
    ]


def long_running(facts: Facts) -> list[Finding]:
    """Jobs that run very long although their worker is alive."""
    running = facts["long_running"]
    if not running:
        return []
    return [
        Finding(
            "warning",
            f"{plural(len(running))}, the longest for {duration(running[0]['seconds'])}. Either a"
            " handler hangs, or the model's deadline, by default DARKROOM_GENERATION_SECONDS, is"
            " very high.",
            cause="Jobs have been running for more than 30 min on a live worker.",
            jobs=len(running),
            repair=Repair(
                f"Cancel {plural(len(running))}",
                cancel_effect(len(running), "running"),
                _cancel_long,
            ),
            page="jobs",
            filters={"view": "running"},
        )
    ]


def _cancel_long(pool: Pool, actor: str) -> str:
    with translated(), pool.connection() as connection:
        ids = [row["id"] for row in load("troubleshooting").long_running(connection)]
    return outcome(CANCELLED, in_batches(cancel_jobs, pool, actor, ids, lambda _: None), len(ids))


STUCK = Symptom(
    "stuck",
    "Stuck jobs",
    [("troubleshooting", "stuck"), ("troubleshooting", "long_running")],
    [
        Check(
            "silent_worker",
            "Lost worker",
            silent_worker,
            "A worker sends heartbeats for its jobs every few seconds. Jobs without one for too"
            " long are stuck, and any live worker takes them over.",
        ),
        Check(
            "no_lease",
            "Running jobs without a worker",
            no_lease,
            "A program that claims jobs without sending heartbeats leaves them behind when it dies."
            " An operator has to reset them.",
        ),
        Check(
            "runs_long",
            "Jobs that run too long",
            long_running,
            "A job whose worker sends heartbeats never counts as stuck, however long it takes.",
        ),
    ],
)
