"""Removing the sample data: all of it goes, and nothing else."""

from datetime import timedelta
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from lib.database import Connection, QueryError, load, open_pool
from lib.database.sample_history import load_sample_history
from lib.ops.maintenance.purge import Purge
from lib.ops.maintenance.sample_data import remove_sample_data
from lib.queue.operator_actions import reset_stuck_jobs, retry_jobs
from lib.storage.local import LocalStorage

FIGURES = {
    "job_rollup": "select sum(jobs) from job_rollup",
    "job_rollup_daily": "select sum(jobs) from job_rollup_daily",
    "arrival_rollup": "select sum(jobs) from arrival_rollup",
    "failure_rollup": "select sum(jobs) from failure_rollup",
    "path_rollup": "select sum(generations) from path_rollup",
    "ended_totals": "select sum(jobs) from ended_totals()",
}
LEFT = """
    select (select count(*) from job_queue) + (select count(*) from image_generations)
        + (select count(*) from auth.users) + (select count(*) from queue_samples)
"""
OTHER_USER = """
    with u as (
        insert into auth.users (id, email) values (gen_random_uuid(), 'ann@example.org')
        returning id
    ), g as (
        insert into image_generations (user_id, prompt, model_id, status, storage_path)
        select id, 'A fox', 'black-forest-labs/flux-dev', 'completed', 'fox.webp' from u
        returning *
    )
    insert into job_queue (
        job_type, payload, status, attempts, started_at, completed_at, created_by
    )
    select 'generate-image', jsonb_build_object('generation_id', id, 'model_id', model_id),
        'completed', 1, now() - interval '1 s', now(), user_id
    from g
"""


@pytest.fixture
def storage(db: Connection, tmp_path: Path) -> LocalStorage:
    """The images of a database with sample data."""
    load_sample_history(db, tmp_path / "images")
    return LocalStorage(tmp_path / "images", "")


def one(db: Connection, query: str) -> Any:
    [row] = db.execute(query.encode()).fetchall()
    [value] = row.values()
    return value


def jobs_counted(db: Connection) -> dict[str, Any]:
    """The jobs in every table of figures."""
    db.execute("select refresh_rollup()")
    return {name: one(db, query) for name, query in FIGURES.items()}


def test_leaves_an_empty_queue(
    db: Connection, database: str, storage: LocalStorage, tmp_path: Path
) -> None:
    loaded = one(db, "select count(*) from job_queue")
    found = load("maintenance").sample_data(db)
    assert (found["users"], found["generations"] > 19_000) == (40, True)
    assert jobs_counted(db)["ended_totals"] == loaded - 4
    assert remove_sample_data(database, "me", storage) == loaded
    assert one(db, LEFT) == 0
    assert set(jobs_counted(db).values()) == {None}
    assert list((tmp_path / "images").iterdir()) == []
    assert load("overview").is_empty(db)
    assert load("maintenance").sample_data(db) == {"users": 0, "generations": 0}
    [entry] = db.execute(
        "select actor, affected, details from audit_log where action = 'remove_sample_data'"
    ).fetchall()
    assert (entry["actor"], entry["affected"]) == ("me", loaded)
    assert entry["details"] == {"users": 40, "generations": found["generations"]}


def test_is_not_loaded_again(db: Connection, database: str, storage: LocalStorage) -> None:
    remove_sample_data(database, "me", storage)
    assert load_sample_history(db) == 0


def test_keeps_what_others_did_meanwhile(
    db: Connection, database: str, storage: LocalStorage, tmp_path: Path
) -> None:
    """Sample jobs that an operator ran, retried or purged go with their figures."""
    (tmp_path / "images" / "fox.webp").touch()
    db.execute(OTHER_USER.encode())
    failed = one(db, "select id from job_queue where status = 'failed' order by id limit 1")
    ended = Event()
    Purge(database, "me", timedelta(days=10), ended.set)
    assert ended.wait(60)
    with open_pool(database) as pool:
        db.execute("select sample_queue()")
        assert one(db, "select processing from queue_samples order by minute desc limit 1") == 4
        assert len(reset_stuck_jobs(pool, "me", None)) == 4
        retry_jobs(pool, "me", [failed])
    db.execute("select * from claim_jobs(1)")
    jobs_counted(db)
    remove_sample_data(database, "me", storage)
    assert one(db, "select email from auth.users") == "ann@example.org"
    assert one(db, "select prompt from image_generations") == "A fox"
    assert one(db, "select status from job_queue") == "completed"
    assert one(db, "select count(*) from job_leases") == 0
    assert [file.name for file in (tmp_path / "images").iterdir()] == ["fox.webp"]
    counted = jobs_counted(db)
    assert (counted["job_rollup"], counted["arrival_rollup"]) == (1, 1)
    assert (counted["failure_rollup"], counted["ended_totals"]) == (None, 1)
    assert db.execute("select * from verify_rollup()").fetchall() == []
    samples = "select coalesce(max(pending + processing), 0) from queue_samples"
    assert one(db, samples + " where minute < now() - interval '10 minutes'") == 0
    assert one(db, "select sum(processing) from queue_samples") in (None, 0)


def test_does_nothing_without_sample_data(db: Connection, database: str, tmp_path: Path) -> None:
    db.execute(OTHER_USER.encode())
    db.execute("select sample_queue()")
    storage = LocalStorage(tmp_path, "")
    assert remove_sample_data(database, "me", storage) == 0
    assert one(db, "select count(*) from job_queue") == 1
    assert one(db, "select count(*) from queue_samples") == 1
    actions = "select count(*) from audit_log where action = 'remove_sample_data'"
    assert one(db, actions) == 0


def test_needs_an_actor(database: str, tmp_path: Path) -> None:
    with pytest.raises(QueryError):
        remove_sample_data(database, " ", LocalStorage(tmp_path, ""))
