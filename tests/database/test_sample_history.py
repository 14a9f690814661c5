"""The sample history of the embedded default: what it promises, and that it is loaded once."""

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from PIL import Image
from psycopg import sql

from lib.database import connect, embedded, load
from lib.database.pool import Connection
from lib.database.sample_history import IMAGES, load_sample_history

UNTIL = datetime(2026, 3, 18, 16, 25, tzinfo=UTC)  # a Wednesday
DIGEST = """
    select md5(string_agg(row::text, '' order by row::text)) from (
        select to_jsonb(q) as row from job_queue q
        union all select to_jsonb(g) from image_generations g
        union all select to_jsonb(u) from auth.users u
    ) rows
"""


@contextmanager
def loaded(server_url: str, template: str, until: datetime | None) -> Iterator[Connection]:
    name = f"sample_{uuid.uuid4().hex[:8]}"
    names = {"name": sql.Identifier(name), "template": sql.Identifier(template)}
    with connect(server_url) as admin:
        admin.execute(sql.SQL("create database {name} template {template}").format(**names))
        with connect(urlsplit(server_url)._replace(path=f"/{name}").geturl()) as connection:
            load_sample_history(connection, until=until)
            yield connection
        admin.execute(sql.SQL("drop database {name} with (force)").format(**names))


@pytest.fixture(scope="module")
def history(postgres: embedded.EmbeddedPostgres, template: str) -> Iterator[Connection]:
    """The history up to now, for tests that change nothing."""
    with loaded(postgres.url, template, None) as connection:
        yield connection


@pytest.fixture(scope="module")
def dated(postgres: embedded.EmbeddedPostgres, template: str) -> Iterator[Connection]:
    """The history up to UNTIL, for tests that change nothing."""
    with loaded(postgres.url, template, UNTIL) as connection:
        yield connection


def rows(connection: Connection, statement: str) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in connection.execute(statement.encode())]


def one(connection: Connection, statement: str) -> Any:
    """The single value of a statement."""
    [[value]] = rows(connection, statement)
    return value


def finished(connection: Connection) -> set[tuple[Any, ...]]:
    return set(rows(connection, "select completed_at, id, status from job_queue"))


def test_two_processes_load_about_20000_jobs_once(database: str) -> None:
    def load_it(_: int) -> int:
        with connect(database) as connection:
            return load_sample_history(connection)

    with ThreadPoolExecutor() as threads:
        none, written = sorted(threads.map(load_it, range(2)))
    assert none == 0
    assert 19_500 < written < 20_500
    with connect(database) as connection:
        assert one(connection, "select count(*) from job_queue") == written


def test_is_not_loaded_again(history: Connection) -> None:
    before = one(history, DIGEST)
    assert load_sample_history(history) == 0
    assert one(history, DIGEST) == before


def test_does_not_come_back_after_a_purge(history: Connection) -> None:
    with history.transaction(force_rollback=True):
        history.execute("truncate job_queue, image_generations cascade")
        assert load_sample_history(history) == 0


def test_leaves_a_queue_in_use_alone(db: Connection) -> None:
    db.execute("select enqueue_job('generate-image', '{\"prompt\": \"p\"}')")
    assert load_sample_history(db) == 0
    assert one(db, "select count(*) from job_queue") == 1
    assert one(db, "select count(*) from auth.users") == 0


def test_the_same_end_gives_the_same_history_anywhere(db: Connection, dated: Connection) -> None:
    db.execute("set timezone = 'Asia/Kathmandu'")
    load_sample_history(db, until=UNTIL)
    db.execute("reset timezone")
    assert one(db, DIGEST) == one(dated, DIGEST)


def test_a_later_minute_of_the_hour_only_adds_to_the_end(db: Connection, dated: Connection) -> None:
    load_sample_history(db, until=UNTIL + timedelta(minutes=30))
    assert finished(dated) < finished(db)
    assert all(completed_at > UNTIL for completed_at, *_ in finished(db) - finished(dated))


def test_is_thirty_days_long_and_nothing_lies_behind_its_end(dated: Connection) -> None:
    [(first, last)] = rows(
        dated,
        "select min(created_at), max(greatest(scheduled_at, started_at, completed_at, updated_at))"
        " from job_queue",
    )
    assert UNTIL - timedelta(days=30, hours=1) < first < UNTIL - timedelta(days=29)
    assert UNTIL - timedelta(minutes=10) < last <= UNTIL


