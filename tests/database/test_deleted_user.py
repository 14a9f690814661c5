"""Deleting a user as Supabase Auth does: in its own role, on the PostgreSQL of projects."""

from uuid import uuid4

from lib.database import connect

ROLE = """
create role auth_admin;
grant usage on schema auth to auth_admin;
grant select, delete on auth.users to auth_admin
"""


def test_auth_deletes_a_user_whose_generations_use_uploads(cron_database: str) -> None:
    id = uuid4()
    # Newer versions than 15 and 17 run the triggers of a cascade as the owner of its table.
    with connect(cron_database) as db, db.transaction(force_rollback=True):
        db.execute(ROLE)
        db.execute("insert into auth.users (id) values (%s)", [id])
        db.execute(
            "select record_upload(%s, %s, 'app', 'uploads/a.png', null, 'image/png', 4, 4, 10)",
            [id, id],
        )
        db.execute(
            "select start_generation(%s, 'A fox', 'bytedance/seedream-4',"
            " jsonb_build_object('image', 'upload:' || %s::uuid))",
            [id, id],
        )
        db.execute("set local role auth_admin")
        db.execute("delete from auth.users where id = %s", [id])
        db.execute("reset role")
        row = db.execute("select expires_at is null as used from uploads where id = %s", [id])
        assert row.fetchall() == [{"used": False}]
