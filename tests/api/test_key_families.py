"""A project on its way from the legacy keys to the new ones: both hold, in either header."""

import time
from collections.abc import Callable
from itertools import product

import httpx
import jwt
import pytest

GENERATION = {"prompt": "A lighthouse", "model_id": "black-forest-labs/flux-schnell"}
JWT_SECRET = "a-secret-of-at-least-thirty-two-bytes"
Call = Callable[..., httpx.Response]


def legacy(role: str, secret: str = JWT_SECRET) -> str:
    return jwt.encode({"iss": "supabase", "role": role, "exp": time.time() + 3600}, secret)


ANON, SERVICE_ROLE = legacy("anon"), legacy("service_role")
PUBLISHABLE, SECRET = "sb_publishable_of_the_test", "sb_secret_of_the_test"


@pytest.fixture
def more_settings() -> dict[str, str]:
    return {
        "SUPABASE_PUBLISHABLE_KEY": PUBLISHABLE,
        "SUPABASE_ANON_KEY": ANON,
        "SUPABASE_SECRET_KEY": SECRET,
        "SUPABASE_SERVICE_ROLE_KEY": SERVICE_ROLE,
        "SUPABASE_JWT_SECRET": JWT_SECRET,
    }


def headers(key: str) -> list[dict[str, str]]:
    return [{"apikey": key}, {"Authorization": f"Bearer {key}"}]


def test_each_key_does_what_its_role_may(call: Call, subtests: pytest.Subtests) -> None:
    for key, name in product((PUBLISHABLE, ANON, SECRET, SERVICE_ROLE), (0, 1)):
        with subtests.test(key=key[:20], header=name):
            sent = headers(key)[name]
            assert call("start-generation", GENERATION, headers=sent).status_code == 200
            may_process = key in (SECRET, SERVICE_ROLE)
            expected = 200 if may_process else 403
            assert call("process-jobs", headers=sent).status_code == expected


def test_only_the_configured_legacy_key_counts_however_it_is_signed(call: Call) -> None:
    for forged in (legacy("service_role", "another secret of thirty-two bytes"), SERVICE_ROLE[:-1]):
        for sent in headers(forged):
            assert call("process-jobs", headers=sent).status_code == 401
    # Signed by the project's secret, but no user's and not the key.
    other = jwt.encode({"role": "service_role", "exp": time.time() + 60}, JWT_SECRET)
    assert call("process-jobs", headers={"apikey": other}).status_code == 401
