"""Which queries does a page run? Found by running it, so that a new page is covered by itself."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import streamlit as st
from streamlit.runtime.pages_manager import PagesManager
from streamlit.testing.v1 import AppTest

from lib.database import load
from lib.database.pool import Connection
from lib.database.queries import QUERIES
from lib.settings import settings
from lib.ui import dashboard

APP = Path(__file__).parent.parent / "app.py"
TIMEOUT = 120
"""Seconds that a page may take to run."""


@dataclass(frozen=True)
class Call:
    """One named query with its parameters."""

    file: str
    query: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    folder: Path = QUERIES

    def of(self, connection: Connection) -> Any:
        """Its answer."""
        return self._named(connection, **self.parameters)

    @property
    def sql(self) -> str:
        return str(self._named.sql)

    @property
    def _named(self) -> Any:
        return getattr(load(self.file, self.folder), self.query)


@dataclass(frozen=True)
class View:
    """One page as it opens, and what it ran."""

    title: str
    url_path: str
    calls: Mapping[str, Call]
    """By the query's name, numbered where a page runs it with different parameters."""


def views(url: str, examples: dict[str, dict[str, str]]) -> list[View]:
    """Every page of the navigation, run once on the database.

    `examples` gives pages by their URL path what their URL must hold. Raises RuntimeError when
    a page fails.
    """
    seen: list[View] = []
    with dashboard_on(url), framed(), recorded() as calls, registered() as pages:
        run(AppTest.from_file(str(APP), default_timeout=TIMEOUT), "the first page")
        for page in list(pages):
            app = AppTest.from_file(str(APP), default_timeout=TIMEOUT).run()
            if not isinstance(page._page, Path):
                continue  # Leads to another page.
            if page.url_path:
                app.switch_page(str(page._page.relative_to(APP.parent)))
            app.query_params.update(examples.get(page.url_path, {}))
            dashboard.clear_cached_answers()
            calls.clear()
            run(app, page.title)
            seen.append(View(page.title, page.url_path, named(calls)))
    return seen


def run(app: AppTest, name: str) -> None:
    app.run()
    if app.exception:
        raise RuntimeError(f"{name}: {app.exception[0].message}")


def named(calls: Sequence[Call]) -> dict[str, Call]:
    """Each call once, since a page that asks the same twice is answered from the cache."""
    names: dict[str, Call] = {}
    for call in (call for n, call in enumerate(calls) if call not in calls[:n]):
        times = sum(other.query == call.query for other in names.values())
        names[f"{call.query} ({times + 1})" if times else call.query] = call
    return names


@contextmanager
def dashboard_on(url: str) -> Iterator[None]:
    """The pages of this process read another database, and take the visitor for a local one."""
    with (
        patch.dict(os.environ, DATABASE_URL=url),
        # AppTest has no connection whose address or headers could be asked for.
        patch.object(type(st.context), "ip_address", "127.0.0.1"),
        patch.object(type(st.context), "headers", {"host": "127.0.0.1"}),
    ):
        settings.cache_clear()
        dashboard.pool.clear()
        yield
    dashboard.pool().close()
    settings.cache_clear()
    dashboard.pool.clear()


@contextmanager
def framed() -> Iterator[None]:
    """AppTest runs pages within the app's frame, as a server does, and not on their own."""
    begin = PagesManager.__init__

    def begin_with_frame(manager: PagesManager, *arguments: Any, **options: Any) -> None:
        begin(manager, *arguments, **options)
        # Because of the folder's name, it would take them for pages without a frame.
        PagesManager.uses_pages_directory = False

    with patch.object(PagesManager, "__init__", begin_with_frame):
        yield


@contextmanager
def recorded() -> Iterator[list[Call]]:
    """Gives a list that fills with what pages read."""
    calls: list[Call] = []
    answer = dashboard._answer

    def record(page: str, query: str, **parameters: Any) -> Any:
        calls.append(Call(page, query, parameters))
        return answer(page, query, **parameters)

    record.clear = answer.clear  # type: ignore[attr-defined]
    with patch.object(dashboard, "_answer", record):
        yield calls


@contextmanager
def registered() -> Iterator[list[Any]]:
    """Gives a list with the pages that the app registered last."""
    pages: list[Any] = []
    navigation: Callable[..., Any] = st.navigation

    def note(sections: Any, **options: Any) -> Any:
        found = sections.values() if isinstance(sections, dict) else [sections]
        pages[:] = [page for section in found for page in section]
        return navigation(sections, **options)

    with patch.object(st, "navigation", note):
        yield pages
