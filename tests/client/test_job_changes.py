"""Jobs followed over Realtime as existing web clients do: subscribeToJob, subscribeToUserJobs."""

import asyncio
from typing import Any

import pytest
from supabase_project import PUBLISHABLE, Project

from supabase import acreate_client


@pytest.fixture
def project(database, serve):
    project = Project(database)
    with serve(project.app) as project.url:
        yield project


@pytest.fixture
def users(db):
    return [
        db.execute(
            "insert into auth.users (id) values (gen_random_uuid()) returning id"
        ).fetchone()["id"]
        for _ in range(2)
    ]


async def subscribed(project: Project, user: Any, filter: str) -> asyncio.Queue[Any]:
    """The records of the changes that a user's client hears of."""
    client = await acreate_client(project.url, PUBLISHABLE)
    await client.realtime.set_auth(project.token(user))
    heard: asyncio.Queue[Any] = asyncio.Queue()
    channel = client.channel(f"jobs of {user}")
    channel.on_postgres_changes(
        "*",
        lambda change: heard.put_nowait(change["data"]["record"]),
        schema="public",
        table="job_queue",
        filter=filter,
    )
    await channel.subscribe()
    return heard


@pytest.mark.parametrize("filter", ["id=eq.{job}", "created_by=eq.{user}"])
async def test_users_hear_of_their_own_jobs_alone(db, project, users, until, filter):
    job = db.execute(
        "select enqueue_job('x', '{}', p_created_by => %s) as id", [users[0]]
    ).fetchone()["id"]
    filter = filter.format(job=job, user=users[0])
    own, others = [await subscribed(project, user, filter) for user in users]
    await until(lambda: project.joins == 2)
    db.execute("update job_queue set status = 'cancelled' where id = %s", [job])
    async with asyncio.timeout(10):
        record = await own.get()
    assert (record["id"], record["status"]) == (str(job), "cancelled")
    assert len(record) == 15
    db.execute("update job_queue set error_message = 'again' where id = %s", [job])
    async with asyncio.timeout(10):
        assert (await own.get())["error_message"] == "again"
    assert others.empty()
