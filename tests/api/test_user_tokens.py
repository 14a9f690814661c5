"""Tokens signed by a project's key pairs: its public keys over real HTTP, and their rotation."""

import time
from collections.abc import Callable, Iterator
from threading import Thread
from typing import Any
from uuid import UUID, uuid4

import jwt
import pytest
import uvicorn
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lib.api import user_tokens
from lib.api.errors import FunctionError
from lib.api.user_tokens import UserTokens

SECRET = "a-secret-of-at-least-thirty-two-bytes"
MAKERS: dict[str, Callable[[], Any]] = {
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "RS256": lambda: rsa.generate_private_key(65537, 2048),
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
}


class Project:
    """What publishes the public keys, and signs with the private ones."""

    def __init__(self) -> None:
        self.pairs: dict[str, tuple[str, Any]] = {}
        self.answer: Response | None = None
        """Answered instead of the keys."""
        self.fetches = 0
        self.url = ""
        self.app = Starlette(routes=[Route("/jwks.json", self._keys)])

    def add(self, name: str, algorithm: str = "ES256") -> None:
        self.pairs[name] = (algorithm, MAKERS[algorithm]())

    def sign(self, name: str, **claims: Any) -> str:
        algorithm, key = self.pairs[name]
        return jwt.encode(said(**claims), key, algorithm, headers={"kid": name})

    def _keys(self, _request: Request) -> Response:
        self.fetches += 1
        if self.answer:
            return self.answer
        keys = []
        for name, (algorithm, key) in self.pairs.items():
            shown = jwt.get_algorithm_by_name(algorithm).to_jwk(key.public_key(), as_dict=True)
            keys.append({**shown, "kid": name, "alg": algorithm, "use": "sig"})
        # Supabase publishes no symmetric key; one of another kind must not be in the way.
        return JSONResponse({"keys": [*keys, {"kty": "oct", "kid": "odd", "alg": "HS512"}]})


def said(**claims: Any) -> dict[str, Any]:
    whole = {"sub": str(uuid4()), "aud": "authenticated", "exp": time.time() + 60} | claims
    return {name: value for name, value in whole.items() if value is not None}


@pytest.fixture
def project(eventually: Callable[..., Any]) -> Iterator[Project]:
    project = Project()
    server = uvicorn.Server(uvicorn.Config(project.app, port=0, log_level="warning"))
    thread = Thread(target=server.run)
    thread.start()
    eventually(lambda: server.started)
    port = server.servers[0].sockets[0].getsockname()[1]
    project.url = f"http://127.0.0.1:{port}/jwks.json"
    yield project
    server.should_exit = True
    thread.join()


@pytest.fixture
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(user_tokens, "FETCH_INTERVAL_SECONDS", 0.0)


async def refused(tokens: UserTokens, token: str) -> tuple[int, str]:
    with pytest.raises(FunctionError) as caught:
        await tokens.user(token)
    return caught.value.status, caught.value.code


@pytest.mark.parametrize("algorithm", MAKERS)
async def test_a_token_of_each_kind_of_pair_names_its_user(
    project: Project, algorithm: str
) -> None:
    user = uuid4()
    project.add("one", algorithm)
    tokens = UserTokens(None, project.url)
    for _ in range(3):
        assert await tokens.user(project.sign("one", sub=str(user))) == user
    assert project.fetches == 1


async def test_secret_and_pairs_hold_beside_each_other(project: Project) -> None:
    project.add("one")
    tokens = UserTokens(SECRET, project.url)
    assert isinstance(await tokens.user(jwt.encode(said(), SECRET)), UUID)
    assert isinstance(await tokens.user(project.sign("one")), UUID)


async def test_a_new_pair_counts_at_once_and_a_revoked_one_no_longer(
    project: Project, no_pause: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.add("old")
    tokens = UserTokens(None, project.url)
    of_old = project.sign("old")
    await tokens.user(of_old)
    project.add("new")
    await tokens.user(project.sign("new"))
    await tokens.user(of_old)
    del project.pairs["old"]
    monkeypatch.setattr(user_tokens, "JWKS_TTL_SECONDS", 0.0)
    assert await refused(tokens, of_old) == (401, "bad_key")


async def test_unknown_keys_do_not_make_it_ask_again_and_again(project: Project) -> None:
    project.add("one")
    tokens = UserTokens(None, project.url)
    await tokens.user(project.sign("one"))
    project.add("two")
    for _ in range(20):
        assert await refused(tokens, project.sign("two")) == (401, "bad_key")
    assert project.fetches == 1


@pytest.mark.parametrize(
    "answer",
    [
        Response(status_code=500),
        Response("<html>", media_type="text/html"),
        JSONResponse([]),
        JSONResponse({"keys": [{"alg": "ES256", "kty": "EC"}]}),
    ],
    ids=["error", "no JSON", "no set", "a broken key"],
)
async def test_keys_that_cannot_be_read_are_no_fault_of_the_token(
    project: Project, no_pause: None, monkeypatch: pytest.MonkeyPatch, answer: Response
) -> None:
    project.add("one")
    tokens = UserTokens(None, project.url)
    project.answer = answer
    assert await refused(tokens, project.sign("one")) == (503, "keys_unavailable")
    project.answer = None
    await tokens.user(project.sign("one"))
    project.answer = answer
    monkeypatch.setattr(user_tokens, "JWKS_TTL_SECONDS", 0.0)
    await tokens.user(project.sign("one"))


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({"exp": 1}, "token_expired"),
        ({"exp": None}, "bad_key"),
        ({"aud": "anon"}, "bad_key"),
        ({"aud": None}, "bad_key"),
        ({"sub": None}, "bad_key"),
        ({"sub": "nobody"}, "bad_key"),
    ],
)
async def test_a_signed_token_that_proves_no_user(
    project: Project, claims: dict[str, Any], code: str
) -> None:
    project.add("one")
    assert await refused(UserTokens(None, project.url), project.sign("one", **claims)) == (
        401,
        code,
    )


async def test_the_token_does_not_choose_how_it_is_verified(
    project: Project, subtests: pytest.Subtests
) -> None:
    project.add("one")
    project.add("rsa", "RS256")
    tokens = UserTokens(SECRET, project.url)
    point = project.pairs["one"][1].public_key()
    # Not as PEM or DER, which no library takes for a secret.
    public = point.public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    )
    stranger = MAKERS["ES256"]()
    for name, forged in {
        "the public key as secret": jwt.encode(said(), public, headers={"kid": "one"}),
        "unsigned": jwt.encode(said(), None, "none", headers={"kid": "one"}),
        "another pair under its name": jwt.encode(
            said(), stranger, "ES256", headers={"kid": "one"}
        ),
        "another algorithm's key": jwt.encode(said(), stranger, "ES256", headers={"kid": "rsa"}),
        "a longer hash": jwt.encode(said(), SECRET + SECRET, "HS512", headers={"kid": "one"}),
        "without a name": jwt.encode(said(), project.pairs["one"][1], "ES256"),
        "a key of its own": jwt.encode(
            said(), stranger, "ES256", headers={"kid": "x", "jku": project.url, "jwk": {}}
        ),
    }.items():
        with subtests.test(name):
            assert await refused(tokens, forged) == (401, "bad_key")


async def test_without_a_secret_none_verifies(project: Project) -> None:
    token = jwt.encode(said(), "x" * 32)
    assert await refused(UserTokens(None, project.url), token) == (401, "bad_key")
