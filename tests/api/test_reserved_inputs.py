"""No request switches a model's safety system off or carries a secret."""

import time

import jwt
import pytest

GENERATION = {"prompt": "A lighthouse", "model_id": "black-forest-labs/flux-schnell"}
SAFETY = [
    *("disable_safety_checker", "disable_safety_check", "DISABLE_SAFETY_CHECKER"),
    *("enable_safety_checker", "safety_tolerance", "safety_filter_level", "moderation"),
    *("person_generation", "nsfw_filter", "disableSafetyChecker", "allow-unsafe", "content_filter"),
    *("is_uncensored", "explicit_content", "contentPolicy", "guardrails"),
]
SECRETS = [
    *("openai_api_key", "replicate_api_token", "hf_token", "hf_api_token", "client_secret"),
    *("civitai_token", "apikey", "OPENAI_API_KEY", "token", "openaiApiKey", "api-key", "api key"),
    *("X-API-Key", "openai_key", "access_key_id", "privateKey", "passwd", "Authorization"),
    *("github_token", "hfToken", "sessionToken", "auth", "Cookie"),
]
USUAL = [
    *("num_inference_steps", "max_tokens", "guidance", "output_format", "image", "keyframes"),
    *("key_light", "author", "token_string", "trigger_token", "keyword", "go_fast"),
]


@pytest.fixture
def user(db, served) -> dict[str, str]:
    """The headers of a signed-in user."""
    sub = db.execute(
        "insert into auth.users (id) values (gen_random_uuid()) returning id::text"
    ).fetchone()["id"]
    claims = {"sub": sub, "aud": "authenticated", "exp": time.time() + 60}
    return {"Authorization": f"Bearer {jwt.encode(claims, served.keys.jwt_secret, 'HS256')}"}


def test_users_and_servers_may_set_neither(call, served, user, db) -> None:
    for headers in (user, {"apikey": served.keys.secret}):
        for name in SAFETY + SECRETS:
            answer = call("start-generation", GENERATION | {name: "x"}, headers=headers)
            error = answer.json()["error"]
            assert (answer.status_code, error["code"], error["field"]) == (
                422,
                "invalid_field",
                name,
            )
            assert ("secret" in error["message"]) == (name in SECRETS)
    assert db.execute("select from public.image_generations").fetchall() == []


def test_all_that_is_wrong_is_named_at_once(call, user) -> None:
    wrong = {"openai_api_key": "sk-1", "disable_safety_checker": True}
    error = call("start-generation", GENERATION | wrong, headers=user).json()["error"]
    assert [problem["field"] for problem in error["problems"]] == sorted(wrong)
    # Not even in an error.
    assert "sk-1" not in str(error)


def test_tests_of_operators_may_try_safety_settings_but_send_no_secret(call) -> None:
    test = GENERATION | {"test": True}
    assert call("start-generation", test | {"disable_safety_checker": True}).status_code == 200
    assert call("start-generation", test | {"openai_api_key": "sk-1"}).status_code == 422


@pytest.mark.parametrize("name", USUAL)
def test_other_names_are_not_reserved(db, name: str) -> None:
    row = db.execute("select reserved_input(%s) as problem", [name]).fetchone()
    assert row == {"problem": None}


def test_the_synchronous_path_has_the_same_rule(db) -> None:
    with pytest.raises(Exception, match="only be set by operators"):
        db.execute(
            "select start_sync_generation(null, 'p', %s, %s)",
            [GENERATION["model_id"], '{"disable_safety_checker": true}'],
        )
