"""What clients and functions of the system that Darkroom replaces call: each call works."""

from typing import Any
from uuid import UUID

import pytest
from api_client import ApiClient
from psycopg import Error, sql

from lib.database import connect
from lib.database.pool import Connection

MODEL = "black-forest-labs/flux-schnell"
REQUEST = {"prompt": "A lighthouse", "model_id": MODEL, "width": 512, "height": 512, "seed": 7}
ORIGINAL_COLUMNS = {
    "job_queue": {
        *("id", "job_type", "payload", "status", "attempts", "max_attempts", "scheduled_at"),
        *("started_at", "completed_at", "error_message", "error_details", "created_by"),
        *("priority", "created_at", "updated_at"),
    },
    "queue_health": {
        *("job_type", "status", "count", "oldest_job", "newest_job"),
        *("avg_duration_seconds", "avg_attempts"),
    },
    "failed_jobs_recent": {
        *("id", "job_type", "payload", "attempts", "error_message", "created_at", "completed_at"),
    },
    "stuck_jobs": {"id", "job_type", "payload", "started_at", "minutes_stuck"},
}
CALLED_BY_NAME = ("enqueue_job", "claim_next_job", "complete_job", "get_user_limits")


@pytest.fixture
def db(shared_database: str) -> Any:
    with connect(shared_database) as connection:
        yield connection
        connection.execute("reset role")
        connection.execute("delete from job_queue; delete from job_leases")


@pytest.fixture
def user(db: Connection) -> UUID:
    return new_user(db)


@pytest.fixture
def client(db: Connection, user: UUID) -> ApiClient:
    """The web client of a signed-in user."""
    return ApiClient(db, user)


@pytest.fixture
def functions(db: Connection) -> ApiClient:
    """The project's own functions, which have the secret key."""
    return ApiClient(db)


def new_user(db: Connection) -> UUID:
    row = db.execute(
        "insert into auth.users (id) values (gen_random_uuid()) returning id"
    ).fetchone()
    assert row is not None
    id: UUID = row["id"]
    return id


def claimed(functions: ApiClient, **payload: Any) -> UUID:
    """A job that the original's functions enqueued and claimed."""
    functions.rpc("enqueue_job", p_job_type="download-image", p_payload=payload)
    [job] = functions.rpc("claim_next_job", p_job_types=["download-image"])
    id: UUID = job["id"]
    return id


@pytest.mark.parametrize(
    ("arguments", "answer", "error"),
    [
        ({}, "completed", None),
        ({"p_result": {"image_url": "https://host/1.webp"}}, "completed", None),
        ({"p_error_message": None}, "completed", None),
        ({"p_error_message": "boom"}, "pending", "boom"),
        ({"p_error_message": "boom", "p_error_details": {"code": "x"}}, "pending", "boom"),
        ({"p_error": "boom"}, "pending", "boom"),
        ({"p_error": ""}, "pending", ""),
        ({"p_success": False}, "pending", "failed without a message"),
        ({"p_success": True, "p_error_message": "only a note"}, "completed", None),
    ],
)
def test_complete_job(
    functions: ApiClient, arguments: dict[str, Any], answer: str, error: str | None
) -> None:
    job_id = claimed(functions)
    assert functions.rpc("complete_job", p_job_id=job_id, **arguments) == answer
    [job] = functions.select("job_queue", id=job_id)
    assert (job["status"], job["error_message"]) == (answer, error)


@pytest.mark.parametrize("function", CALLED_BY_NAME)
def test_postgrest_finds_one_function_of_each_name(db: Connection, function: str) -> None:
    """With two that take the same names it answers PGRST203."""
    query = "select from pg_proc where pronamespace = 'public'::regnamespace and proname = %s"
    assert len(db.execute(query, [function]).fetchall()) == 1


def test_the_error_is_that_of_the_positions_too(functions: ApiClient) -> None:
    job_id = claimed(functions)
    call = "select complete_job(%s, false, 'boom', '{\"code\": \"x\"}', 1) as status"
    assert functions.run(call, job_id) == [{"status": "pending"}]
    [job] = functions.select("job_queue", id=job_id)
    assert (job["error_message"], job["error_details"]["code"]) == ("boom", "x")


@pytest.mark.parametrize("view", ORIGINAL_COLUMNS)
def test_relations_have_their_columns(db: Connection, view: str) -> None:
    assert columns_of(db, view) >= ORIGINAL_COLUMNS[view]


def columns_of(db: Connection, relation: str) -> set[str]:
    query = sql.SQL("select * from {} limit 0").format(sql.Identifier(relation))
    return {column.name for column in db.execute(query).description or ()}


