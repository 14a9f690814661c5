"""Symptom: jobs stay pending."""

from functools import partial

from lib.checks.check import Check, Finding, Repair
from lib.checks.troubleshooting.symptom import Facts, Symptom
from lib.database import Pool, load, translated
from lib.formats import duration, plural
from lib.ops import conditions
from lib.ops.action_texts import CANCELLED, cancel_effect, outcome
from lib.ops.conditions import type_name
from lib.ops.cron.actions import set_active
from lib.queue.operator_actions import cancel_jobs, in_batches, probe_provider, resume_queue
from lib.roles import Role

BUSY_SECONDS = 60.0
"""Shorter waits are normal between two jobs."""


def paused(facts: Facts) -> list[Finding]:
    """Job types that are paused."""
    return [
        Finding(
            "critical" if pause["jobs"] else "warning",
            f"Held back by it: {plural(pause['jobs'], 'pending job')}.",
            cause=conditions.paused(
                pause["job_type"], pause["seconds"], pause["by"], pause["reason"]
            ),
            jobs=pause["jobs"],
            repair=Repair(
                f"Resume {type_name(pause['job_type'])}",
                f"Workers claim {type_name(pause['job_type'])} again at once:"
                f" {pause['jobs']:,} are due.",
                partial(_resume, pause["job_type"]),
            ),
        )
        for pause in facts["pending"]["paused"]
    ]


def _resume(job_type: str, pool: Pool, actor: str) -> str:
    return "Resumed." if resume_queue(pool, actor, job_type) else "It was no longer paused."


def provider_down(facts: Facts) -> list[Finding]:
    """Providers whose circuit breaker is open."""
    return [
        Finding(
            "critical" if down["jobs"] else "warning",
            f"Held back by it: {plural(down['jobs'], 'pending job')}."
            f" Last error: {down['reason'] or 'unknown'}",
            cause=conditions.provider_down(
                down["provider"], down["seconds"], retry_seconds=down["probe_in_seconds"]
            ),
            jobs=down["jobs"],
            repair=Repair(
                f"Try {down['provider']} now",
                "Lets the next job try the provider without waiting any longer. If it succeeds,"
                f" what is due ({plural(down['jobs'])}) follows; if it fails, all waits on.",
                partial(_probe, down["provider"]),
            ),
            todo="If it is down for long, look at the provider's status page and at the error.",
            page="failures",
        )
        for down in facts["pending"]["down"]
    ]


def _probe(provider: str, pool: Pool, actor: str) -> str:
    done = probe_provider(pool, actor, provider)
    return "The next job tries it." if done else "It is not down, or is being tried already."


def storage_failed(facts: Facts) -> list[Finding]:
    """Workers whose storage takes no files."""
    return [
        Finding(
            "critical" if one["jobs"] else "warning",
            f"Held back by it: {plural(one['jobs'], 'pending job')}.",
            cause=conditions.storage_failed(one["hosts"], one["seconds"], one["error"]),
            jobs=one["jobs"],
            todo=conditions.FREE_STORAGE,
            page="workers",
        )
        for one in facts["pending"]["storage"]
    ]


def no_worker(facts: Facts) -> list[Finding]:
    """No worker is alive to claim jobs."""
    now = facts["pending"]
    if now["workers"]:
        return []
    too_long = now["due"] and now["oldest_due_seconds"] > facts["limits"]["no_worker_seconds"]
    return [
        Finding(
            "critical" if too_long else "warning",
            "No heartbeat for a minute, and process-jobs was not called for two.",
            cause=conditions.no_worker(due=now["due"], waited_seconds=now["oldest_due_seconds"]),
            jobs=now["due"],
            todo=f"{conditions.START_WORKER}. With cron instead of workers, check its schedule.",
            page="workers",
        )
    ]


def cron_fails(facts: Facts) -> list[Finding]:
    """Paused or failing cron jobs that should call process-jobs."""
    now = facts["pending"]
    found = []
    for job in now["cron"]:
        if job["active"] and not job["failures"]:
            continue
        name = job["name"] or f"number {job['job_id']}"
        found.append(
            Finding(
                "warning" if now["workers"] else "critical",
                f"It calls process-jobs. Its last message: {job['message'] or 'none'}",
                cause=conditions.cron_failing(name, job["failures"])
                if job["active"]
                else f"Cron job {name} is paused.",
                jobs=0 if now["workers"] else now["due"],
                repair=None
                if job["active"]
                else Repair(
                    f"Resume {name}",
                    f"pg_cron runs {name} again, which wakes the queue: {plural(now['due'])} due.",
                    partial(_resume_cron, job["job_id"]),
                    needs=Role.ADMIN,
                ),
                todo="The page Workers explains its messages and mends its command."
                if job["active"]
                else "",
                page="workers",
            )
        )
    return found


def _resume_cron(job_id: int, pool: Pool, actor: str) -> str:
    set_active(pool, actor, job_id, True)
    return "The schedule runs again."


