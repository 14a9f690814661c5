"""Symptom: jobs are stuck."""

from lib.checks.check import Check, Finding, Repair
from lib.checks.troubleshooting.symptom import Facts, Symptom
from lib.database import Pool, load, translated
from lib.formats import duration, plural
from lib.ops.action_texts import BACK, CANCELLED, cancel_effect, outcome, reset_effect
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
        f"{worker['host']} (process {worker['pid']}) with {plural(worker['jobs'])}, silent for"
        f" {duration(worker['seconds'])}"
        for worker in now["silent"]
    )
    rescue = (
        "The living workers take its jobs by themselves within a minute or two."
        if now["rescuers"]
        else no_worker()
    )
    return [
        Finding(
            "warning" if now["rescuers"] else "critical",
            f"{plural(held)}: {workers or 'of workers that are no longer known'}. {rescue}",
            cause="A worker fell silent with jobs in its hands: killed, out of memory or cut off.",
            jobs=held,
            repair=reset(now["stuck"]),
            todo="Look at the logs and the memory of that machine, and start the worker again.",
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
            "critical",
            f"{plural(now['unleased'])} without a worker: claimed by a program that shows no life,"
            " such as an older worker or a call of claim_next_job by hand. Workers leave them"
            " alone, for nobody knows whether it still runs.",
            cause="Jobs are marked as processing, and no worker has them.",
            jobs=now["unleased"],
            repair=reset(now["stuck"]),
            todo="If that program still runs, wait for it: its jobs would run twice.",
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
            f"{plural(len(running))}, the longest for {duration(running[0]['seconds'])}. A handler"
            " that hangs, or a DARKROOM_GENERATION_SECONDS that is very long.",
            cause="Jobs run for more than half an hour although their worker is alive.",
            jobs=len(running),
            repair=Repair(
                f"Cancel {plural(len(running))}",
                cancel_effect(len(running), "running"),
                _cancel_long,
            ),
            page="jobs",
            filters={"status": "processing"},
        )
    ]


def _cancel_long(pool: Pool, actor: str) -> str:
    with translated(), pool.connection() as connection:
        ids = [row["id"] for row in load("troubleshooting").long_running(connection)]
    return outcome(CANCELLED, in_batches(cancel_jobs, pool, actor, ids, lambda _: None), len(ids))


STUCK = Symptom(
    "stuck",
    "Jobs are stuck",
    [("troubleshooting", "stuck"), ("troubleshooting", "long_running")],
    [
        Check(
            "silent_worker",
            "Has a worker fallen silent?",
            silent_worker,
            "A worker sends heartbeats for its jobs every few seconds. Jobs without one for too"
            " long count as stuck, and any worker that is alive takes them over.",
        ),
        Check(
            "no_lease",
            "Does nobody work on jobs that are processing?",
            no_lease,
            "Who claims without showing life leaves its jobs behind when it dies. They wait for an"
            " operator.",
        ),
        Check(
            "runs_long",
            "Do jobs run without an end?",
            long_running,
            "A job whose worker shows life never counts as stuck, however long it takes.",
        ),
    ],
)
