"""A deployment over the original's database: its jobs run, and the self-test is green."""

from collections.abc import Callable
from typing import Any

import httpx
import original_deployment as original
import pytest
from selftest_report import statuses

from lib.checks.selftest.catalogue import CHECKS, CLEAN_UP
from lib.database import connect
from lib.database.migrations import apply

pytestmark = pytest.mark.slow


@pytest.fixture
def database(empty_database: str) -> str:
    with connect(empty_database) as conn:
        original.make(conn)
        apply(conn)
        # The rescued job need not wait.
        conn.execute("update job_types set backoff_base_seconds = 0.1")
    return empty_database


def test_jobs_run_and_the_self_test_is_green(
    deployment: Any, eventually: Callable[..., Any]
) -> None:
    with connect(deployment.settings.database_url) as db:

        def ended() -> dict[str, str]:
            rows = db.execute(
                "select right(q.id::text, 2) as n, q.status, g.status as generation, g.image_url"
                " from job_queue q join image_generations g on g.id = generation_of(q.payload)"
                " where q.job_type = 'generate-image'"
            ).fetchall()
            return {
                row["n"]: f"{row['status']} {row['generation']} {bool(row['image_url'])}"
                for row in rows
            }

        # Pending ones, one that its worker left, and not one that may still be in somebody's hands.
        eventually(
            lambda: all(ended()[n] == "completed completed True" for n in ("01", "02", "03"))
        )
        assert ended()["04"] == "processing processing False"

        answer = httpx.post(
            f"{deployment.target.functions_url}/functions/v1/start-generation",
            headers={"apikey": deployment.target.keys.secret},
            json={"prompt": "A fox", "model_id": "black-forest-labs/flux-schnell", "width": 512},
        ).json()
        assert answer["success"] is True
        started = "select status, model, width from image_generations where id = %s"
        made = eventually(
            lambda: (
                (row := db.execute(started, [answer["generation_id"]]).fetchone())
                and row["status"] == "completed"
                and row
            )
        )
        assert (made["model"], made["width"]) == ("black-forest-labs/flux-schnell", 512)
    report = deployment.run()
    assert statuses(report) == {"passed": {entry.name for entry in (*CHECKS, CLEAN_UP)}}