def test_queue_health_counts_attempts(functions: ApiClient) -> None:
    for attempts in (1, 2):
        job_id = claimed(functions)
        for _ in range(attempts - 1):
            functions.rpc("complete_job", p_job_id=job_id, p_error="boom")
            functions.run("update job_queue set scheduled_at = now()")
            functions.rpc("claim_next_job")
        functions.rpc("complete_job", p_job_id=job_id)
    [health] = functions.select("queue_health", status="completed")
    assert (health["count"], health["avg_attempts"]) == (2, 1.5)


def test_minutes_stuck(functions: ApiClient) -> None:
    claimed(functions)
    functions.run("update job_queue set started_at = now() - interval '42 minutes'")
    functions.run("update job_leases set heartbeat_at = now() - interval '42 minutes'")
    [stuck] = functions.select("stuck_jobs")
    assert stuck["minutes_stuck"] == pytest.approx(42, abs=1)


def test_get_user_limits_says_why_not(db: Connection, client: ApiClient, user: UUID) -> None:
    def limits(daily: int, hourly: int) -> tuple[bool, str | None]:
        db.execute("select set_user_limits('me', %s, %s, %s)", [user, daily, hourly])
        found = client.rpc("get_user_limits", p_user_id=user)
        return found["can_generate"], found["limit_reason"]

    client.rpc("enqueue_job", p_job_type="generate-image", p_payload=REQUEST)
    assert limits(5, 5) == (True, None)
    assert limits(5, 1) == (False, "Hourly limit reached: 1 of 1.")
    assert limits(1, 1) == (False, "Daily limit reached: 1 of 1.")


def test_enqueue_get_and_cancel(db: Connection, client: ApiClient, user: UUID) -> None:
    """enqueueJob, getJob, getUserJobs, cancelJob."""
    job_id = client.rpc("enqueue_job", p_job_type="generate-image", p_payload=REQUEST)
    [job] = client.select("job_queue", id=job_id)
    assert (job["status"], job["created_by"]) == ("pending", user)
    assert [row["id"] for row in client.select("job_queue", created_by=user)] == [job_id]
    [generation] = client.select("image_generations", user_id=user)
    assert str(generation["id"]) == job["payload"]["generation_id"]
    assert (generation["status"], generation["prompt"]) == ("queued", "A lighthouse")
    assert generation["parameters"]["seed"] == 7

    [cancelled] = client.update("job_queue", {"status": "cancelled"}, id=job_id)
    assert cancelled["completed_at"] is not None
    [generation] = client.select("image_generations", user_id=user)
    assert (generation["status"], generation["error_message"]) == (
        "cancelled",
        "Cancelled by the user.",
    )
    [entry] = db.execute(
        "select actor, action, affected, details from audit_log where details -> 'job_ids' ? %s",
        [str(job_id)],
    ).fetchall()
    assert tuple(entry.values()) == (
        *(f"user {user}", "cancel_jobs", 1),
        {"job_ids": [str(job_id)], "before": {"pending": 1}, "after": {"cancelled": 1}},
    )


def test_all_inputs_of_the_original(client: ApiClient, user: UUID) -> None:
    inputs = {
        "model_version": "1",
        "num_inference_steps": 4,
        "guidance_scale": 3.5,
        "negative_prompt": "fog",
        "source_image_url": None,
        "strength": 0.5,
        "style": "any",
        "user_id": str(user),
    }
    client.rpc("enqueue_job", p_job_type="generate-image", p_payload=REQUEST | inputs)
    [generation] = client.select("image_generations", user_id=user)
    assert generation["parameters"]["num_inference_steps"] == 4
    assert any("guidance_scale is ignored" in notice for notice in generation["notices"])


def test_a_download_beside_the_generation(
    functions: ApiClient, client: ApiClient, user: UUID
) -> None:
    """The original's functions end the first job after they enqueued the second."""
    generate = client.rpc("enqueue_job", p_job_type="generate-image", p_payload=REQUEST)
    [generation] = client.select("image_generations", user_id=user)
    functions.rpc("claim_next_job", p_job_types=["generate-image"])
    payload = {"generation_id": str(generation["id"]), "output_url": "https://host/1.webp"}
    download = functions.rpc("enqueue_job", p_job_type="download-image", p_payload=payload)
    with pytest.raises(Error, match="already has a pending or running job of type download-image"):
        functions.rpc("enqueue_job", p_job_type="download-image", p_payload=payload)
    assert functions.run("select from live_duplicates()") == []

    functions.rpc("claim_next_job", p_job_types=["download-image"])
    functions.rpc("complete_job", p_job_id=download, p_error="boom")
    assert status(client, user) == "queued", "it follows the job that is generating it"
    functions.rpc(
        "complete_job", p_job_id=generate, p_error="boom", p_error_details={"permanent": True}
    )
    assert status(client, user) == "failed"
    functions.run("update job_queue set scheduled_at = now()")
    functions.rpc("claim_next_job", p_job_types=["download-image"])
    functions.rpc("complete_job", p_job_id=download, p_result={"image_url": "https://host/1.webp"})
    assert status(client, user) == "completed"