def no_handler(facts: Facts) -> list[Finding]:
    """Job types that no live worker handles."""
    if not facts["pending"]["workers"]:
        return []  # The check no_worker covers this.
    return [
        Finding(
            "critical",
            f"{plural(unknown['jobs'])} due. No worker alive names this type: a typing error where"
            " they are enqueued, or a worker older than the program that enqueues them.",
            cause=f"No worker knows jobs of type {unknown['job_type']}.",
            jobs=unknown["jobs"],
            repair=Repair(
                f"Cancel {plural(unknown['jobs'])} of type {unknown['job_type']}",
                f"{cancel_effect(unknown['jobs'], 'pending')} Instead, you can start a worker that"
                " handles this type: it runs them.",
                partial(_cancel_type, unknown["job_type"]),
            ),
            todo="Start a worker that knows the type, or mend the name where jobs are enqueued.",
            page="jobs",
            filters={"type": unknown["job_type"]},
        )
        for unknown in facts["pending"]["unknown"]
    ]


def _cancel_type(job_type: str, pool: Pool, actor: str) -> str:
    with translated(), pool.connection() as connection:
        due = load("troubleshooting").due_of_type(connection, job_type=job_type)
        ids = [row["id"] for row in due]
    return outcome(CANCELLED, in_batches(cancel_jobs, pool, actor, ids, lambda _: None), len(ids))


def rate_limited_models(facts: Facts) -> list[Finding]:
    """Models that are rate-limited by their provider."""
    return [
        Finding(
            "warning",
            f"Held back by it: {plural(held['jobs'], 'pending job')}.",
            cause=conditions.rate_limited(held["model_id"], held["seconds"], held["reason"]),
            jobs=held["jobs"],
            todo="Nothing: they go on by themselves. If it happens often, run fewer jobs at once or"
            " ask the provider for a higher limit.",
            page="models",
        )
        for held in facts["pending"]["held"]
    ]


def all_busy(facts: Facts) -> list[Finding]:
    """All worker slots are in use while jobs are pending."""
    now = facts["pending"]
    if not (now["workers"] and now["due"]) or now["oldest_due_seconds"] <= BUSY_SECONDS:
        return []
    if now["running"] < now["slots"]:
        return []
    return [
        Finding(
            "critical",
            f"{now['running']:,} run of {now['slots']:,} at once, {now['due']:,} are due, the"
            f" longest for {duration(now['oldest_due_seconds'])}.",
            cause="The workers are busy: more jobs are due than they can run at once.",
            jobs=now["due"],
            todo="Start more workers or let each run more at once (DARKROOM_CONCURRENCY); the page"
            " Throughput says how many are needed.",
            page="throughput",
        )
    ]


def not_due(facts: Facts) -> list[Finding]:
    """Jobs scheduled for later."""
    now = facts["pending"]
    if not now["later"] or now["due"]:
        return []
    return [
        Finding(
            "warning",
            f"{now['later']:,} wait for their time, the next one in"
            f" {duration(now['next_in_seconds'])}: retries after an error, or enqueued for later.",
            cause="The jobs that wait are not due yet.",
            todo="Nothing. Each job's page says when it is due.",
            page="jobs",
            filters={"status": "pending"},
        )
    ]


PENDING = Symptom(
    "pending",
    "Jobs stay pending",
    [("troubleshooting", "limits"), ("troubleshooting", "pending")],
    [
        Check(
            "paused",
            "Has somebody paused the queue?",
            paused,
            "A pause stops the claiming of one type of jobs or of all until it is lifted; what"
            " runs goes on. It is easily forgotten after an incident.",
        ),
        Check(
            "no_worker",
            "Is a worker alive?",
            no_worker,
            "Jobs are claimed by workers, or by process-jobs when cron calls it. Without either"
            " they wait for ever, and nothing else is wrong.",
        ),
        Check(
            "cron_fails",
            "Does cron wake the queue?",
            cron_fails,
            "Where pg_cron calls process-jobs, a paused or failing schedule looks like a dead"
            " worker. A missing key or pg_net is the usual reason.",
        ),
        Check(
            "no_handler",
            "Does a worker know these jobs?",
            no_handler,
            "A worker claims only the types that it has a handler for. Jobs of another type wait"
            " although workers are idle.",
        ),
        Check(
            "provider_down",
            "Is the provider down?",
            provider_down,
            "After five failures of a provider in a row its jobs wait, half a minute at first and"
            " five at most, and one job at a time tries whether it is back.",
        ),
        Check(
            "storage_failed",
            "Can images be stored?",
            storage_failed,
            "A worker whose storage takes no images claims no jobs that need it; others go on.",
        ),
        Check(
            "model_rests",
            "Does a model rest?",
            rate_limited_models,
            "When a provider refuses a request as one too many, all jobs of the model rest for as"
            " long as it asks. Then a few go on, each second twice as many.",
        ),
        Check(
            "all_busy",
            "Can the workers keep up?",
            all_busy,
            "Each worker runs so many jobs at once. When all of these run, the rest waits its"
            " turn, higher priorities first.",
        ),
        Check(
            "not_due",
            "Are they due at all?",
            not_due,
            "A job that is retried waits from ten seconds up to an hour first, and one may be"
            " enqueued for later. Until then it is pending and nobody's fault.",
        ),
    ],
)