def test_completed_generations_share_a_few_small_images(db: Connection, tmp_path: Path) -> None:
    load_sample_history(db, tmp_path / "images", until=UNTIL)
    contradictions = """
        select id from image_generations
        where (storage_path is not null) is distinct from (status = 'completed')
           or thumbnail_path is distinct from storage_path
           or image_url is distinct from '/images/' || storage_path
    """
    assert rows(db, contradictions) == []
    used = {path for (path,) in rows(db, "select distinct storage_path from image_generations")}
    stored = {file.name: file for file in (tmp_path / "images").iterdir()}
    assert used - {None} == stored.keys() == {file.name for file in IMAGES.iterdir()}
    assert len(stored) == 36
    assert sum(file.stat().st_size for file in stored.values()) < 300_000
    sizes = """
        select distinct storage_path, (parameters ->> 'width')::int as width,
            (parameters ->> 'height')::int as height
        from image_generations where storage_path is not null
    """
    for path, width, height in rows(db, sizes):
        with Image.open(stored[path]) as image:
            assert (image.format, max(image.size)) == ("WEBP", 512)
            assert image.width / image.height == pytest.approx(width / height, rel=0.01)
    [(prompt,)] = rows(
        db,
        "select prompt from image_generations where storage_path = 'sample-lighthouse-night.webp'"
        " order by prompt limit 1",
    )
    assert prompt.startswith("a lighthouse on a cliff, ")
    assert prompt.endswith((", moonlight", ", starry night"))


def test_without_a_folder_to_store_images_in_there_are_none(
    db: Connection, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "images").write_text("in the way")
    assert load_sample_history(db, tmp_path / "images", until=UNTIL) > 0
    assert one(db, "select count(*) from image_generations where image_url is not null") == 0
    assert "cannot be stored" in caplog.text


def test_the_dashboard_finds_a_live_queue(history: Connection) -> None:
    now = load("overview").now(history)
    assert (now["pending"], now["processing"], now["stuck"]) == (0, 4, 4)
    assert now["last_hour_completed"] > 2
    assert load("overview").has_sample_data(history)
    assert len(rows(history, "select from stuck_jobs")) == 4
    assert one(history, "select count(*) from failed_jobs_recent") > 5


def test_no_critical_alert_fires_on_it(history: Connection) -> None:
    with history.transaction(force_rollback=True):
        history.execute("update alert_watch set began_at = now()")
        history.execute("select evaluate_alerts()")
        alerts = rows(history, "select rule, severity from alerts where fired_at is not null")
    assert alerts == [("stuck_jobs", "warning")]


def test_statuses_come_in_plausible_numbers(history: Connection) -> None:
    jobs = dict(rows(history, "select status, count(*) from job_queue group by status"))
    assert set(jobs) == {"completed", "failed", "cancelled", "processing"}
    assert jobs["processing"] == 4
    assert 24 <= jobs["cancelled"] <= 100
    assert 0.03 < jobs["failed"] / sum(jobs.values()) < 0.04


def test_the_fields_of_a_job_agree(history: Connection) -> None:
    contradictions = """
        select id from job_queue where not (
            created_at <= scheduled_at and updated_at = coalesce(completed_at, started_at)
            and (started_at is null or started_at > scheduled_at)
            and (started_at is null) = (attempts = 0)
            and (completed_at is null) = (status = 'processing')
            and (completed_at is null or completed_at > coalesce(started_at, created_at))
            and (error_message is not null) = (status in ('failed', 'cancelled'))
            and attempts <= max_attempts
        )
    """
    assert rows(history, contradictions) == []


def test_every_job_has_a_generation_of_a_sample_user(history: Connection) -> None:
    contradictions = """
        select q.id
        from job_queue q
        left join image_generations g on g.id = generation_of(q.payload)
        left join auth.users u on u.id = g.user_id
        where not coalesce(
            q.job_type = 'generate-image' and g.source = 'sample' and g.user_id = q.created_by
            and u.created_at < g.created_at and u.email like 'sample-user-__@example.invalid'
            and q.payload = jsonb_build_object(
                'generation_id', g.id, 'prompt', g.prompt, 'model_id', g.model_id)
            and g.parameters ?& array['width', 'height']
            and g.image_url is null and g.storage_path is null
            and (g.progress = 100) = (g.status = 'completed'), false)
    """
    assert rows(history, contradictions) == []
    assert one(history, "select count(distinct created_by) from job_queue") == 40


def test_a_generation_is_in_the_state_of_its_job(history: Connection) -> None:
    contradictions = """
        select g.id
        from image_generations g
        left join (
            select distinct on (payload ->> 'generation_id') *
            from job_queue order by payload ->> 'generation_id', created_at
        ) q on generation_of(q.payload) = g.id
        where (q.status, q.created_at, q.started_at, q.completed_at, q.error_message)
            is distinct from
            (g.status, g.created_at, g.started_at, g.completed_at, g.error_message)
    """
    assert rows(history, contradictions) == []


def test_models_differ_in_use_run_time_and_failures(history: Connection) -> None:
    statement = """
        select
            payload ->> 'model_id',
            count(*),
            percentile_cont(0.5) within group (
                order by extract(epoch from completed_at - started_at)
            ) filter (where status = 'completed'),
            avg((status = 'failed')::int)
        from job_queue group by 1
    """
    models = {model: values for model, *values in rows(history, statement)}
    assert set(models) <= {model for (model,) in rows(history, "select id from models")}
    jobs, median_seconds, failing = models["black-forest-labs/flux-schnell"]
    slow_jobs, slow_median_seconds, slow_failing = models["stability-ai/stable-diffusion-3.5-large"]
    assert jobs > 3 * slow_jobs
    assert median_seconds == pytest.approx(1.5, rel=0.1)
    assert slow_median_seconds == pytest.approx(9, rel=0.1)
    assert slow_failing > 2 * failing


