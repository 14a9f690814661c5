"""The queue in plain Python: what its SQL functions should do, without a database.

Time is a clock in minutes that only `pass_time` moves. When a waiting job is due is not
predicted, because backoff is random: the test reads it back and checks its bounds.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

PROVIDED = "generate-image"
"""The type of jobs whose provider has a breaker."""
TYPES = {PROVIDED, "x"}
FAILURES = {"unreachable", "provider_error", "unauthorized", "no_credit"}
PASSING = {"unreachable", "provider_error"}
"""Of these, those that cost no attempt of a job that probes the provider."""
ANSWERS = {"model_not_found", "invalid_input", "prediction_failed"}
SILENCE = 10  # minutes
REST = 4  # minutes a rate-limited model rests
FINISHED = {"completed", "failed", "cancelled"}


@dataclass
class Lease:
    """Who works on a job, and the minute of its last sign of life."""

    worker: str
    seen: int


@dataclass
class Job:
    """A job as it should be."""

    id: Any
    job_type: str
    priority: int
    max_attempts: int
    model: str
    generation: Any
    created_at: datetime
    scheduled_at: datetime
    status: str = "pending"
    attempts: int = 0
    errors: int = 0
    lease: Lease | None = None

    @property
    def live(self) -> bool:
        """Whether it waits or runs."""
        return self.status not in FINISHED


@dataclass
class Generation:
    """An image generation as it should be."""

    status: str = "processing"
    progress: int = 0
    prediction: str | None = None


@dataclass
class Breaker:
    """The circuit breaker of the provider of PROVIDED."""

    failures: int = 0
    openings: int = 0
    open_until: float | None = None  # minutes
    probing: bool = False

    def fail(self, clock: int) -> None:
        """Counts a failure at this minute."""
        if self.open_until is not None and not self.probing:
            return
        if self.open_until is None and self.failures < 4:
            self.failures += 1
            return
        wait = min(0.5 * 2**self.openings, 5)
        self.failures, self.openings, self.probing = 0, self.openings + 1, False
        self.open_until = clock + wait

    def succeed(self) -> None:
        """Closes it."""
        self.failures, self.openings, self.open_until, self.probing = 0, 0, None, False


@dataclass
class Model:
    """All jobs and what bars them from being claimed."""

    clock: int = 0
    jobs: dict[Any, Job] = field(default_factory=dict)
    generations: dict[Any, Generation] = field(default_factory=dict)
    pauses: set[str] = field(default_factory=set)
    holds: dict[str, int] = field(default_factory=dict)
    breaker: Breaker = field(default_factory=Breaker)

    def live_job(self, generation: Any) -> Job | None:
        """The waiting or running job of a generation."""
        found = [j for j in self.jobs.values() if j.live and j.generation == generation]
        assert len(found) <= 1
        return found[0] if found else None

    def is_current(self, job_id: Any, attempt: int) -> bool:
        """Whether this claim still counts."""
        job = self.jobs[job_id]
        return job.status == "processing" and job.attempts == attempt

    def barred(self) -> set[str]:
        """Types that are not claimed now; * for all."""
        return self.pauses | ({PROVIDED} if self.breaker.open_until is not None else set())

    def resting(self, job: Job) -> bool:
        """Whether the job's model is held."""
        return self.holds.get(job.model, 0) > self.clock

    def due(self, now: datetime, types: Iterable[str]) -> list[Job]:
        """Waiting jobs of these types whose time has come, in claim order."""
        found = [
            job
            for job in self.jobs.values()
            if job.status == "pending" and job.scheduled_at <= now and job.job_type in types
        ]
        return sorted(found, key=lambda j: (-j.priority, j.scheduled_at, j.created_at))

    def choose(self, limit: int, types: set[str], now: datetime) -> list[Job]:
        """The jobs that a claim should get, in order."""
        if "*" in self.pauses:
            return []
        until = self.breaker.open_until
        if until is not None and until <= self.clock:
            probes = self.due(now, (types & {PROVIDED}) - self.pauses)
            for probe in (job for job in probes if not self.resting(job)):
                self.breaker.probing, self.breaker.open_until = True, self.clock + 1
                return [probe]
            if until <= self.clock - 60:
                self.breaker.succeed()
        chosen = [job for job in self.due(now, types - self.barred()) if not self.resting(job)]
        return chosen[:limit]

    def start(self, job: Job, worker: str) -> None:
        """A worker claims the job."""
        job.status, job.attempts = "processing", job.attempts + 1
        job.lease = Lease(worker, self.clock)

    def begin(self, job: Job, generation: Any) -> None:
        """The holder of the claim begins the generation, which may be new."""
        job.generation = generation
        found = self.generations.setdefault(generation, Generation())
        if found.status != "completed":
            found.status = "processing"

    def finish(self, job: Job, status: str) -> None:
        """The job leaves its claim; its generation follows."""
        job.status, job.lease = status, None
        generation = self.generations.get(job.generation)
        if generation is None or generation.status == "completed":
            return
        generation.status = "queued" if status == "pending" else status
        generation.progress = {"completed": 100, "pending": 0}.get(status, generation.progress)

    def complete(self, job: Job) -> None:
        """The claim ends with success."""
        self.finish(job, "completed")
        if job.job_type == PROVIDED:
            self.breaker.succeed()

    def fail(self, job: Job, code: str, permanent: bool) -> str:
        """The claim ends with an error; returns the job's new status."""
        limited = code == "rate_limited"
        probe = job.job_type == PROVIDED and self.breaker.probing and code in PASSING
        free = limited or (probe and job.attempts < 30)
        final = permanent or (job.attempts >= job.max_attempts and not free)
        if limited:
            self.holds[job.model] = self.clock + REST
        job.max_attempts += free and not final
        if job.job_type == PROVIDED and code in FAILURES:
            self.breaker.fail(self.clock)
        elif job.job_type == PROVIDED and code in ANSWERS:
            self.breaker.succeed()
        job.errors += 1
        self.finish(job, "failed" if final else "pending")
        return job.status

    def silent(self) -> list[Job]:
        """Running jobs without a recent sign of life."""
        return [j for j in self.jobs.values() if j.lease and self.clock - j.lease.seen > SILENCE]

    def lose_worker(self, job: Job) -> None:
        """The claim is taken from a worker; its attempt counts."""
        job.errors += 1
        self.finish(job, "failed" if job.attempts >= job.max_attempts else "pending")

    def reset(self, job: Job) -> None:
        """An operator takes the claim away; the job may run in any case."""
        job.errors += 1
        self.finish(job, "pending")

    def release(self, job: Job) -> None:
        """The worker gives the claim back; its try is not used up."""
        job.max_attempts += 1
        self.finish(job, "pending")

    def to_retry(self, jobs: Iterable[Job]) -> list[Job]:
        """Those of the jobs that can live again."""
        ended = [job for job in jobs if job.status in ("failed", "cancelled")]
        newest: dict[Any, Job] = {}
        for job in sorted(ended, key=lambda j: j.created_at):
            newest[job.generation or job.id] = job
        return [j for j in newest.values() if not j.generation or not self.live_job(j.generation)]

    def retry(self, job: Job) -> None:
        """An operator gives the job at least one more attempt."""
        job.max_attempts = max(job.max_attempts, job.attempts + 1)
        self.finish(job, "pending")
