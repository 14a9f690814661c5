"""Proxies in an application's environment: loopback goes without, and unusable ones are said."""

import os
from uuid import uuid4

import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route
from story import assert_sound
from supabase_project import SECRET, Project

from lib.client import (
    StartRefused,
    SubscriptionRefused,
    start_image_generation,
    start_image_generation_async,
    subscribe_to_generation,
)

REQUEST = {"prompt": "A lighthouse", "model_id": "a/b", "idempotency_key": "k"}


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch):
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


async def test_a_start_on_this_machine_goes_without_a_proxy(serve, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    ids = {"generation_id": str(uuid4()), "job_id": str(uuid4())}
    start = Route("/functions/v1/start-generation", lambda _: JSONResponse(ids), methods=["POST"])
    with serve(Starlette(routes=[start])) as url:
        url = url.replace("127.0.0.1", "localhost")
        assert str(start_image_generation(url, "key", **REQUEST).job_id) == ids["job_id"]
        started = await start_image_generation_async(url, "key", **REQUEST)
        assert str(started.job_id) == ids["job_id"]


def test_without_a_way_for_websockets_the_row_is_polled(
    serve, database, story, follow, monkeypatch
):
    monkeypatch.setenv("HTTP_PROXY", "socks5://127.0.0.1:1")
    with serve(Project(database).app) as url:
        follower = follow(subscribe_to_generation(story.id, supabase_url=url, supabase_key=SECRET))
        story.begin()
        story.complete()
        assert_sound(follower.end(), "completed")


@pytest.mark.parametrize(
    ("name", "value"),
    [("ALL_PROXY", "socks://user:secret@127.0.0.1:1080"), ("NO_PROXY", "secret,[::1]")],
)
def test_a_setting_that_cannot_be_used_is_said_without_it(monkeypatch, name, value):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv(name, value)
    with pytest.raises(StartRefused, match="ALL_PROXY, NO_PROXY") as start:
        start_image_generation("http://127.0.0.1:1", "key", **REQUEST)
    assert start.value.code == "unusable_proxy"
    subscription = subscribe_to_generation(
        uuid4(), supabase_url="http://127.0.0.1:1", supabase_key="key"
    )
    with pytest.raises(SubscriptionRefused, match="ALL_PROXY, NO_PROXY") as follow:
        list(subscription)
    assert "secret" not in f"{start.value}{follow.value}"
