"""The application that Darkroom replaces: its database, and what it goes on doing with it."""

from pathlib import Path

from lib.database.bootstrap import bootstrap
from lib.database.pool import Connection

SQL = Path(__file__).parent / "sql" / "original_deployment.sql"
WITH_PROFILE = "00000000-0000-4000-8000-000000000001"
WITHOUT_PROFILE = "00000000-0000-4000-8000-000000000002"


def generation(number: int) -> str:
    return f"00000000-0000-4000-9000-0000000000{number:02}"


def job(number: int) -> str:
    return f"00000000-0000-4000-a000-0000000000{number:02}"


def make(conn: Connection) -> None:
    bootstrap(conn)
    conn.execute(SQL.read_bytes())


def use(conn: Connection) -> None:
    """Do what the application's functions and clients do, and take it back."""
    with conn.transaction(force_rollback=True):
        made = conn.execute(
            "select enqueue_job(p_job_type => 'generate-image', p_payload => '{\"prompt\": \"x\"}',"
            " p_priority => 1000) as id"
        ).fetchone()
        claimed = conn.execute(
            "select id, status, attempts from claim_next_job(array['generate-image'])"
        ).fetchone()
        assert made
        assert claimed == {"id": made["id"], "status": "processing", "attempts": 1}
        conn.execute("select complete_job(p_job_id => %s)", [made["id"]])
        ended = conn.execute("select status from job_queue where id = %s", [made["id"]]).fetchone()
        assert ended == {"status": "completed"}
        limits = conn.execute(
            "select get_user_limits(%s) ->> 'can_generate' as it", [WITH_PROFILE]
        ).fetchone()
        assert limits == {"it": "true"}
        conn.execute(
            "insert into image_generations (user_id, prompt, model, width, height, status)"
            " values (%s, 'x', 'x', 1, 1, 'downloading')",
            [WITH_PROFILE],
        )
        conn.execute("select job_type from queue_health")
        conn.execute("select id, error_message from failed_jobs_recent")
        conn.execute("select id, started_at from stuck_jobs")
        counted = conn.execute(
            "select (select count(*) from gallery) as seen,"
            " (select count(*) from model_names) as named"
        ).fetchone()
        assert counted == {"seen": 10, "named": 3}
        named = conn.execute(
            "select name from models where replicate_id = 'black-forest-labs/flux-schnell'"
        ).fetchone()
        assert named == {"name": "Flux Schnell"}
