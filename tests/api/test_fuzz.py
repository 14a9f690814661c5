"""Odd requests to the three functions: a clean answer every time, and nothing half-written."""

import json
import logging
import re
import socket
import string
import time
from itertools import product
from math import inf
from urllib.parse import quote, quote_from_bytes
from uuid import uuid4

import httpx
import jwt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

GENERATION = {"prompt": "A lighthouse", "model_id": "black-forest-labs/flux-schnell"}
FIELDS = [*GENERATION, "width", "height", "seed", "negative_prompt", "user_id", "test", "steps"]
FUNCTIONS = ["start-generation", "process-generation", "process-jobs"]
WRITTEN = (
    "select (select count(*) from public.job_queue) as jobs,"
    " (select count(*) from public.image_generations) as generations,"
    " (select count(*) from public.idempotency_keys) as keys"
)
EMPTY = (
    "delete from public.idempotency_keys; delete from public.job_queue;"
    " delete from public.image_generations"
)
NOTHING = {"jobs": 0, "generations": 0, "keys": 0}

fuzzed = settings(
    deadline=None,
    derandomize=True,
    database=None,
    max_examples=60,
    # The server and its database outlive the examples; `ask` empties the tables before each.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def text(often, rarely, max_size):
    """Text in which certain characters come often: in st.text they count as one of all."""
    return st.lists(st.sampled_from(often) | rarely, max_size=max_size).map("".join)


# PostgreSQL or UTF-8 cannot hold them.
any_text = text("\x00\ud800\udfff", st.characters(exclude_categories=()), 30)
any_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from([10**400, -(10**30), 2**32, 64, 2048])
    | any_text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(any_text, inner, max_size=4),
    max_leaves=12,
)
header_value = st.text(st.characters(min_codepoint=1, max_codepoint=255), max_size=60).map(
    # Without what no HTTP client sends: line ends, and white space around a value.
    lambda text: re.sub(r"[\r\n\v\f]", "", text).strip(" \t").encode("latin-1")
)


@pytest.fixture
def ask(served, db):
    """Sends one request to emptied tables and holds the answer against the contract."""
    secret = {"apikey": served.keys.secret}

    with httpx.Client(base_url=f"{served.url}/functions/v1/", timeout=60) as client:

        def send(path, *, method="POST", headers=secret, writes=True, **options):
            db.execute(EMPTY)
            answer = client.request(method, path, headers=headers, **options)
            assert answer.status_code < 500, answer.text
            if method != "HEAD":
                check_shape(answer)
            queued = answer.status_code == 200 and writes
            named = queued and any(name.lower() == "idempotency-key" for name in headers)
            expected = {"jobs": queued, "generations": queued, "keys": named}
            assert db.execute(WRITTEN).fetchone() == expected
            return answer

        yield send


def check_shape(answer):
    assert answer.headers["Content-Type"] == "application/json"
    body = answer.json()
    if answer.status_code == 200:
        assert body["success"] is True
        assert "error" not in body
    else:
        assert set(body) == {"success", "error"}
        assert body["success"] is False
        assert re.fullmatch("[a-z_]+", body["error"]["code"])
        assert body["error"]["message"]


@pytest.fixture
def errors(caplog):
    """What the server logs as errors, such as an exception that nothing caught."""
    logger = logging.getLogger("uvicorn.error")
    logger.addHandler(caplog.handler)
    yield lambda: [record.getMessage() for record in caplog.records]
    logger.removeHandler(caplog.handler)


# Bodies


def test_arbitrary_json(ask):
    @fuzzed
    @given(any_json)
    def check(body):
        assert ask("start-generation", content=json.dumps(body)).status_code in (400, 422)
        assert ask("process-generation", content=json.dumps(body)).status_code in (400, 422)
        assert ask("process-jobs", content=json.dumps(body), writes=False).status_code == 200

    check()


