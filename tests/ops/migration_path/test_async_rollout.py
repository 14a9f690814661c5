"""Who takes the queue: the same users at every call, more at every percent, spread evenly."""

import math
import random
from hashlib import sha256
from uuid import UUID, uuid4

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.database import QueryError, connect, load, open_pool
from lib.database.pool import Connection
from lib.queue.operator_actions import set_async_rollout

USERS = 4_000
rollout = load("migration_path")
sync_path = load("synchronous_path")


@pytest.fixture
def pool(database):
    with open_pool(database, application_name="darkroom dashboard") as pool:
        yield pool


def people(number: int, seed: int = 1) -> list[UUID]:
    draw = random.Random(seed)
    return [UUID(int=draw.getrandbits(128), version=4) for _ in range(number)]


def moved(db: Connection, percentage: int, users: list[UUID]) -> set[UUID]:
    """Those of the users who take the queue at a percentage."""
    db.execute("select set_async_rollout('operator', %s)", [percentage])
    asked = "select u as id from unnest(%s::uuid[]) u where use_async_for_user(u)"
    return {row["id"] for row in db.execute(asked, [users])}


def test_at_first_nobody_takes_the_queue(db):
    assert rollout.state(db) == {
        "percentage": 0, "changed_by": None, "changed_at": None, "unended": 0,
    }  # fmt: skip
    assert not any(sync_path.use_async_for_user(db, user_id=user) for user in people(50))


def test_each_percent_only_adds_users_and_is_spread_evenly(db):
    users = people(USERS)
    before: set[UUID] = set()
    for percentage in (0, 1, 2, 3, 5, *range(10, 100, 10), 99, 100):
        now = moved(db, percentage, users)
        assert before <= now
        share = percentage / 100
        # Five standard deviations: less than one run in a million is further off.
        tolerance = 5 * math.sqrt(USERS * share * (1 - share))
        assert abs(len(now) - USERS * share) <= tolerance
        before = now
    assert before == set(users)
    assert moved(db, 0, users) == set()


def test_users_whose_ids_follow_each_other_are_spread_as_evenly(db):
    users = [UUID(int=number) for number in range(USERS)]
    assert abs(len(moved(db, 30, users)) - 0.3 * USERS) <= 5 * math.sqrt(USERS * 0.3 * 0.7)


def test_going_back_and_forth_gives_the_same_users_again(db):
    users = people(1000)
    first = moved(db, 40, users)
    moved(db, 80, users)
    moved(db, 10, users)
    assert moved(db, 40, users) == first


def test_the_place_of_a_user_is_the_same_on_every_server(db):
    place = "select rollout_position(%s) as place"
    for user in people(20):
        digest = sha256(f"async rollout {user}".encode()).digest()
        expected = int.from_bytes(digest[:4]) * 100 / 2**32
        assert db.execute(place, [user]).fetchone()["place"] == pytest.approx(expected)


@given(user=st.uuids(), lower=st.integers(0, 100), higher=st.integers(0, 100))
@settings(max_examples=60, deadline=None)
def test_any_user_at_any_percentage(template_connection, user, lower, higher):
    db = template_connection
    lower, higher = sorted((lower, higher))
    answers = []
    for percentage in (lower, higher, lower, 0, 100):
        db.execute("select set_async_rollout('operator', %s)", [percentage])
        answers.append(sync_path.use_async_for_user(db, user_id=user))
    low, high, again, nobody, everybody = answers
    assert low == again
    assert low <= high
    assert (nobody, everybody) == (False, True)


@pytest.fixture(scope="module")
def template_connection(postgres, template):
    """A database for all examples together."""
    with connect(postgres.url) as admin:
        admin.execute(f"create database examples template {template}")
    with connect(postgres.url.replace("/postgres?", "/examples?")) as db:
        yield db
    with connect(postgres.url) as admin:
        admin.execute("drop database examples with (force)")


@pytest.mark.parametrize(("percentage", "taken"), [(0, False), (99, False), (100, True)])
def test_requests_without_a_user_move_last(db, percentage, taken):
    moved(db, percentage, [])
    assert sync_path.use_async_for_user(db, user_id=None) is taken


def test_a_change_is_recorded_with_who_made_it_and_what_was_before(db, pool):
    set_async_rollout(pool, "ann", 5)
    set_async_rollout(pool, "ben", 25)
    state = rollout.state(db)
    assert (state["percentage"], state["changed_by"]) == (25, "ben")
    changes = rollout.changes(db)
    assert [(row["actor"], row["before"], row["after"]) for row in changes] == [
        ("ben", 5, 25),
        ("ann", 0, 5),
    ]
    assert state["changed_at"] >= changes[0]["at"]


@pytest.mark.parametrize("percentage", [-1, 101, None])
def test_a_percentage_that_is_none_is_refused(db, pool, percentage):
    with pytest.raises(QueryError, match="choose 0") as refusal:
        set_async_rollout(pool, "ann", percentage)
    assert refusal.value.sqlstate == "22023"
    assert (rollout.state(db)["percentage"], rollout.changes(db)) == (0, [])


def test_nobody_changes_it_unnamed(db, pool):
    with pytest.raises(QueryError, match="actor is empty"):
        set_async_rollout(pool, " ", 5)
    assert rollout.changes(db) == []


def test_there_is_only_one_rollout(db):
    with pytest.raises(psycopg.errors.UniqueViolation):
        db.execute("insert into public.async_rollout (percentage) values (5)")


def test_users_of_the_last_days_by_their_place(db):
    users = [uuid4() for _ in range(300)]
    db.execute("insert into auth.users (id) select unnest(%s::uuid[])", [users])
    db.execute(
        "insert into image_generations (user_id, prompt, model_id, created_at)"
        " select u, 'a', 'a/b', now() - n * interval '1 hour'"
        " from unnest(%s::uuid[]) u, generate_series(0, 2) n"
        " union all select null, 'a', 'a/b', now()",
        [users],
    )
    old = uuid4()
    db.execute("insert into auth.users (id) values (%s)", [old])
    db.execute(
        "insert into image_generations (user_id, prompt, model_id, created_at)"
        " values (%s, 'a', 'a/b', now() - interval '8 days')",
        [old],
    )
    found = rollout.users(db)
    assert sum(row["users"] for row in found) == 300
    for percentage in (1, 20, 57, 100):
        there = sum(row["users"] for row in found if row["percent"] < percentage)
        assert there == len(moved(db, percentage, users))
