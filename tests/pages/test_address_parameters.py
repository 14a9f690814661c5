"""Every page with text that the database cannot hold in each parameter of its address."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from bench.recording import framed
from lib.settings import settings
from lib.ui import dashboard
from lib.ui.access import roles
from lib.ui.pages import PAGES

pytestmark = pytest.mark.slow

PROJECT = Path(__file__).parents[2]
SHARED = ("time", "from", "to", "live", "unknown")
PARAMETERS = {
    "overview": ("window",),
    "jobs": (
        *("view", "status", "after", "before", "id", "job", "type", "model", "created_by"),
        *("error", "field", "value"),
    ),
    "failures": ("kind", "type", "model"),
    "models": ("model", "shown"),
    "users": ("user", "prompt"),
    "generate": ("run", "show", "id"),
    "workers": ("failed",),
    "alerts": ("view", "rule"),
    "job": ("id", "details"),
    "throughput": ("per", "by", "wait", "slots"),
    "audit": ("who", "what", "before", "after"),
    "maintenance": ("view", "days", "disk"),
    "troubleshooting": ("symptom",),
    "migration_path": ("model",),
    "rollback": ("way",),
    "fault_injection": ("model",),
}
"""What pages read of their address, beside SHARED."""


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


def test_all_parameters_are_known():
    sources = [*PROJECT.glob("pages/*.py"), *PROJECT.glob("lib/ui/**/*.py")]
    text = "".join(path.read_text() for path in sources)
    read = set(re.findall(r'query_params(?:\.get\(|\[)"(\w+)"', text))
    read |= set(re.findall(r'key="(\w+)",\s+bind="query-params"', text))
    assert read <= {*SHARED, *(name for names in PARAMETERS.values() for name in names)}


@pytest.mark.parametrize("page", PAGES)
def test_a_nul_in_a_parameter_breaks_no_page(page):
    for name in (*SHARED, *PARAMETERS.get(page, ())):
        app = AppTest.from_file(str(PROJECT / "app.py"), default_timeout=60).run()
        app.query_params[name] = "a\x00b"
        if name == "value":
            app.query_params["field"] = "prompt"
        app.switch_page(f"pages/{page}.py").run()
        assert not app.exception, name
        assert [title.value for title in app.title] == [PAGES[page].title], name