def test_permanent_errors_fail_at_once_and_others_after_three_attempts(history: Connection) -> None:
    kinds = rows(
        history,
        "select error_details ->> 'code', min(attempts), max(attempts)"
        " from job_queue where status = 'failed' group by 1",
    )
    permanent = {"invalid_input", "no_credit", "model_not_found", "refused"}
    transient = {"rate_limited", "provider_error", "unreachable", "deadline_exceeded"}
    assert {code for code, *tries in kinds if tries == [1, 1]} == permanent
    assert {code for code, *tries in kinds if tries == [3, 3]} == transient | {"prediction_failed"}


def test_error_details_have_the_shape_of_append_attempt_error(history: Connection) -> None:
    statement = "select * from job_queue where status = 'failed' or attempts > 1"
    jobs = history.execute(statement).fetchall()
    assert {job["attempts"] for job in jobs if job["status"] == "completed"} == {2, 3}
    keys = {"attempt", "due_at", "started_at", "at", "error", "details"}
    for job in jobs:
        details = dict(job["error_details"])
        errors = details.pop("attempts")
        failed = job["attempts"] if job["status"] == "failed" else job["attempts"] - 1
        assert [error["attempt"] for error in errors] == list(range(1, failed + 1))
        assert all(error.keys() == keys for error in errors)
        assert errors[-1]["details"] == details
        ends = [datetime.fromisoformat(error["at"]) for error in errors]
        assert ends == sorted(ends)
        if job["status"] == "failed":
            assert (ends[-1], errors[-1]["error"]) == (job["completed_at"], job["error_message"])
        else:
            assert ends[-1] < job["scheduled_at"]


def test_stuck_jobs_are_silent_for_20_minutes_to_3_hours(history: Connection) -> None:
    silences = [silence for (silence,) in rows(history, "select silent_for from stuck_jobs")]
    assert len(silences) == 4
    assert timedelta(minutes=20) < min(silences) < max(silences) < timedelta(hours=3)
    assert one(history, "select count(*) from job_leases") == 0


def test_five_generations_have_two_jobs(history: Connection) -> None:
    statement = """
        select array_agg(status order by created_at), max(created_at) > min(completed_at)
        from job_queue group by payload ->> 'generation_id' having count(*) > 1
    """
    assert len(pairs := rows(history, statement)) == 5
    assert {(first, apart) for (first, _), apart in pairs} == {("completed", True)}
    assert {second for (_, second), _ in pairs} == {"completed", "failed", "cancelled"}


def test_days_weeks_and_the_month_have_a_rhythm(dated: Connection) -> None:
    by_hour = "select extract(hour from created_at at time zone 'UTC'), count(*)"
    hours = dict(rows(dated, by_hour + " from job_queue group by 1"))
    assert 12 <= max(hours, key=hours.__getitem__) <= 17
    assert max(hours.values()) > 2 * min(hours.values())
    by_day = """
        select count(*) from job_queue
        where created_at >= '2026-02-18 00:00+00' and created_at < '2026-03-18 00:00+00'
        group by date_trunc('day', created_at, 'UTC') order by date_trunc('day', created_at, 'UTC')
    """
    days = [jobs for (jobs,) in rows(dated, by_day)]
    # Wednesday to Tuesday.
    *working, saturday, sunday, monday, tuesday = days[21:]
    assert max(saturday, sunday) < min(*working, monday, tuesday)
    assert sum(days[21:]) > 1.1 * sum(days[:7])


def test_an_outage_a_standstill_and_a_slow_day_show(dated: Connection) -> None:
    outage = """
        select
            avg((status = 'failed')::int),
            mode() within group (order by error_details ->> 'code')
        from job_queue
        where created_at >= '2026-03-08 14:00+00' and created_at < '2026-03-08 16:00+00'
    """
    [(failing, code)] = rows(dated, outage)
    assert 0.25 < failing < 0.5
    assert code == "provider_error"
    standstill = """
        select max(started_at - scheduled_at) from job_queue
        where created_at >= '2026-03-14 15:00+00' and created_at < '2026-03-14 15:45+00'
    """
    assert timedelta(minutes=30) < one(dated, standstill) < timedelta(hours=1)
    slow_day = """
        select date_trunc('day', created_at, 'UTC') = '2026-03-11 00:00+00',
            avg(extract(epoch from completed_at - started_at))
        from job_queue
        where status = 'completed' and payload ->> 'model_id' = 'black-forest-labs/flux-dev'
        group by 1 order by 1
    """
    [(_, usual), (_, slow)] = rows(dated, slow_day)
    assert slow > 2 * usual