def test_a_generation_ends_with_its_download(
    functions: ApiClient, client: ApiClient, user: UUID
) -> None:
    generate = client.rpc("enqueue_job", p_job_type="generate-image", p_payload=REQUEST)
    [generation] = client.select("image_generations", user_id=user)
    functions.rpc("claim_next_job", p_job_types=["generate-image"])
    image = "https://host/1.webp"
    payload = {"generation_id": str(generation["id"]), "output_url": image}
    download = functions.rpc("enqueue_job", p_job_type="download-image", p_payload=payload)
    functions.rpc("complete_job", p_job_id=generate, p_result={"output_url": image})
    assert status(client, user) == "queued", "it has no image yet"
    functions.rpc("claim_next_job", p_job_types=["download-image"])
    functions.rpc("complete_job", p_job_id=download, p_result={"image_url": image})
    [generation] = client.select("image_generations", user_id=user)
    assert (generation["status"], generation["image_url"]) == ("completed", image)


def status(client: ApiClient, user: UUID) -> str:
    [generation] = client.select("image_generations", user_id=user)
    return str(generation["status"])


@pytest.mark.parametrize("running", [False, True], ids=["pending", "running"])
def test_operators_cancel_with_update(
    functions: ApiClient, client: ApiClient, user: UUID, running: bool
) -> None:
    """7.3 of the guide."""
    client.rpc("enqueue_job", p_job_type="generate-image", p_payload=REQUEST)
    if running:
        functions.rpc("claim_next_job")
    ended = functions.run(
        "update job_queue set status = 'cancelled', updated_at = now()"
        " where status in ('pending', 'processing') returning *"
    )
    assert [(job["completed_at"] is not None, job["started_at"] is not None) for job in ended] == [
        (True, running)
    ]
    assert functions.select("job_leases") == []
    [generation] = client.select("image_generations", user_id=user)
    assert (generation["status"], generation["error_message"]) == (
        *("cancelled", "Cancelled by an operator."),
    )
    assert generation["completed_at"] == ended[0]["completed_at"]


def test_both_tables_are_published_with_all_columns(db: Connection) -> None:
    published = db.execute(
        "select tablename::text as name, attnames::text[] as columns, rowfilter"
        " from pg_publication_tables where pubname = 'supabase_realtime'"
    ).fetchall()
    assert {row["name"] for row in published} == {"job_queue", "image_generations"}
    for row in published:
        assert set(row["columns"]) == columns_of(db, row["name"])
        assert row["rowfilter"] is None


def test_deletions_publish_ids_alone(db: Connection) -> None:
    """Realtime tells them to every subscriber, whoever may see the row."""
    identities = db.execute(
        "select distinct relreplident as identity from pg_class"
        " where oid in ('job_queue'::regclass, 'image_generations'::regclass)"
    ).fetchall()
    assert [row["identity"] for row in identities] == ["d"]


def test_own_rows_hold_nothing_of_the_operators(
    db: Connection, client: ApiClient, user: UUID
) -> None:
    worker = db.execute(
        "insert into workers (id, kind, host, pid, process_started_at, version, job_types,"
        " concurrency) values (gen_random_uuid(), 'worker', 'secret-host', 4711, now(), '1', '{}',"
        " 1) returning id"
    ).fetchone()
    assert worker is not None
    for end in (
        "select complete_job(%s, p_error => 'boom')",
        "select rescue_worker_jobs((select worker_id from job_leases where job_id = %s))",
        "select cancel_jobs('ada@studio.example', array[%s]::uuid[])",
    ):
        job_id = client.rpc("enqueue_job", p_job_type="generate-image", p_payload=REQUEST)
        db.execute("select claim_next_job(null, %s)", [worker["id"]])
        db.execute(end, [job_id])
    shown = str(client.select("job_queue") + client.select("image_generations"))
    assert "boom" in shown
    for private in ("secret-host", "4711", "ada@studio"):
        assert private not in shown
    kept = db.execute("select distinct worker from attempt_workers").fetchall()
    assert kept == [{"worker": "secret-host, pid 4711"}]
    with pytest.raises(Error, match="permission denied"):
        client.select("attempt_workers")


def test_a_second_user_sees_nothing(db: Connection, client: ApiClient) -> None:
    client.rpc("enqueue_job", p_job_type="generate-image", p_payload=REQUEST)
    other = ApiClient(db, new_user(db))
    assert [len(client.select(table)) for table in ("job_queue", "image_generations")] == [1, 1]
    assert other.select("job_queue") == other.select("image_generations") == []


@pytest.mark.parametrize("view", ["queue_health", "failed_jobs_recent", "stuck_jobs"])
def test_views_are_for_the_secret_key(client: ApiClient, functions: ApiClient, view: str) -> None:
    """getQueueStats: docs/applications.md says what users read instead."""
    functions.select(view)
    with pytest.raises(Error, match="permission denied"):
        client.select(view)
