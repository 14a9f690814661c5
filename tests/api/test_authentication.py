"""Who may call the functions, with which key or token, in which header."""

import time
from itertools import product
from uuid import uuid4

import jwt
import pytest

GENERATION = {"prompt": "A lighthouse", "model_id": "black-forest-labs/flux-schnell"}
FUNCTIONS = ["start-generation", "process-generation", "process-jobs"]


@pytest.fixture
def user(db):
    """The id of a registered user."""
    return db.execute(
        "insert into auth.users (id) values (gen_random_uuid()) returning id"
    ).fetchone()["id"]


def token(secret, algorithm="HS256", **claims):
    full = {"sub": str(uuid4()), "aud": "authenticated", "exp": time.time() + 60} | claims
    told = {name: value for name, value in full.items() if value is not None}
    return jwt.encode(told, secret, algorithm=algorithm)


def test_no_or_a_wrong_key_is_refused(call, subtests):
    wrong = [
        {},
        {"apikey": ""},
        {"apikey": "sb_secret_wrong"},
        {"apikey": b"\xe9"},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Basic wrong"},
    ]
    for function, headers in product(FUNCTIONS, wrong):
        with subtests.test(function=function, headers=headers):
            answer = call(function, GENERATION, headers=headers)
            assert answer.status_code == 401
            assert answer.json()["success"] is False
            assert answer.json()["error"]["message"]


def test_only_the_secret_key_processes(call, served, user, subtests):
    keys = [served.keys.publishable, token(served.keys.jwt_secret, sub=str(user))]
    for function, key in product(["process-generation", "process-jobs"], keys):
        with subtests.test(function=function):
            answer = call(function, {}, headers={"Authorization": f"Bearer {key}"})
            assert answer.status_code == 403
            assert answer.json()["error"]["code"] == "secret_key_needed"


def test_both_keys_start_generations_in_either_header(call, served, subtests):
    for key in (served.keys.publishable, served.keys.secret):
        for headers in ({"apikey": key}, {"Authorization": f"Bearer {key}"}):
            with subtests.test(headers=list(headers)):
                assert call("start-generation", GENERATION, headers=headers).status_code == 200


def test_the_user_of_a_token_becomes_the_creator(call, served, user, db):
    bearer = {
        "apikey": served.keys.publishable,
        "Authorization": f"Bearer {token(served.keys.jwt_secret, sub=str(user))}",
    }
    answer = call("start-generation", GENERATION, headers=bearer)
    row = db.execute(
        "select q.created_by, g.user_id from public.job_queue q, public.image_generations g"
        " where q.id = %s and g.id = %s",
        (answer.json()["job_id"], answer.json()["generation_id"]),
    ).fetchone()
    assert row == {"created_by": user, "user_id": user}


def test_a_token_that_proves_no_user_is_refused(call, served, subtests):
    for claims, code in [
        ({"exp": 1}, "token_expired"),
        ({"exp": None}, "bad_key"),
        ({"aud": "other"}, "bad_key"),
        ({"aud": None}, "bad_key"),
        ({"sub": None}, "bad_key"),
        ({"sub": "not a uuid"}, "bad_key"),
    ]:
        with subtests.test(claims=claims):
            bearer = f"Bearer {token(served.keys.jwt_secret, **claims)}"
            answer = call("start-generation", GENERATION, headers={"Authorization": bearer})
            assert (answer.status_code, answer.json()["error"]["code"]) == (401, code)


def test_a_forged_token_is_refused_even_beside_a_good_key(call, served, subtests):
    for name, forged in {
        "another secret": token("another secret, of a length that is sufficient"),
        "no signature": token("", algorithm="none"),
        "another algorithm": token(served.keys.jwt_secret, algorithm="HS512"),
        "a public value as secret": token(served.keys.publishable),
    }.items():
        with subtests.test(name):
            headers = {"apikey": served.keys.publishable, "Authorization": f"Bearer {forged}"}
            answer = call("start-generation", GENERATION, headers=headers)
            assert (answer.status_code, answer.json()["error"]["code"]) == (401, "bad_key")


def test_only_the_secret_key_speaks_for_others(call, served, subtests):
    for field in ({"test": True}, {"user_id": str(uuid4())}):
        with subtests.test(field=field):
            headers = {"apikey": served.keys.publishable}
            answer = call("start-generation", GENERATION | field, headers=headers)
            assert answer.status_code == 403
            assert answer.json()["error"]["code"] == "secret_key_needed"
