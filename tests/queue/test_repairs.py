"""What was dropped is put back as the migrations made it, and a provider is tried at once."""

import pytest

from lib.database import QueryError, translated

TRIGGER = (
    "select pg_get_triggerdef(oid) as made from pg_trigger"
    " where tgname = 'image_generations_changed'"
)
POLICIES = (
    "select polrelid::regclass::text, polname, polcmd, polroles::regrole[]::text,"
    " pg_get_expr(polqual, polrelid) as expression from pg_policy"
    " where polname like 'Users can view%' order by 1, 2"
)


def one(db, statement):
    return next(iter(db.execute(statement.encode()).fetchone().values()))


def audit(db):
    rows = db.execute("select actor, action, affected, details from audit_log order by id")
    return [tuple(row.values()) for row in rows]


def test_realtime_is_put_back(db):
    made = one(db, TRIGGER)
    assert one(db, "select restore_realtime('me')") == []
    db.execute("alter publication supabase_realtime drop table job_queue, image_generations")
    assert one(db, "select restore_realtime('me')") == [
        "job_queue in the publication",
        "image_generations in the publication",
    ]
    db.execute("drop publication supabase_realtime")
    db.execute("drop trigger image_generations_changed on image_generations")
    assert len(one(db, "select restore_realtime('me')")) == 4
    assert one(db, TRIGGER) == made
    published = "select array_agg(tablename::text order by tablename) from pg_publication_tables"
    assert one(db, published) == ["image_generations", "job_queue"]
    db.execute("alter table image_generations disable trigger image_generations_changed")
    assert one(db, "select restore_realtime('me')") == ["the trigger that sends NOTIFY"]
    assert [row[:3] for row in audit(db)] == [
        ("me", "restore_realtime", 2),
        ("me", "restore_realtime", 4),
        ("me", "restore_realtime", 1),
    ]


def test_what_users_may_read_is_put_back(db):
    made = db.execute(POLICIES).fetchall()
    assert one(db, "select restore_user_access('me')") == []
    db.execute('drop policy "Users can view their own jobs" on job_queue')
    db.execute("alter table image_generations disable row level security")
    db.execute("revoke select on image_generations from authenticated")
    assert one(db, "select restore_user_access('me')") == [
        'the policy "Users can view their own jobs" of job_queue',
        "row-level security of image_generations",
        "the privilege to read image_generations",
    ]
    assert db.execute(POLICIES).fetchall()[:2] == made[:2]
    assert one(db, "select restore_user_access('me')") == []
    assert [row[:3] for row in audit(db)] == [("me", "restore_user_access", 3)]


def test_a_provider_that_is_held_for_down_is_tried_at_once(queue):
    for _ in range(5):
        queue.fail(queue.claimed(max_attempts=1), code="unreachable")
    waiting = queue.enqueue()
    assert queue.claim() == []
    assert one(queue.db, "select probe_provider('me', 'replicate')")
    assert queue.claim() == [waiting]
    # That one is the probe: another would be a second one.
    assert not one(queue.db, "select probe_provider('me', 'replicate')")
    assert [row[:3] for row in audit(queue.db)] == [("me", "probe_provider", 1)]


def test_nothing_is_done_without_an_actor(db):
    for call in ("restore_realtime(' ')", "restore_user_access('')", "probe_provider('', 'a')"):
        with pytest.raises(QueryError, match="name the person or program"), translated():
            db.execute(f"select {call}".encode())
