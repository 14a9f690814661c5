"""What signed-in users may not do: touch others' jobs, change more than allowed, pay nothing."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from api_client import ApiClient
from psycopg import Error, sql

from lib.database import connect
from lib.database.pool import Connection

MODEL = "black-forest-labs/flux-schnell"
REQUEST = {"prompt": "A lighthouse", "model_id": MODEL}
STATUSES = ("pending", "processing", "completed", "failed", "cancelled")
DOWNLOAD = "download-image"
OTHER_VALUES: dict[str, Any] = {
    "id": uuid4(),
    "job_type": "self-test-1",
    "payload": "{}",
    "attempts": 0,
    "max_attempts": 100,
    "scheduled_at": datetime(1970, 1, 1, tzinfo=UTC),
    "started_at": datetime(1970, 1, 1, tzinfo=UTC),
    "completed_at": datetime(1970, 1, 1, tzinfo=UTC),
    "error_message": "mine",
    "error_details": "{}",
    "created_by": uuid4(),
    "priority": 9,
    "created_at": datetime(1970, 1, 1, tzinfo=UTC),
    "updated_at": datetime(1970, 1, 1, tzinfo=UTC),
}


@pytest.fixture
def db(shared_database: str) -> Any:
    with connect(shared_database) as connection:
        yield connection
        connection.execute("reset role")
        connection.execute("delete from job_queue; delete from job_leases; delete from user_limits")


@pytest.fixture
def user(db: Connection) -> UUID:
    return new_user(db)


@pytest.fixture
def client(db: Connection, user: UUID) -> ApiClient:
    return ApiClient(db, user)


@pytest.fixture
def other(db: Connection) -> ApiClient:
    """Another signed-in user."""
    return ApiClient(db, new_user(db))


def new_user(db: Connection) -> UUID:
    row = db.execute(
        "insert into auth.users (id) values (gen_random_uuid()) returning id"
    ).fetchone()
    assert row is not None
    id: UUID = row["id"]
    return id


def enqueue(client: ApiClient, job_type: str = "generate-image", **changes: Any) -> Any:
    return client.rpc("enqueue_job", p_job_type=job_type, p_payload=REQUEST | changes)


def generation_of(client: ApiClient) -> str:
    """A new generation of the user."""
    job_id = enqueue(client)
    [job] = client.select("job_queue", id=job_id)
    return str(job["payload"]["generation_id"])


def everything(db: Connection) -> Any:
    tables = ("job_queue", "image_generations", "audit_log")
    query = sql.SQL("select * from {} order by 1")
    return [db.execute(query.format(sql.Identifier(table))).fetchall() for table in tables]


def refused(call: Any, match: str = "permission denied|row-level security|cannot become") -> Error:
    with pytest.raises(Error, match=match) as error:
        call()
    return error.value


# Changing rows.


@pytest.mark.parametrize("column", OTHER_VALUES)
def test_no_other_column(db: Connection, client: ApiClient, column: str) -> None:
    job_id = enqueue(client)
    before = everything(db)
    value = {column: OTHER_VALUES[column]}
    refused(lambda: client.update("job_queue", value, id=job_id))
    refused(lambda: client.update("job_queue", {"status": "cancelled"} | value, id=job_id))
    assert everything(db) == before


def test_every_column_is_tried(db: Connection) -> None:
    columns = db.execute("select * from job_queue limit 0").description or ()
    assert {column.name for column in columns} == {*OTHER_VALUES, "status"}


@pytest.mark.parametrize("to", STATUSES)
@pytest.mark.parametrize("status", STATUSES)
def test_no_other_transition(db: Connection, client: ApiClient, status: str, to: str) -> None:
    job_id = enqueue(client)
    if status != "pending":
        db.execute("select from claim_jobs(1)")
    if status != "processing":
        db.execute("update job_queue set status = %s", [status])
    before = everything(db)
    if (status, to) == ("pending", "cancelled"):
        assert [row["id"] for row in client.update("job_queue", {"status": to})] == [job_id]
        assert everything(db) != before
        return
    if status == "pending":
        refused(lambda: client.update("job_queue", {"status": to}))
    else:
        assert client.update("job_queue", {"status": to}) == []
    assert everything(db) == before


def test_no_row_of_another_user(db: Connection, client: ApiClient, other: ApiClient) -> None:
    job_id = enqueue(client)
    before = everything(db)
    assert other.update("job_queue", {"status": "cancelled"}) == []
    assert other.update("job_queue", {"status": "cancelled"}, id=job_id) == []
    assert everything(db) == before


def test_no_row_of_nobody(db: Connection, client: ApiClient) -> None:
    db.execute("insert into job_queue (job_type) values ('a')")
    assert client.update("job_queue", {"status": "cancelled"}) == []


def test_no_insert_and_no_delete(client: ApiClient) -> None:
    enqueue(client)
    for statement in (
        "insert into job_queue (job_type, created_by) values ('generate-image', auth.uid())",
        "delete from job_queue",
        "truncate job_queue",
    ):
        refused(lambda statement=statement: client.run(statement))


def test_a_policy_of_an_existing_deployment_allows_no_more(
    db: Connection, client: ApiClient
) -> None:
    job_id = enqueue(client)
    with db.transaction(force_rollback=True):
        db.execute(
            "create policy old on job_queue for update to authenticated"
            " using (auth.uid() = created_by)"
        )
        refused(lambda: client.update("job_queue", {"status": "completed"}, id=job_id))
        db.execute("select from claim_jobs(1)")
        for status in ("pending", "completed", "cancelled"):
            assert client.update("job_queue", {"status": status}, id=job_id) == []


def test_a_job_that_is_claimed_meanwhile_runs_on(
    db: Connection, shared_database: str, client: ApiClient, user: UUID, eventually: Any
) -> None:
    job_id = enqueue(client)
    with connect(shared_database) as late, ThreadPoolExecutor(1) as thread:
        with db.transaction():
            db.execute("select from claim_jobs(1)")
            cancelling = thread.submit(
                ApiClient(late, user).update, "job_queue", {"status": "cancelled"}, id=job_id
            )
            blocked = "select %s = any (pg_blocking_pids(%s)) as so"
            pids = [db.info.backend_pid, late.info.backend_pid]
            eventually(lambda: db.execute(blocked.encode(), pids).fetchone()["so"])
        assert cancelling.result() == []
    [job] = client.select("job_queue", id=job_id)
    assert job["status"] == "processing"


def test_a_cancelled_generation_counts(db: Connection, client: ApiClient, user: UUID) -> None:
    db.execute("select set_user_limits('me', %s, 1, 1)", [user])
    job_id = enqueue(client)
    client.update("job_queue", {"status": "cancelled"}, id=job_id)
    assert refused(lambda: enqueue(client), "limit").sqlstate == "DR429"


# Enqueueing.


@pytest.mark.parametrize(
    "job_type",
    ["process-webhook", "cleanup-storage", "self-test-1", "x", "*", "", " generate-image", None],
)
def test_no_other_type(db: Connection, client: ApiClient, job_type: str | None) -> None:
    before = everything(db)
    error = refused(lambda: enqueue(client, job_type), "may not enqueue jobs of type|job_type")
    assert error.sqlstate == "42501"
    assert everything(db) == before


@pytest.mark.parametrize("job_type", ["process-webhook", "cleanup-storage", "self-test-1"])
def test_internal_types_cannot_be_opened(db: Connection, job_type: str) -> None:
    with pytest.raises(Error, match="job_types"):
        db.execute("insert into job_types (job_type, for_users) values (%s, true)", [job_type])


def test_a_type_is_closed_by_its_row(db: Connection, client: ApiClient) -> None:
    with db.transaction(force_rollback=True):
        db.execute("update job_types set for_users = false")
        refused(lambda: enqueue(client), "may not enqueue")


@pytest.mark.parametrize(
    ("changes", "arguments", "field"),
    [
        ({"generation_id": str(uuid4())}, {}, "generation_id"),
        ({"user_id": str(uuid4())}, {}, "user_id"),
        ({"test": True}, {}, "test"),
        ({"test_run": {"id": str(uuid4())}}, {}, "test"),
        ({"prompt": ""}, {}, "prompt"),
        ({"prompt": "\n"}, {}, "prompt"),
        ({"prompt": {"a": 1}}, {}, "prompt"),
        ({"prompt": "x" * 10_001}, {}, "prompt"),
        ({"model_id": None}, {}, "model_id"),
        ({"image": "x" * 300_000}, {}, "payload"),
        ({"parameters": {"nested": {}}}, {}, "payload"),
        ({"nested": [[1]]}, {}, "payload"),
        ({"disable_safety_checker": True}, {}, "disable_safety_checker"),
        ({"parameters": {"disable_safety_checker": True}}, {}, "disable_safety_checker"),
        ({"openai_api_key": "k"}, {}, "openai_api_key"),
        ({"seed": "soon"}, {}, "seed"),
        ({"metadata": {"a": "x" * 3000}}, {}, "metadata"),
        ({}, {"p_priority": 1}, "priority"),
        ({}, {"p_priority": -1}, "priority"),
        ({}, {"p_scheduled_at": datetime.now(UTC) + timedelta(days=2)}, "scheduled_at"),
        ({}, {"p_max_attempts": 0}, "max_attempts"),
        ({}, {"p_max_attempts": 100}, "max_attempts"),
    ],
)
def test_the_same_validation(
    db: Connection, client: ApiClient, changes: Any, arguments: Any, field: str
) -> None:
    before = everything(db)
    with pytest.raises(Error) as error:
        client.rpc(
            "enqueue_job", p_job_type="generate-image", p_payload=REQUEST | changes, **arguments
        )
    assert error.value.sqlstate == "DR422"
    problems = json.loads(error.value.diag.message_detail or "")["problems"]
    assert field in {problem["field"] for problem in problems}
    assert everything(db) == before


@pytest.mark.parametrize("payload", ["[]", "null", "7", '"text"'])
def test_a_payload_is_an_object(client: ApiClient, payload: str) -> None:
    call = "select enqueue_job('generate-image', %s::jsonb)"
    assert refused(lambda: client.run(call, payload), "JSON object").sqlstate == "DR422"


def test_a_time_in_the_past_passes_nobody_by(client: ApiClient) -> None:
    for job_type, payload in (("generate-image", {}), (DOWNLOAD, download(client))):
        job_id = client.rpc(
            "enqueue_job",
            p_job_type=job_type,
            p_payload=REQUEST | payload,
            p_scheduled_at=datetime(1970, 1, 1, tzinfo=UTC),
            p_max_attempts=1,
        )
        [job] = client.select("job_queue", id=job_id)
        assert job["scheduled_at"] >= job["created_at"]
        assert job["max_attempts"] == 1


def test_a_later_time_is_kept(client: ApiClient) -> None:
    at = datetime.now(UTC) + timedelta(hours=1)
    job_id = client.rpc(
        "enqueue_job", p_job_type="generate-image", p_payload=REQUEST, p_scheduled_at=at
    )
    assert client.select("job_queue", id=job_id)[0]["scheduled_at"] == at


def test_no_job_in_the_name_of_another(client: ApiClient, user: UUID) -> None:
    for function in ("enqueue_job", "enqueue_for_user"):
        arguments = {
            "p_job_type": "generate-image",
            "p_payload": REQUEST,
            "p_priority": 0,
            "p_scheduled_at": None,
            "p_max_attempts": None,
        }
        refused(lambda f=function, a=arguments: client.rpc(f, **a, p_created_by=uuid4()), "own")
        job_id = client.rpc(function, **arguments, p_created_by=user)
        assert client.select("job_queue", id=job_id)[0]["created_by"] == user


def test_no_job_without_a_user(db: Connection, client: ApiClient) -> None:
    with db.transaction(force_rollback=True):
        db.execute("set local role authenticated")
        with pytest.raises(Error, match="their own jobs"):
            db.execute("select enqueue_job('generate-image', %s)", [json.dumps(REQUEST)])
    with db.transaction(force_rollback=True):
        db.execute("set local role anon")
        with pytest.raises(Error, match="permission denied"):
            db.execute("select enqueue_job('generate-image', %s)", [json.dumps(REQUEST)])


def test_the_limits_are_those_of_start_generation(
    db: Connection, client: ApiClient, user: UUID
) -> None:
    db.execute("select set_user_limits('me', %s, 9, 2)", [user])
    enqueue(client)
    enqueue(client)
    error = refused(lambda: enqueue(client), "limit")
    assert error.sqlstate == "DR429"
    assert (
        json.loads(error.diag.message_detail or "")["limit_reason"]
        == "Hourly limit reached: 2 of 2."
    )


def download(client: ApiClient) -> dict[str, Any]:
    return {"generation_id": generation_of(client), "output_url": "https://host/1.webp"}


def test_downloads_of_own_generations(client: ApiClient, user: UUID) -> None:
    job_id = enqueue(client, DOWNLOAD, **download(client))
    [job] = client.select("job_queue", id=job_id)
    # Files are stored under the user of the payload.
    assert (job["created_by"], job["payload"]["user_id"]) == (user, str(user))


@pytest.mark.parametrize("url", [None, "http://host/1.webp", "file:///etc/passwd", {"a": 1}])
def test_downloads_of_https_addresses(client: ApiClient, url: Any) -> None:
    payload = download(client) | {"output_url": url}
    assert refused(lambda: enqueue(client, DOWNLOAD, **payload), "output_url").sqlstate == "DR422"


def test_no_download_of_another_generation(client: ApiClient, other: ApiClient) -> None:
    theirs = download(other)
    unknown = [theirs["generation_id"], str(uuid4()), "no uuid", None]
    for generation_id in unknown:
        payload = theirs | {"generation_id": generation_id}
        error = refused(lambda p=payload: enqueue(client, DOWNLOAD, **p), "you have no generation")
        assert error.sqlstate == "DR404"
    del theirs["generation_id"]
    refused(lambda: enqueue(client, DOWNLOAD, **theirs), "you have no generation")


def test_downloads_are_limited_too(db: Connection, client: ApiClient, user: UUID) -> None:
    payloads = [download(client) for _ in range(3)]
    db.execute("select set_user_limits('me', %s, 9, 2)", [user])
    for payload in payloads[:2]:
        enqueue(client, DOWNLOAD, **payload)
        # Ended jobs count: a user could else repeat one for ever.
        client.update("job_queue", {"status": "cancelled"}, job_type=DOWNLOAD)
    assert refused(lambda: enqueue(client, DOWNLOAD, **payloads[2]), "limit").sqlstate == "DR429"


def test_a_download_ends_no_running_generation(
    db: Connection, client: ApiClient, user: UUID
) -> None:
    """Nor does its cancelling: the image is still being paid for."""
    payload = download(client)
    db.execute("select from claim_jobs(1, '{generate-image}')")
    job_id = enqueue(client, DOWNLOAD, **payload)
    client.update("job_queue", {"status": "cancelled"}, id=job_id)
    assert client.select("image_generations", user_id=user)[0]["status"] == "queued"


def test_counting_a_users_jobs_reads_an_index(db: Connection, user: UUID) -> None:
    db.execute(
        "insert into job_queue (job_type, status, created_by, completed_at)"
        " select 'generate-image', 'completed', %s, now() from generate_series(1, 3000)",
        [user],
    )
    with db.transaction():
        db.execute("analyze job_queue")
        plan = db.execute(
            sql.SQL(
                "explain select count(*) from job_queue q where q.created_by = {} and"
                " q.job_type <> 'generate-image' and q.created_at > now() - interval '1 day'"
            ).format(user)
        ).fetchall()
    assert "job_queue_user_jobs_idx" in str(plan)


# Other functions.


@pytest.mark.parametrize(
    "call",
    [
        "complete_job(%s)",
        "claim_next_job()",
        "cancel_jobs('me', array[%s]::uuid[])",
        "retry_jobs('me', array[%s]::uuid[])",
        "start_generation(%s, 'p', 'm')",
        "follow_job(%s)",
        "is_being_generated(%s)",
        "unpublished_tables()",
    ],
)
def test_no_other_function(client: ApiClient, call: str) -> None:
    statement = f"select public.{call}"
    refused(lambda: client.run(statement, *[uuid4()] * statement.count("%s")))
