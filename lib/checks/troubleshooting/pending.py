"""Symptom: jobs stay pending."""

from functools import partial

from lib.checks.check import Check, Finding, Repair
from lib.checks.troubleshooting.symptom import Facts, Symptom
from lib.database import Pool, load, translated
from lib.formats import duration, plural
from lib.ops import action_texts, conditions
from lib.ops.action_texts import CANCELLED, cancel_effect, outcome
from lib.ops.cron.actions import set_active
from lib.queue.operator_actions import cancel_jobs, in_batches, probe_provider, resume_queue
from lib.roles import Role

BUSY_SECONDS = 60.0
"""Shorter waits are normal between two jobs."""
RATE_LIMIT_ADVICE = (
    " If it happens often, run fewer jobs in parallel or ask the provider for a higher limit."
)


def paused(facts: Facts) -> list[Finding]:
    """Job types that are paused."""
    return [
        Finding(
            "critical" if pause["jobs"] else "warning",
            f"{plural(pause['jobs'], 'pending job')} affected.",
            cause=conditions.paused(
                pause["job_type"], pause["seconds"], pause["by"], pause["reason"]
            ),
            jobs=pause["jobs"],
            repair=Repair(
                f"Resume {action_texts.pausable(pause['job_type'])}",
                action_texts.resume_effect(pause["job_type"], pause["jobs"]),
                partial(_resume, pause["job_type"]),
            ),
        )
        for pause in facts["pending"]["paused"]
    ]


def _resume(job_type: str, pool: Pool, actor: str) -> str:
    return action_texts.resumed(job_type, resume_queue(pool, actor, job_type))


def provider_down(facts: Facts) -> list[Finding]:
    """Providers whose circuit breaker is open."""
    return [
        Finding(
            "critical" if down["jobs"] else "warning",
            f"{plural(down['jobs'], 'pending job')} affected."
            f" Last error: {down['reason'] or 'unknown'}",
            cause=conditions.provider_down(
                down["provider"], down["seconds"], retry_seconds=down["probe_in_seconds"]
            ),
            jobs=down["jobs"],
            repair=Repair(
                f"Test {down['provider']} now",
                "Lets one job test the provider now. If it succeeds, the others"
                f" ({plural(down['jobs'])}) follow; if it fails, they stay pending.",
                partial(_probe, down["provider"]),
            ),
            todo="Check the provider's status page and the errors.",
            page="failures",
        )
        for down in facts["pending"]["down"]
    ]


def _probe(provider: str, pool: Pool, actor: str) -> str:
    done = probe_provider(pool, actor, provider)
    return f"The next job tests {provider}." if done else "The circuit is no longer open."


