"""The limits of start-generation: exact under parallel requests, and sliding."""

import asyncio
import time
from collections import Counter
from datetime import timedelta

import httpx
import jwt
import pytest

GENERATION = {"prompt": "A lighthouse", "model_id": "black-forest-labs/flux-schnell"}
HOURLY, DAILY = 20, 100


@pytest.fixture
def make_user(db, served):
    """Registers a user, with limits of their own where given; returns id and headers."""

    def make(hourly=None, daily=None):
        user = db.execute(
            "insert into auth.users (id) values (gen_random_uuid()) returning id"
        ).fetchone()["id"]
        if hourly is not None or daily is not None:
            db.execute(
                "insert into public.user_limits (user_id, hourly_limit, daily_limit)"
                " values (%s, %s, %s)",
                (user, hourly, daily),
            )
        claims = {"sub": str(user), "aud": "authenticated", "exp": time.time() + 600}
        token = jwt.encode(claims, served.keys.jwt_secret)
        return user, {"apikey": served.keys.publishable, "Authorization": f"Bearer {token}"}

    return make


@pytest.fixture
def at_once(served):
    """Starts a generation with each of the given headers, every request on its own connection."""

    async def start(headers):
        limits = httpx.Limits(max_connections=len(headers))
        url = f"{served.url}/functions/v1/start-generation"
        async with httpx.AsyncClient(limits=limits, timeout=60) as client:
            return await asyncio.gather(
                *(client.post(url, json=GENERATION, headers=one) for one in headers)
            )

    return lambda headers: asyncio.run(start(headers))


def made(db, user):
    """How many jobs and generations a user has."""
    return db.execute(
        "select (select count(*) from public.job_queue where created_by = %(user)s) as jobs,"
        " (select count(*) from public.image_generations where user_id = %(user)s) as generations",
        {"user": user},
    ).fetchone()


def age(db, user, newest, by):
    """Makes the newest so many generations of a user older by a timedelta."""
    db.execute(
        "update public.image_generations set created_at = created_at - %s where id in ("
        " select id from public.image_generations where user_id = %s"
        " order by created_at desc limit %s)",
        (by, user, newest),
    )


def test_of_200_parallel_requests_exactly_20_are_queued(db, make_user, at_once):
    user, headers = make_user()
    answers = at_once([headers] * 200)
    assert Counter(answer.status_code for answer in answers) == {200: HOURLY, 429: 180}
    assert made(db, user) == {"jobs": HOURLY, "generations": HOURLY}
    # Nothing beside: no job without its generation, none of another creator.
    total = db.execute(
        "select count(*) from public.job_queue q join public.image_generations g"
        " on g.id = (q.payload ->> 'generation_id')::uuid and g.user_id = q.created_by"
    ).fetchone()
    assert total["count"] == HOURLY
    queued = {answer.json()["job_id"] for answer in answers if answer.status_code == 200}
    assert len(queued) == HOURLY
    for answer in answers:
        if answer.status_code == 429:
            error = answer.json()["error"]
            assert error["code"] == "limit_reached"
            assert error["limits"] == {
                "can_generate": False,
                "daily_limit": DAILY,
                "daily_used": HOURLY,
                "hourly_limit": HOURLY,
                "hourly_used": HOURLY,
            }
            assert 3500 < int(answer.headers["Retry-After"]) <= 3600


def test_parallel_users_get_each_their_own_limit(db, make_user, at_once):
    limits = {"default": {}, "lower": {"hourly": 3}, "higher": {"hourly": 30}, "day": {"daily": 7}}
    expected = {"default": HOURLY, "lower": 3, "higher": 30, "day": 7}
    users = {name: make_user(**limit) for name, limit in limits.items()}
    asked = [(name, headers) for _ in range(35) for name, (_, headers) in users.items()]
    answers = at_once([headers for _, headers in asked])
    counted = Counter(
        (name, answer.status_code) for (name, _), answer in zip(asked, answers, strict=True)
    )
    for name, limit in expected.items():
        assert (counted[name, 200], counted[name, 429]) == (limit, 35 - limit)
        assert made(db, users[name][0]) == {"jobs": limit, "generations": limit}


def test_requests_without_a_user_share_one_limit(db, served, at_once):
    answers = at_once([{"apikey": served.keys.publishable}] * 40)
    assert Counter(answer.status_code for answer in answers) == {200: HOURLY, 429: 20}
    assert db.execute("select count(*) from public.job_queue").fetchone()["count"] == HOURLY


def test_tests_of_operators_are_neither_limited_nor_counted(db, call, make_user):
    user, headers = make_user(hourly=1)
    asked = GENERATION | {"test": True, "user_id": str(user)}
    assert {call("start-generation", asked).status_code for _ in range(3)} == {200}
    statuses = [call("start-generation", GENERATION, headers=headers).status_code for _ in range(2)]
    assert statuses == [200, 429]
    assert call("start-generation", asked).status_code == 200
    limits = db.execute("select public.get_user_limits(%s) as limits", (user,)).fetchone()["limits"]
    assert (limits["hourly_used"], limits["daily_used"]) == (1, 1)


def test_a_generation_counts_for_an_hour_and_for_a_day(db, call, make_user):
    user, headers = make_user(hourly=2, daily=3)

    def start():
        return call("start-generation", GENERATION, headers=headers)

    assert [start().status_code for _ in range(3)] == [200, 200, 429]
    age(db, user, 2, timedelta(minutes=59))
    assert start().status_code == 429
    age(db, user, 2, timedelta(minutes=1))
    assert start().status_code == 200
    refused = start()
    limits = refused.json()["error"]["limits"]
    assert (limits["hourly_used"], limits["daily_used"]) == (1, 3)
    # Two of the three leave the day 24 hours after they were made, an hour ago.
    assert 22 * 3600 < int(refused.headers["Retry-After"]) <= 23 * 3600
    age(db, user, 3, timedelta(hours=23))
    assert start().status_code == 200


def test_retry_after_is_when_the_place_becomes_free(db, call, make_user):
    user, headers = make_user(hourly=2)

    def start():
        return call("start-generation", GENERATION, headers=headers)

    start()
    age(db, user, 1, timedelta(minutes=30))
    start()
    age(db, user, 2, timedelta(minutes=20))
    # One is 50 minutes old and leaves the hour in ten; the other is 20.
    refused = start()
    seconds = int(refused.headers["Retry-After"])
    assert 540 < seconds <= 600
    assert str(seconds) in refused.json()["error"]["message"]
    age(db, user, 2, timedelta(seconds=seconds - 60))
    assert start().status_code == 429
    age(db, user, 2, timedelta(seconds=61))
    assert [start().status_code for _ in range(2)] == [200, 429]


def test_a_limit_of_zero_refuses_everything(db, call, make_user):
    user, headers = make_user(hourly=0)
    answer = call("start-generation", GENERATION, headers=headers)
    assert answer.status_code == 429
    assert answer.json()["error"]["limits"]["hourly_limit"] == 0
    assert made(db, user) == {"jobs": 0, "generations": 0}


def test_a_lowered_limit_holds_at_once_and_a_raised_one_opens(db, call, make_user):
    user, headers = make_user(hourly=2)

    def start():
        return call("start-generation", GENERATION, headers=headers).status_code

    def limit(hourly):
        db.execute(
            "update public.user_limits set hourly_limit = %s where user_id = %s", (hourly, user)
        )

    assert start() == 200
    limit(1)
    assert start() == 429
    limit(3)
    assert [start() for _ in range(3)] == [200, 200, 429]
