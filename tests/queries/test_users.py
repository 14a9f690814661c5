"""Users: who asks for the most, how near to their limits, and limits that operators set."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from lib.database import QueryError, load, open_pool
from lib.database.pool import Connection, Pool
from lib.queue.operator_actions import set_user_limits

USERS = [UUID(int=n) for n in range(1, 26)]
MODEL = "black-forest-labs/flux-schnell"
DAY = {"start": None, "length": timedelta(days=1)}
users = load("users")


@pytest.fixture
def filled(db: Connection) -> Connection:
    """User n requested n times in the last day and once long ago; a third of that failed."""
    with db.transaction():
        for n, user in enumerate(USERS, 1):
            db.execute(
                "insert into auth.users (id, email) values (%s, %s)",
                [user, f"u{n}@example.invalid"],
            )
            db.execute(
                "insert into image_generations (user_id, prompt, model_id, status, created_at)"
                " select %s, 'fox', %s, case when i %% 3 = 0 then 'failed' else 'completed' end,"
                " now() - i * interval '30 minutes' from generate_series(1, %s) i",
                [user, MODEL, n],
            )
            db.execute(
                "insert into image_generations (user_id, prompt, model_id, status, created_at)"
                " values (%s, 'old', %s, 'cancelled', now() - interval '9 days')",
                [user, MODEL],
            )
    return db


@pytest.fixture
def pool(database: str) -> Any:
    """Connections as the pages have them."""
    pool = open_pool(database)
    yield pool
    pool.close()


def test_most_active(filled: Connection) -> None:
    rows = users.most_active(filled, **DAY)
    assert [row["user_id"] for row in rows] == USERS[:4:-1]
    top = rows[0]
    assert (top["requested"], top["completed"], top["failed"], top["ended"]) == (25, 17, 8, 25)
    assert top["examined"] == sum(range(1, 26))
    oldest = filled.execute(
        "select min(created_at) as at from image_generations where prompt = 'fox'"
    ).fetchone()
    assert oldest is not None
    assert top["examined_since"] == oldest["at"]


def test_most_active_of_a_time(filled: Connection) -> None:
    start = datetime.now(UTC) - timedelta(days=10)
    rows = users.most_active(filled, start=start, length=timedelta(days=2))
    assert [(row["user_id"], row["requested"], row["ended"]) for row in rows] == [
        (user, 1, 0) for user in USERS[:20]
    ]


def test_requests_without_a_user_are_one(filled: Connection) -> None:
    filled.execute(
        "insert into image_generations (prompt, model_id)"
        " select 'x', 'm' from generate_series(1, 99)"
    )
    assert users.most_active(filled, **DAY)[0]["user_id"] is None


def test_what_a_user_asked_for(filled: Connection) -> None:
    rows = users.asked(filled, user_id=USERS[8], bucket="day", zone="Asia/Tokyo", **DAY)
    counts: dict[str, int] = {}
    for row in rows:
        counts[row["status"]] = counts.get(row["status"], 0) + row["generations"]
        assert (row["bucket"].astimezone(UTC).hour, row["bucket"].minute) == (15, 0)
    assert counts == {"completed": 6, "failed": 3}


def test_usage_against_limits(filled: Connection) -> None:
    user = users.user(filled, user_id=USERS[4])
    assert user["limits"] == {
        "can_generate": True, "daily_limit": 100, "daily_used": 5, "hourly_limit": 20,
        "hourly_used": 1, "limit_reason": None,
    }  # fmt: skip
    assert (user["custom_daily_limit"], user["custom_hourly_limit"]) == (None, None)
    assert user["last_requested_at"] is not None
    nobody = users.user(filled, user_id=UUID(int=99))
    assert nobody["last_requested_at"] is None
    assert nobody["limits"]["daily_used"] == 0


def test_found_by_email(filled: Connection) -> None:
    assert users.may_read_users(filled)
    assert users.id_of_email(filled, email="U7@example.INVALID") == USERS[6]
    assert users.id_of_email(filled, email="%@example.invalid") is None
    found = users.emails(filled, user_ids=[USERS[0], UUID(int=99)])
    assert found == [{"id": USERS[0], "email": "u1@example.invalid"}]


def test_a_role_that_may_not_read_users(filled: Connection) -> None:
    with filled.transaction():
        filled.execute("set local role service_role")
        assert users.may_read_users(filled) is False
        assert users.user(filled, user_id=USERS[4])["limits"]["daily_used"] == 5
        assert len(users.most_active(filled, **DAY)) == 20


def test_an_empty_database(db: Connection) -> None:
    assert users.most_active(db, **DAY) == []
    assert users.asked(db, user_id=USERS[0], bucket="hour", zone="UTC", **DAY) == []


def audit(db: Connection) -> list[Any]:
    return db.execute(
        "select actor, action, affected, details from audit_log order by id"
    ).fetchall()


def test_limits_are_set_enforced_and_recorded(filled: Connection, pool: Pool) -> None:
    user = USERS[4]
    set_user_limits(pool, "Ada", user, 5, None)
    limits = users.user(filled, user_id=user)
    assert limits["limits"]["daily_limit"] == 5
    assert limits["limits"]["hourly_limit"] == 20
    assert (limits["custom_daily_limit"], limits["custom_hourly_limit"]) == (5, None)
    with pytest.raises(Exception, match="generation limit has been reached"):
        filled.execute("select start_generation(%s, 'fox', %s)", [user, MODEL])
    set_user_limits(pool, "Bob", user, None, 0)
    set_user_limits(pool, "Bob", user, None, None)
    filled.execute("select start_generation(%s, 'fox', %s)", [user, MODEL])
    none = {"daily_limit": None, "hourly_limit": None}
    five, zero = none | {"daily_limit": 5}, none | {"hourly_limit": 0}
    assert audit(filled) == [
        {
            "actor": actor,
            "action": "set_user_limits",
            "affected": 1,
            "details": {"user_id": str(user), "before": before, "after": after},
        }
        for actor, before, after in (
            ("Ada", none, five),
            ("Bob", five, zero),
            ("Bob", zero, none),
        )
    ]


def test_users_are_found_by_a_part_of_their_address(filled: Connection) -> None:
    found = users.by_email(filled, text="U2", most=20)
    assert {row["id"] for row in found} == {USERS[n - 1] for n in (2, 20, 21, 22, 23, 24, 25)}
    assert [row["id"] for row in users.by_email(filled, text="u7@", most=20)] == [USERS[6]]
    assert users.by_email(filled, text="%", most=20) == []
    assert len(users.by_email(filled, text="@", most=20)) == 20


def test_a_missing_image_says_why(db: Connection) -> None:
    user = USERS[0]
    db.execute("insert into auth.users (id, email) values (%s, 'ann@studio.example')", [user])
    for prompt in ("A 100% red fox", "A lighthouse", "A red kite"):
        db.execute("select start_generation(%s, %s, %s)", [user, prompt, MODEL])
    for row in db.execute("select id, payload from claim_jobs(2)").fetchall():
        db.execute(
            "select complete_job(%s, false, 'Held back by the filter.',"
            """ '{"permanent": true, "code": "prediction_failed"}')""",
            [row["id"]],
        )
    week = {"start": None, "length": timedelta(days=7)}

    def found(text: str, most: int = 24) -> list[tuple[Any, ...]]:
        rows = users.generations(db, user_id=user, text=text, most=most, **week)
        return [(r["prompt"], r["status"], r["error_code"], r["error_message"]) for r in rows]

    why = ("prediction_failed", "Held back by the filter.")
    assert sorted(found("RED")) == [
        ("A 100% red fox", "failed", *why),
        ("A red kite", "pending", None, None),
    ]
    assert found("0%") == [("A 100% red fox", "failed", *why)]
    assert len(found("")) == 3
    assert len(found("", most=2)) == 2
    assert all(
        row["job_id"] for row in users.generations(db, user_id=user, text="", most=24, **week)
    )
    assert users.generations(db, user_id=USERS[1], text="", most=24, **week) == []


@pytest.mark.parametrize(
    ("actor", "user", "daily", "sqlstate"),
    [
        ("Ada", UUID(int=99), 5, "DR404"),
        ("Ada", USERS[0], -1, "22023"),
        (" ", USERS[0], 5, "22023"),
        ("Ada", None, 5, "22023"),
    ],
)
def test_limits_that_cannot_be_set(
    filled: Connection, pool: Pool, actor: str, user: Any, daily: int, sqlstate: str
) -> None:
    with pytest.raises(QueryError) as refused:
        set_user_limits(pool, actor, user, daily, None)
    assert refused.value.sqlstate == sqlstate
    assert audit(filled) == []
    assert filled.execute("select from user_limits").fetchall() == []


def test_two_operators_at_once_leave_a_chain(filled: Connection, pool: Pool) -> None:
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda n: set_user_limits(pool, "Ada", USERS[0], n, n), range(20)))
    details = [row["details"] for row in audit(filled)]
    afters = [detail["after"] for detail in details]
    assert [detail["before"] for detail in details[1:]] == afters[:-1]
    assert sorted(after["daily_limit"] for after in afters) == list(range(20))
