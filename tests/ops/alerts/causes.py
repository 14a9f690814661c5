"""What each alert rule is about, done to a queue, and what puts it right again."""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from lib.database.pool import Connection

ENQUEUE = (
    "select public.enqueue_job('generate-image', '{}', 0, now() - make_interval(secs => %s))"
    " from generate_series(1, %s)"
)
WORKER = (
    "insert into public.workers"
    " (id, kind, host, pid, process_started_at, version, job_types, concurrency)"
    " values (gen_random_uuid(), 'worker', 'host-1', 7, now(), '1', '{}', 1) returning id"
)
FAIL = "select public.complete_job(%s, false, 'No.', '{\"permanent\": true}')"
CRON_JOBS = """
drop function public.cron_jobs();
create function public.cron_jobs()
returns table (job_id bigint, job_name text, active boolean, failures_in_row int, last_error text)
language sql stable as $$ select 1, 'process-jobs', true, {}, 'HTTP 401' $$
"""
"""Where there is no pg_cron, what is read of its jobs."""


class Queue:
    """A queue with one worker that is alive."""

    def __init__(self, db: Connection) -> None:
        self.db = db
        self.worker: UUID = self.one(WORKER)

    def one(self, statement: str, *parameters: object) -> object:
        row = self.db.execute(statement, parameters).fetchone()
        return next(iter(row.values())) if row else None

    def enqueue(self, jobs: int = 1, waited: float = 0) -> None:
        self.db.execute(ENQUEUE, (waited, jobs))

    def claim(self, jobs: int = 1) -> list[UUID]:
        rows = self.db.execute(
            "select id from public.claim_jobs(%s, null, %s)", (jobs, self.worker)
        ).fetchall()
        return [row["id"] for row in rows]

    def complete(self, jobs: int = 1, waited: float = 0) -> None:
        """Jobs that complete after a wait."""
        self.enqueue(jobs, waited)
        for job_id in self.claim(jobs):
            self.one("select public.complete_job(%s)", job_id)

    def fail(self, jobs: int = 1) -> None:
        self.enqueue(jobs)
        for job_id in self.claim(jobs):
            self.one(FAIL, job_id)

    def back(self, table: str, column: str, seconds: float) -> None:
        """Lets what a table says have happened so much earlier."""
        self.db.execute(
            f"update public.{table} set {column} = {column} - make_interval(secs => %s)",  # noqa: S608
            (seconds,),
        )


def breaker_opens(queue: Queue) -> None:
    for _ in range(5):
        queue.one("select public.record_provider_failure('replicate', 'No answer.')")


def jobs_are_stuck(queue: Queue) -> None:
    queue.enqueue()
    queue.claim()
    queue.back("job_queue", "started_at", 700)
    queue.back("job_leases", "heartbeat_at", 700)


def worker_dies(queue: Queue) -> None:
    queue.enqueue()
    queue.claim()
    queue.back("workers", "last_seen_at", 90)


def queue_is_paused(queue: Queue) -> None:
    queue.one("select public.pause_queue('me', 'generate-image')")
    queue.back("queue_pauses", "paused_at", 3700)


def jobs_waited(queue: Queue) -> None:
    queue.complete(10, waited=90)
    queue.enqueue()


def nothing_completes(queue: Queue) -> None:
    queue.complete()
    queue.back("job_queue", "completed_at", 600)
    queue.enqueue(waited=400)


def complete_waiting(queue: Queue) -> None:
    for job_id in queue.claim():
        queue.one("select public.complete_job(%s)", job_id)


def cancel_some(queue: Queue) -> None:
    queue.one(
        "select count(*) from public.cancel_jobs('me', array("
        "select id from public.job_queue where status = 'pending' limit 21))"
    )


def storage_fails(queue: Queue) -> None:
    queue.db.execute(
        "update public.workers set storage_error = 'The disk for images is full.',"
        " storage_failed_at = now() - interval '31 seconds'"
    )


@dataclass(frozen=True)
class Cause:
    """How a rule comes to fire, of which subject, and how it is put right again."""

    rule: str
    provoke: Callable[[Queue], object]
    mend: Callable[[Queue], object]
    subject: str | Callable[[Queue], str] = ""


def mixed_ends(queue: Queue) -> None:
    queue.complete(8)
    queue.fail(2)


CAUSES = [
    Cause("pending_jobs", lambda q: q.enqueue(101), cancel_some),
    Cause("failure_rate", mixed_ends, lambda q: q.complete(30)),
    Cause("no_completion", nothing_completes, complete_waiting),
    Cause(
        "stuck_jobs",
        jobs_are_stuck,
        lambda q: q.one("select count(*) from public.reset_stuck_jobs('me')"),
    ),
    Cause("oldest_pending", lambda q: q.enqueue(waited=301), lambda q: q.claim()),
    Cause("wait_p95", jobs_waited, lambda q: q.complete(200)),
    Cause(
        "no_worker",
        lambda q: (q.back("alert_watch", "began_at", 9999), q.back("workers", "last_seen_at", 121)),
        lambda q: q.back("workers", "last_seen_at", -121),
    ),
    Cause(
        "worker_gone",
        worker_dies,
        lambda q: q.one("select count(*) from public.rescue_worker_jobs(%s)", q.worker),
        lambda q: str(q.worker),
    ),
    Cause(
        "provider_down",
        breaker_opens,
        lambda q: q.one("select public.record_provider_success('replicate')"),
        "replicate",
    ),
    Cause(
        "storage_failed",
        storage_fails,
        lambda q: q.db.execute("update public.workers set storage_error = null"),
    ),
    Cause(
        "queue_paused",
        queue_is_paused,
        lambda q: q.one("select public.resume_queue('me', 'generate-image')"),
        "generate-image",
    ),
    Cause(
        "cron_failing",
        lambda q: q.db.execute(CRON_JOBS.format(3)),
        lambda q: q.db.execute(CRON_JOBS.format(0)),
        "process-jobs",
    ),
    Cause(
        "background_errors",
        lambda q: q.one("select public.report_background_error('rescue', 'No.')"),
        lambda q: q.back("background_errors", "last_at", 301),
        "rescue",
    ),
    Cause(
        "jobs_set_aside",
        lambda q: q.one(
            "select public.set_aside_job('00000000-0000-0000-0000-00000000000a', 'claim', 'No.')"
        ),
        lambda q: q.one("select public.retry_set_aside_jobs('0')"),
        "claim",
    ),
]
