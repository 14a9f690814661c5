"""A job type that no worker runs, on the pages that an operator looks at first."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from bench.recording import framed
from lib.settings import settings
from lib.ui import dashboard
from lib.ui.access import roles

PROJECT = Path(__file__).parents[2]

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def on_the_database(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    monkeypatch.setenv("DATABASE_URL", database)
    monkeypatch.setenv("DARKROOM_DATA", str(tmp_path))
    monkeypatch.setattr(roles, "is_local_request", lambda *_: True)
    settings.cache_clear()
    st.cache_resource.clear()
    with framed():
        yield
    dashboard.pool().close()
    st.cache_resource.clear()
    settings.cache_clear()


@pytest.mark.parametrize("page", ["overview", "workers"])
def test_pages_name_the_type(db, page):
    db.execute(
        "insert into workers (id, kind, host, pid, process_started_at, version, job_types,"
        " concurrency) values (gen_random_uuid(), 'worker', 'h', 1, now(), '1',"
        " '{generate-image}', 1)"
    )
    db.execute("select enqueue_job('upscale', '{}') from generate_series(1, 3)")
    app = AppTest.from_file(str(PROJECT / "app.py"), default_timeout=60).run()
    app.switch_page(f"pages/{page}.py").run()
    assert not app.exception
    shown = (
        " ".join(box.value for box in (*app.warning, *app.error))
        .replace("\u2060", "")
        .replace("\\", "")
    )
    assert "No worker alive for upscale jobs" in shown
    assert "Start a worker that runs this type, or cancel its jobs." in shown
