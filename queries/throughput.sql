-- Throughput, waits and queue length, from the functions and views of the schema.
--
-- A range is :start (timestamptz; null: ends now) and :length (interval), rounded outward to whole
-- buckets. :by is status, type or model. Days are UTC days.

-- name: ended
-- Jobs that ended in each bucket (:bucket hour or day), the largest group first. Columns: at; name:
-- one of the eight largest groups, null for all others; jobs. Empty buckets are left out.
select at, name, jobs
from public.throughput(
    coalesce(:start::timestamptz, now() - :length::interval), :start::timestamptz + :length::interval, :bucket, :by
)
order by place, at
limit 10000;

-- name: ended_by_minute
-- The same by the minute, without purged jobs: the first six hours of the range.
select at, name, jobs
from public.throughput(
    coalesce(:start::timestamptz, now() - :length::interval), :start::timestamptz + :length::interval, 'minute', :by
)
order by place, at
limit 10000;

-- name: times
-- Percentiles in each bucket (:bucket hour or day).
select at, run_p50, run_p95, run_p99, wait_p50, wait_p95, wait_p99
from public.job_times(
    coalesce(:start::timestamptz, now() - :length::interval), :start::timestamptz + :length::interval, :bucket
)
order by at
limit 1000;

-- name: times_by_minute
-- The same by the minute, exact: the first hour of the range.
select at, run_p50, run_p95, run_p99, wait_p50, wait_p95, wait_p99
from public.job_times(
    coalesce(:start::timestamptz, now() - :length::interval), :start::timestamptz + :length::interval, 'minute'
)
order by at
limit 1000;

-- name: purged$
-- Number of jobs that ended in the hours of this range and were purged: missing from minutes.
select public.purged_jobs(coalesce(:start::timestamptz, now() - :length::interval), :start::timestamptz + :length::interval);

-- name: flow
-- Arrivals, ends and the queue length in each bucket (:bucket hour or day). A range that ends now
-- has one more row for now, with the queue only.
select at, arrivals, ends, busiest, queue
from public.queue_lengths(
    coalesce(:start::timestamptz, now() - :length::interval), :start::timestamptz + :length::interval, :bucket
)
order by at
limit 1000;

-- name: flow_by_minute
-- The same by the minute, without busiest, for a range of up to six hours that ends now.
select at, arrivals, ends, queue
from public.queue_lengths(now() - :length::interval, null, 'minute')
order by at
limit 1000;

-- name: pace^
-- The last hour and the current backlog.
select due, processing, stuck, arrived, ended, run_seconds, attempts, workers, slots from public.queue_pace;
