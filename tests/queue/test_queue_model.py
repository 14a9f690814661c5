"""Any order of calls, by several workers, some of them late: the queue does as its model."""

import json
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    initialize,
    multiple,
    rule,
    run_state_machine_as_test,
)
from queue_calls import GENERATION, OTHER, WORKER
from queue_comparison import Comparison
from queue_model import PROVIDED, REST, TYPES, Job

WORKERS = st.sampled_from([WORKER, OTHER])
GENERATIONS = st.sampled_from([GENERATION, "22222222-2222-2222-2222-222222222222"])
PAUSABLE = st.sampled_from([PROVIDED, "x", "*"])
CODES = st.sampled_from(["timeout", "unreachable", "unreachable", "prediction_failed"])
# Never a multiple of a wait of the queue, which the seconds that the test takes could decide.
MINUTES = st.sampled_from([3, 15, 1500])
JOB = {
    "job_type": st.sampled_from([PROVIDED, PROVIDED, "x"]),
    "generation": st.none() | GENERATIONS,
    "model": st.sampled_from(["m1", "m2"]),
    "priority": st.integers(0, 2),
    "tries": st.integers(1, 3),
    "due": st.sampled_from(["-5 min", "0", "20 min"]),
}


@dataclass(frozen=True)
class Claim:
    """What a worker holds, or once held, of a job."""

    job_id: Any
    attempt: int
    worker: str