def test_valid_bodies_with_odd_fields(ask):
    statuses = set()

    @fuzzed
    @given(
        st.dictionaries(st.sampled_from(FIELDS) | any_text, any_text | any_json, max_size=3),
        st.sets(st.sampled_from(list(GENERATION)), max_size=1),
    )
    def check(odd, missing):
        body = {name: GENERATION[name] for name in GENERATION.keys() - missing} | odd
        # Numbers that are JSON although no double holds them.
        raw = json.dumps(body).replace("Infinity", "1e999")
        answer = ask("start-generation", content=raw)
        statuses.add(answer.status_code)
        if answer.status_code == 422 and "field" in answer.json()["error"]:
            assert answer.json()["error"]["field"] in {*json.loads(raw), *GENERATION, "body"}

    check()
    assert {200, 422} <= statuses


def test_one_odd_value_in_a_valid_body(ask):
    characters = st.characters(exclude_categories=["Cs"])
    texts = text("\x00", characters, 8) | text("\ud800\udfff", characters, 8)
    statuses = set()

    @fuzzed
    @given(
        st.sampled_from(["prompt", "negative_prompt", "style"]),
        texts.map("a{}".format) | st.floats(allow_nan=False) | st.sampled_from([inf, -inf]),
    )
    def check(field, value):
        raw = json.dumps(GENERATION | {field: value}).replace("Infinity", "1e999")
        answer = ask("start-generation", content=raw)
        statuses.add(answer.status_code)
        if answer.status_code != 200 or value in (inf, -inf):
            assert (answer.status_code, answer.json()["error"]["field"]) == (422, field)

    check()
    assert statuses == {200, 422}


def test_bytes_that_are_no_json(ask):
    valid = json.dumps(GENERATION).encode()

    @fuzzed
    @given(st.binary(max_size=40), st.integers(0, len(valid)), st.integers(0, 10))
    def check(junk, at, cut):
        assert ask("start-generation", content=junk).status_code in (400, 422)
        ask("start-generation", content=valid[:at] + junk + valid[at + cut :])

    check()


# Headers


def test_arbitrary_headers(ask, served):
    keys = [served.keys.publishable.encode(), served.keys.secret.encode()]
    values = {
        "apikey": header_value | st.sampled_from(keys),
        "Authorization": header_value | st.sampled_from([b"Bearer " + key for key in keys]),
        "Idempotency-Key": header_value | st.integers(0, 300).map(lambda size: b"k" * size),
        "Content-Type": header_value | st.sampled_from([b"text/plain", b"multipart/form-data"]),
        "Content-Encoding": header_value | st.sampled_from([b"gzip", b"br"]),
        "Host": header_value,
    }
    statuses = set()

    @fuzzed
    @given(st.fixed_dictionaries({}, optional=values), st.sampled_from(keys))
    def check(odd, key):
        for headers in (odd, {"apikey": key} | odd):
            answer = ask("start-generation", headers=headers, json=GENERATION)
            statuses.add(answer.status_code)
        for function in FUNCTIONS[1:]:
            ask(function, headers=odd, json=GENERATION, writes=False)

    check()
    assert {200, 401, 422} <= statuses


def test_arbitrary_tokens(ask, served):
    part = st.binary(max_size=40) | any_json.map(lambda value: json.dumps(value).encode())
    names = ("sub", "aud", "exp", "nbf", "iat", "jti", "role")
    valid = {"sub": str(uuid4()), "aud": "authenticated", "exp": time.time() + 600}

    def sign(claims):
        # The claims as they are: the call that makes tokens would refuse some.
        return jwt.api_jws.encode(json.dumps(claims).encode(), served.keys.jwt_secret)

    def refused(token):
        bearer = {"Authorization": f"Bearer {token}".strip()}
        for function in FUNCTIONS:
            assert ask(function, headers=bearer, json=GENERATION).status_code == 401

    @fuzzed
    @given(st.lists(part, min_size=1, max_size=4))
    def unsigned(parts):
        refused(".".join(jwt.utils.base64url_encode(part).decode() for part in parts))

    @fuzzed
    @given(st.dictionaries(st.sampled_from(names), any_json, min_size=1))
    def signed(odd):
        bearer = {"Authorization": f"Bearer {sign(valid | odd)}"}
        # Where the claims happen to hold, there is still no such user.
        assert ask("start-generation", headers=bearer, json=GENERATION).status_code in (401, 422)

    unsigned()
    signed()
    refused(jwt.utils.base64url_encode(b"[" * 40_000).decode() + ".e30.AAAA")
    for odd in ({"sub": "x"}, {"sub": 1}, {"exp": 1e400}, {"nbf": 1e400}):
        refused(sign(valid | odd))
    stranger = {"Authorization": f"Bearer {sign(valid)}"}
    answer = ask("start-generation", headers=stranger, json=GENERATION)
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "unknown_user")