def storage_failed(facts: Facts) -> list[Finding]:
    """Workers whose storage takes no files."""
    return [
        Finding(
            "critical" if one["jobs"] else "warning",
            f"{plural(one['jobs'], 'pending job')} affected.",
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
            "No heartbeat for 1 min and no call to process-jobs for 2 min.",
            cause=conditions.no_worker(due=now["due"], waited_seconds=now["oldest_due_seconds"]),
            jobs=now["due"],
            todo=conditions.CHECK_SCHEDULE_OR_START,
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
        name = job["name"] or f"#{job['job_id']}"
        found.append(
            Finding(
                "warning" if now["workers"] else "critical",
                f"It calls process-jobs. Last error: {job['error'] or 'none'}",
                cause=conditions.cron_failing(name, job["failures"])
                if job["active"]
                else f"Cron job {name} is paused.",
                jobs=0 if now["workers"] else now["due"],
                repair=None
                if job["active"]
                else Repair(
                    f"Resume cron job {name}",
                    f"pg_cron calls process-jobs again ({plural(now['due'])} pending).",
                    partial(_resume_cron, job["job_id"]),
                    needs=Role.ADMIN,
                ),
                todo="The Workers page explains its messages and can fix its command."
                if job["active"]
                else "",
                page="workers",
            )
        )
    return found


def _resume_cron(job_id: int, pool: Pool, actor: str) -> str:
    set_active(pool, actor, job_id, True)
    return "Schedule resumed."


def no_handler(facts: Facts) -> list[Finding]:
    """Job types that no live worker handles."""
    if not facts["pending"]["workers"]:
        return []  # The check no_worker covers this.
    return [
        Finding(
            "critical",
            f"{plural(unknown['jobs'], 'pending job')}. Either the type is misspelled where jobs"
            " are enqueued, or the workers are older than the program that enqueues them.",
            cause=conditions.no_worker(job_type=unknown["job_type"]),
            jobs=unknown["jobs"],
            repair=Repair(
                f"Cancel {plural(unknown['jobs'])} of type {unknown['job_type']}",
                f"{cancel_effect(unknown['jobs'], 'pending')} Alternatively, start a worker that"
                " handles this type.",
                partial(_cancel_type, unknown["job_type"]),
            ),
            todo="Start a worker that handles the type, or correct the name where jobs are"
            " enqueued.",
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
    """Models that are rate-limited by their provider, or whose server is busy."""
    return [
        Finding(
            "warning",
            f"{plural(it['jobs'], 'pending job')} affected.",
            cause=conditions.rate_limited(it["model_id"], it["seconds"], it["reason"], it["busy"]),
            jobs=it["jobs"],
            todo="No action needed: the jobs continue automatically."
            + ("" if it["busy"] else RATE_LIMIT_ADVICE),
            page="models",
        )
        for it in facts["pending"]["held"]
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
            f"{now['running']:,} of {now['slots']:,} slots in use, {plural(now['due'])} due, the"
            f" oldest for {duration(now['oldest_due_seconds'])}.",
            cause="All worker slots are in use.",
            jobs=now["due"],
            todo="Start more workers or raise their concurrency (DARKROOM_CONCURRENCY). Throughput"
            " shows how many slots are needed.",
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
            f"{plural(now['later'])} scheduled for later, the next in"
            f" {duration(now['next_in_seconds'])}.",
            cause="All pending jobs are scheduled for later.",
            todo="No action needed. Each job's page shows its next attempt.",
            page="jobs",
            filters={"view": "pending"},
        )
    ]


PENDING = Symptom(
    "pending",
    "Jobs not starting",
    [("troubleshooting", "limits"), ("troubleshooting", "pending")],
    [
        Check(
            "paused",
            "Queue paused",
            paused,
            "A pause stops workers from claiming one or all job types until someone resumes them."
            " It is easy to forget after an incident.",
        ),
        Check(
            "no_worker",
            "No worker alive",
            no_worker,
            "Workers claim jobs, or process-jobs does when pg_cron calls it. Without either, jobs"
            " stay pending.",
        ),
        Check(
            "cron_fails",
            "Schedule paused or failing",
            cron_fails,
            "Where pg_cron calls process-jobs, a paused or failing schedule stops the queue. The"
            " usual reason is that the key or pg_net is missing.",
        ),
        Check(
            "no_handler",
            "Job type without a handler",
            no_handler,
            "Workers claim only types they have a handler for; jobs of other types stay pending.",
        ),
        Check(
            "provider_down",
            "Provider down",
            provider_down,
            "After five failures in a row a provider's circuit breaker opens for 30 s to 5 min;"
            " then single jobs test whether it has recovered.",
        ),
        Check(
            "storage_failed",
            "Storage failing",
            storage_failed,
            "A worker whose storage rejects images claims no jobs that need it.",
        ),
        Check(
            "model_rests",
            "Rate-limited models",
            rate_limited_models,
            "When a provider rate-limits a model, its jobs stay pending for as long as the provider"
            " asks. Then they start gradually: a few, then twice as many each second.",
        ),
        Check(
            "all_busy",
            "All slots in use",
            all_busy,
            "Each worker has a number of slots. When all are in use, other jobs stay pending;"
            " higher priorities run first.",
        ),
        Check(
            "not_due",
            "Jobs scheduled for later",
            not_due,
            "Retried jobs wait 10 s to 1 h (backoff), and jobs may be enqueued for later.",
        ),
    ],
)