class QueueMachine(Comparison):
    """Calls the SQL functions and the model alike."""

    jobs = Bundle("jobs")
    claims = Bundle("claims")

    # What there is at the start: each run leaves out some rules, and without jobs most do nothing.

    @initialize(target=jobs, first=st.lists(st.fixed_dictionaries(JOB), min_size=3, max_size=8))
    def begin_with_jobs(self, first):
        made = []
        for job in first:
            made.append(self.enqueue(**job))
            self.before = self.everything()
        return multiple(*(job for job in made if isinstance(job, Job)))

    @initialize(target=claims, worker=WORKERS, successor=WORKERS)
    def begin_with_claims(self, worker, successor):
        lost = self.claim(3, None, worker)
        self.worker_dies(worker)
        held = self.claim(2, None, successor)
        for claim in held.values:
            self.begin(claim)
        return multiple(*lost.values, *held.values)

    @initialize(failures=st.integers(0, 6))
    def begin_with_failures_of_the_provider(self, failures):
        for _ in range(failures):
            self.queue.rows("select record_provider_failure('replicate', 'down')")
            self.model.breaker.fail(self.model.clock)

    # What enters and who takes it.

    @rule(target=jobs, **JOB)
    def enqueue(self, job_type, generation, model, priority, tries, due):
        payload = {"prompt": "p", "model_id": model}
        if job_type != PROVIDED:
            generation = None  # Such a job is beside the one that its generation follows.
        if generation:
            payload["generation_id"] = generation
        call = "select enqueue_job(%s, %s, %s, now() + %s::interval, %s)"
        arguments = (job_type, json.dumps(payload), priority, due, tries)
        if generation and self.model.live_job(generation):
            self.refused(call, *arguments)
            return multiple()
        job_id = self.queue.one(call, *arguments)
        row = self.queue.job(job_id)
        times = row["created_at"], row["scheduled_at"]
        job = Job(job_id, job_type, priority, tries, model, generation, *times)
        self.model.jobs[job_id] = job
        return job

    @rule(
        target=claims,
        limit=st.integers(1, 3),
        types=st.none() | st.sets(st.sampled_from(sorted(TYPES))),
        worker=WORKERS,
    )
    def claim(self, limit, types, worker):
        with self.queue.db.transaction():
            now = self.queue.one("select now()")
            claimed = self.queue.claim(limit, None if types is None else list(types), worker)
        expected = self.model.choose(limit, TYPES if types is None else types, now)
        assert claimed == [job.id for job in expected]
        for job in expected:
            self.model.start(job, worker)
        return multiple(*(Claim(job.id, job.attempts, worker) for job in expected))

    @rule(target=claims, generation=GENERATIONS, worker=WORKERS)
    def claim_generation(self, generation, worker):
        call = "select id from claim_generation(%s, %s)"
        job = self.model.live_job(generation)
        if job is None or job.status != "pending":
            assert self.queue.rows(call, generation, worker) == []
            self.unchanged()
            return multiple()
        if self.model.barred() & {"*", job.job_type}:
            self.refused(call, generation, worker)
            return multiple()
        assert self.queue.one(call, generation, worker) == job.id
        self.model.start(job, worker)
        return Claim(job.id, job.attempts, worker)

    # What workers do with their claims, in time or late.

    @rule(claim=claims, worker=WORKERS)
    def heartbeat(self, claim, worker):
        job = self.model.jobs[claim.job_id]
        lost = self.queue.heartbeat(claim.job_id, claim.attempt, worker)
        if self.model.is_current(claim.job_id, claim.attempt) and job.lease.worker == worker:
            assert lost == []
            job.lease.seen = self.model.clock
        else:
            (told,) = lost
            assert tuple(told.values()) == (job.id, claim.attempt, job.status)
            self.unchanged()

    @rule(claim=claims)
    def begin(self, claim):
        rows = self.queue.begin(claim.job_id, claim.attempt)
        if not self.model.is_current(claim.job_id, claim.attempt):
            assert rows == []
            self.unchanged()
            return
        job = self.model.jobs[claim.job_id]
        (row,) = rows
        assert job.generation in (None, str(row["generation_id"]))
        self.model.begin(job, str(row["generation_id"]))
        if row["provider_id"] in self.late - {None}:
            # It is paid for, so the next attempt follows it.
            self.model.generations[job.generation].prediction = row["provider_id"]

    @rule(claim=claims, progress=st.integers(0, 120), prediction=st.none() | st.just("p1"))
    def record(self, claim, progress, prediction):
        name = "record_prediction" if prediction else "record_progress"
        job = self.model.jobs[claim.job_id]
        prediction = prediction and f"{prediction} of {job.generation}"
        what = prediction or progress
        generation = self.model.generations.get(job.generation)
        current = self.model.is_current(claim.job_id, claim.attempt)
        told = self.queue.one(f"select {name}(%s, %s, %s)", claim.job_id, claim.attempt, what)
        if not current or generation is None or generation.status != "processing":
            assert told in ("lost", "unwanted") if prediction else told is False
            self.unchanged()
            self.late.add(prediction)
            return
        assert told == ("held" if prediction else True)
        if prediction:
            generation.prediction, generation.progress = prediction, 5
        else:
            generation.progress = max(generation.progress, min(progress, 100))

    @rule(claim=claims, fenced=st.booleans())
    def complete(self, claim, fenced):
        job = self.model.jobs[claim.job_id]
        if not fenced and job.status != "processing":
            self.refused("select complete_job(%s)", job.id)
        elif fenced and not self.model.is_current(claim.job_id, claim.attempt):
            assert self.queue.complete(job.id, claim.attempt) == "lost"
            self.unchanged()
        else:
            told = self.queue.complete(job.id, claim.attempt if fenced else None)
            assert told == "completed"
            self.model.complete(job)

    @rule(ended=st.lists(claims, min_size=1, max_size=4, unique=True))
    def complete_many(self, ended):
        lost = self.queue.rows(
            "select * from complete_jobs(%s, %s, %s)",
            [claim.job_id for claim in ended],
            [claim.attempt for claim in ended],
            [None for _ in ended],
        )
        held = [c for c in ended if self.model.is_current(c.job_id, c.attempt)]
        told = {(row["job_id"], row["attempt"]) for row in lost}
        assert told == {(c.job_id, c.attempt) for c in ended if c not in held}
        for claim in held:
            self.model.complete(self.model.jobs[claim.job_id])
        if not held:
            self.unchanged()

    @rule(claim=claims, code=CODES)
    def fail(self, claim, code):
        self.end_with(claim, {"code": code})

    @rule(claim=claims)
    def fail_for_good(self, claim):
        self.end_with(claim, {"code": "invalid_input", "permanent": True})

    @rule(claim=claims)
    def be_rate_limited(self, claim):
        self.end_with(claim, {"code": "rate_limited", "retry_after_seconds": REST * 60})

    def end_with(self, claim: Claim, details: dict[str, Any]) -> None:
        """Ends a claim with an error."""
        told = self.queue.one(
            "select complete_job(%s, false, 'no luck', %s, %s)",
            claim.job_id,
            json.dumps(details),
            claim.attempt,
        )
        if not self.model.is_current(claim.job_id, claim.attempt):
            assert told == "lost"
            self.unchanged()
            return
        job = self.model.jobs[claim.job_id]
        assert told == self.model.fail(job, details["code"], details.get("permanent", False))
        if told == "pending":
            self.backs_off(job, details.get("retry_after_seconds", 0))

    @rule(claim=claims, worker=WORKERS)
    def release(self, claim, worker):
        released = self.queue.rows(
            "select release_jobs(%s, array[%s]::uuid[], array[%s])",
            worker,
            claim.job_id,
            claim.attempt,
        )
        job = self.model.jobs[claim.job_id]
        if self.model.is_current(claim.job_id, claim.attempt) and job.lease.worker == worker:
            assert len(released) == 1
            self.model.release(job)
            self.waits(job, 0)
        else:
            assert released == []
            self.unchanged()

    # Workers that are gone, and operators.

    @rule()
    def rescue(self):
        silent = self.model.silent()
        assert self.queue.rescue() == {job.id for job in silent}
        for job in silent:
            self.model.lose_worker(job)
            if job.live:
                self.backs_off(job)

    @rule(worker=WORKERS)
    def worker_dies(self, worker):
        taken = self.queue.rows("select rescue_worker_jobs(%s) as id", worker)
        lost = [j for j in self.model.jobs.values() if j.lease and j.lease.worker == worker]
        assert {row["id"] for row in taken} == {job.id for job in lost}
        for job in lost:
            self.model.lose_worker(job)
            self.waits_or_keeps(job)

    def waits_or_keeps(self, job: Job) -> None:
        """Due at once when it lives, else its time stays."""
        if job.live:
            self.waits(job, 0)
        else:
            job.scheduled_at = self.queue.job(job.id)["scheduled_at"]

    @rule(asked=st.none() | st.lists(jobs, min_size=1, max_size=3))
    def reset(self, asked):
        stuck = [job for job in self.model.silent() if asked is None or job in asked]
        assert self.queue.reset(*(job.id for job in asked or [])) == {job.id for job in stuck}
        for job in stuck:
            self.model.reset(job)
        self.is_due(stuck)

    @rule(asked=st.lists(jobs, min_size=1, max_size=3, unique_by=lambda job: job.id))
    def cancel(self, asked):
        live = [job for job in asked if job.live]
        assert self.queue.cancel(*(job.id for job in asked)) == {job.id for job in live}
        for job in live:
            self.model.finish(job, "cancelled")

    @rule(asked=st.lists(jobs, min_size=1, max_size=4, unique_by=lambda job: job.id))
    def retry(self, asked):
        expected = self.model.to_retry(asked)
        assert self.queue.retry(*(job.id for job in asked)) == {job.id for job in expected}
        for job in expected:
            self.model.retry(job)
        self.is_due(expected)

    @rule(job_type=PAUSABLE)
    def pause(self, job_type):
        self.queue.rows("select pause_queue('operator', %s)", job_type)
        self.model.pauses.add(job_type)

    @rule(job_type=PAUSABLE)
    def resume(self, job_type):
        lifted = self.queue.one("select resume_queue('operator', %s)", job_type)
        assert lifted is (job_type in self.model.pauses)
        self.model.pauses.discard(job_type)

    @rule(minutes=MINUTES)
    def time_passes(self, minutes):
        self.pass_time(minutes)


@pytest.mark.timeout(600)  # For the search of a short example, when one fails.
@pytest.mark.parametrize("examples", [60, pytest.param(300, marks=pytest.mark.slow)])
def test_the_queue_does_as_its_model(queue, examples):
    run_state_machine_as_test(
        lambda: QueueMachine(queue),
        settings=settings(
            derandomize=True,
            database=None,
            deadline=None,
            max_examples=examples,
            stateful_step_count=40,
        ),
    )