# Methods and paths


def test_arbitrary_methods_and_paths(ask):
    methods = st.sampled_from(
        ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]
    ) | st.text("!#$%&'*+-.^_`|~" + string.ascii_letters, min_size=1, max_size=12)
    # A line end ends what some patterns match.
    tails = text("\n", st.characters(exclude_categories=["Cs"]), 12).map(
        # Dots are left out: clients resolve "../" themselves.
        lambda tail: quote(tail.replace(".", ""))
    )
    queries = st.binary(max_size=8).map(quote_from_bytes)

    @fuzzed
    @given(methods, st.sampled_from([*FUNCTIONS, "start", ""]), tails, queries)
    def check(method, start, tail, query):
        # Starlette takes a path with a line end after it for the same path.
        if method == "POST" and start in FUNCTIONS and tail in ("", "%0A"):
            return
        answer = ask(f"{start}{tail}?{query}", method=method, json=GENERATION)
        assert answer.status_code == 404
        if method != "HEAD":
            assert answer.json()["error"]["code"] == "no_such_function"

    check()


# Bodies that are long, deep, or break off


def test_chunked_bodies(ask):
    raw = json.dumps(GENERATION).encode()
    one_by_one = (raw[at : at + 1] for at in range(len(raw)))
    assert ask("start-generation", content=one_by_one).status_code == 200
    endless = (b" " * 1024 for _ in range(1100))
    assert ask("start-generation", content=endless).status_code == 413


def test_a_prompt_of_1_mb_is_too_large(ask):
    answer = ask("start-generation", json=GENERATION | {"prompt": "x" * 2**20})
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")
    assert ask("start-generation", json=GENERATION).status_code == 200


def test_deep_json(ask, subtests):
    for depth in (10, 100, 900, 950, 990, 1000, 1010, 5000, 100_000):
        deep_list = b"[" * depth + b"]" * depth
        deep_object = b'{"a":' * (depth // 5) + b"1" + b"}" * (depth // 5)
        for deep in (deep_list, deep_object):
            for field in ("prompt", "model_id", "seed", "extra"):
                with subtests.test(depth=depth, field=field, kind=deep[:1]):
                    raw = json.dumps(GENERATION | {field: "DEEP"}).encode()
                    answer = ask("start-generation", content=raw.replace(b'"DEEP"', deep))
                    error = answer.json()["error"]
                    assert (answer.status_code, error.get("field")) in [(422, field), (400, None)]


def test_a_caller_that_hangs_up_amid_its_body_leaves_nothing(
    ask, call, served, db, errors, subtests
):
    body = json.dumps(GENERATION).encode()
    framings = {
        "Content-Length: 500": body,
        "Transfer-Encoding: chunked": b"%x\r\n%s\r\n" % (len(body), body),
    }
    for function, (framing, sent), cut in product(FUNCTIONS, framings.items(), (0, 10, None)):
        with subtests.test(function=function, framing=framing, cut=cut):
            head = (
                f"POST /functions/v1/{function} HTTP/1.1\r\nHost: localhost\r\n"
                f"apikey: {served.keys.secret}\r\n{framing}\r\n\r\n"
            )
            with socket.create_connection(served.url[len("http://") :].split(":")) as connection:
                connection.sendall(head.encode() + sent[:cut])
                connection.shutdown(socket.SHUT_WR)
                # Until the server, too, has given the connection up.
                while connection.recv(4096):
                    pass
            assert call("nothing").status_code == 404
            assert db.execute(WRITTEN).fetchone() == NOTHING
            assert errors() == []
    assert ask("start-generation", json=GENERATION).status_code == 200
