"""A generation followed in a Supabase project: real HTTP, websocket and supabase-py."""

import asyncio
import uuid
from contextlib import aclosing

import pytest
from proxy import Proxy
from starlette.responses import JSONResponse
from story import Story, assert_sound, told
from supabase_project import PAGE, PUBLISHABLE, SECRET, Project

from lib.client import (
    GenerationNotFound,
    Image,
    SubscriptionRefused,
    SubscriptionTimeout,
    subscribe_to_generation,
)
from lib.client import subscription as following

NEVER = 1000.0
"""Seconds between reads, in tests of what is heard."""


@pytest.fixture
def project(database, serve):
    project = Project(database)
    with serve(project.app) as project.url:
        yield project


@pytest.fixture
def network(project):
    """The way to the project, which may fail."""
    host, port = project.url.removeprefix("http://").split(":")
    proxy = Proxy((host, int(port)))
    yield proxy
    proxy.close()


@pytest.fixture
def user(db):
    return db.execute(
        "insert into auth.users (id) values (gen_random_uuid()) returning id"
    ).fetchone()["id"]


@pytest.fixture
def subscribe(project):
    def subscribe(story, **options):
        return subscribe_to_generation(
            story.id, **{"supabase_url": project.url, "supabase_key": SECRET} | options
        )

    return subscribe


@pytest.fixture
def joined(project, until):
    """Waits until the project has accepted a number of subscriptions in all."""

    async def joined(count=1):
        await until(lambda: project.joins == count)

    return joined


async def within(seconds, awaitable):
    async with asyncio.timeout(seconds):
        return await awaitable


async def test_every_change_is_told_as_it_comes(story, subscribe, joined):
    updates = aiter(subscribe(story, read_seconds=NEVER))
    seen = [await anext(updates)]
    next_one = asyncio.ensure_future(anext(updates))
    await joined()
    for step in (
        story.begin,
        lambda: story.progress(5),
        lambda: story.progress(40),
        story.complete,
    ):
        step()
        seen.append(await within(10, next_one))
        next_one = asyncio.ensure_future(anext(updates, None))
    assert await next_one is None
    assert told(seen) == [
        ("queued", 0),
        ("processing", 0),
        ("processing", 5),
        ("processing", 40),
        ("completed", 100),
    ]


def test_a_plain_loop_is_told_the_same(story, subscribe, follow):
    follower = follow(subscribe(story))
    story.begin()
    story.complete()
    assert_sound(follower.end(), "completed")


@pytest.mark.parametrize("code", [1011, 1001], ids=["error", "going away"])
async def test_a_lost_websocket_is_opened_again(story, project, subscribe, joined, code):
    updates = aiter(subscribe(story, read_seconds=NEVER))
    seen = [await anext(updates)]
    next_one = asyncio.ensure_future(anext(updates))
    await joined(1)
    await asyncio.to_thread(project.hang_up, code)
    await joined(2)
    story.begin()
    seen.append(await within(10, next_one))
    # The end comes while nobody can tell of it.
    project.realtime_serves = False
    next_one = asyncio.ensure_future(anext(updates))
    await asyncio.to_thread(project.hang_up, code)
    story.complete()
    project.realtime_serves = True
    seen.append(await within(10, next_one))
    seen += [update async for update in updates]
    assert_sound(seen, "completed")


async def test_the_network_cut_while_the_end_comes(story, project, network, subscribe, joined):
    url = f"http://127.0.0.1:{network.port}"
    updates = aiter(subscribe(story, supabase_url=url, read_seconds=NEVER))
    seen = [await anext(updates)]
    next_one = asyncio.ensure_future(anext(updates))
    await joined()
    await asyncio.to_thread(network.cut)
    story.begin()
    story.fail()
    await asyncio.to_thread(network.resume)
    seen.append(await within(20, next_one))
    seen += [update async for update in updates]
    assert_sound(seen, "failed")


async def test_a_network_that_falls_silent(
    story, network, subscribe, joined, until, monkeypatch, caplog
):
    monkeypatch.setattr(following, "READ_TIMEOUT_SECONDS", 0.3)
    url = f"http://127.0.0.1:{network.port}"
    updates = aiter(subscribe(story, supabase_url=url, read_seconds=0.1))
    seen = [await anext(updates)]
    next_one = asyncio.ensure_future(anext(updates))
    await joined()
    await asyncio.to_thread(network.freeze)
    story.begin()
    story.complete()
    await until(lambda: "No response within 0.3 s" in caplog.text)
    await asyncio.to_thread(network.resume)
    seen.append(await within(20, next_one))
    seen += [update async for update in updates]
    assert_sound(seen, "completed")


async def test_a_lost_event_is_made_up_for_by_reading_again(story, project, subscribe, joined):
    updates = aiter(subscribe(story, read_seconds=0.05))
    seen = [await anext(updates)]
    project.realtime_tells = False
    story.begin()
    seen.append(await within(10, anext(updates)))
    story.complete()
    seen.append(await within(10, anext(updates)))
    seen += [update async for update in updates]
    assert_sound(seen, "completed")
    assert project.joins == 1


async def test_without_realtime_the_row_is_polled(story, project, subscribe):
    project.realtime_serves = False
    updates = aiter(subscribe(story))
    seen = [await anext(updates)]
    story.begin()
    seen.append(await within(10, anext(updates)))
    story.complete()
    seen += [update async for update in updates]
    assert_sound(seen, "completed")


async def test_the_row_is_polled_while_realtime_is_away(
    story, project, subscribe, joined, until, monkeypatch
):
    monkeypatch.setattr(following, "REREAD_SECONDS", NEVER)
    updates = aiter(subscribe(story))
    seen = [await anext(updates)]
    next_one = asyncio.ensure_future(anext(updates))
    await joined()
    await until(lambda: project.reads >= 2)
    project.realtime_serves = False
    await asyncio.to_thread(project.hang_up)
    story.begin()
    story.complete()
    seen.append(await within(10, next_one))
    seen += [update async for update in updates]
    assert_sound(seen, "completed")


async def test_a_project_away_is_waited_for(story, project, subscribe, until):
    project.rest_answer = JSONResponse({"code": "PGRST002", "message": "No schema cache"}, 503)
    story.begin()
    story.complete()
    with pytest.raises(SubscriptionTimeout, match="temporarily unavailable: No schema cache"):
        await anext(aiter(subscribe(story, timeout=0.5)))
    next_one = asyncio.ensure_future(anext(aiter(subscribe(story))))
    reads = project.reads
    await until(lambda: project.reads > reads)
    project.rest_answer = None
    assert told([await within(10, next_one)]) == [("completed", 100)]


async def test_a_project_that_does_not_answer_is_waited_for(story, network, subscribe):
    network.cut()
    url = f"http://127.0.0.1:{network.port}"
    with pytest.raises(SubscriptionTimeout, match=r"does not respond \(ConnectError\)"):
        await anext(aiter(subscribe(story, supabase_url=url, timeout=0.5)))


async def test_a_user_sees_own_generations_only(db, project, user, subscribe):
    story = Story(db, user)
    mine = subscribe(story, supabase_key=PUBLISHABLE, access_token=project.token(user))
    assert (await anext(aiter(mine))).status == "queued"
    theirs = project.token(uuid.uuid4())
    with pytest.raises(GenerationNotFound, match="this user may not see it"):
        await anext(aiter(subscribe(story, supabase_key=PUBLISHABLE, access_token=theirs)))
    with pytest.raises(SubscriptionRefused, match="permission denied for table"):
        await anext(aiter(subscribe(story, supabase_key=PUBLISHABLE)))
    with pytest.raises(SubscriptionRefused, match="Invalid API key"):
        await anext(aiter(subscribe(story, supabase_key="another")))


OUTPUT = """
insert into outputs
    (generation_id, index, user_id, url, storage_path, media_type, width, height, bytes)
select id, %s, user_id, %s, 'a/b.webp', 'image/webp', 8, 6, 1
from image_generations where id = %s
"""


async def test_all_images_are_there_at_the_end(db, project, user, subscribe):
    story = Story(db, user)
    story.begin()
    for index in (1, 0):
        db.execute(OUTPUT, [index, f"/images/{index}.webp", story.id])
    updates = aiter(
        subscribe(story, supabase_key=PUBLISHABLE, access_token=project.token(user), read_seconds=1)
    )
    assert (await anext(updates)).images == ()
    story.complete()
    last = [update async for update in updates][-1]
    assert last.images == tuple(
        Image(f"/images/{index}.webp", 8, 6, "image/webp") for index in (0, 1)
    )


async def test_an_expired_token_is_said_to_be(db, project, user, subscribe):
    old = project.token(user, seconds=-60)
    with pytest.raises(SubscriptionRefused, match="JWT expired"):
        await anext(aiter(subscribe(Story(db, user), access_token=old)))


async def test_a_renewed_token_goes_on_where_the_old_one_ended(
    db, project, user, subscribe, joined
):
    asked = []

    def current():
        asked.append(project.token(user))
        return asked[-1]

    story = Story(db, user)
    updates = aiter(
        subscribe(story, supabase_key=PUBLISHABLE, access_token=current, read_seconds=NEVER)
    )
    seen = [await anext(updates)]
    next_one = asyncio.ensure_future(anext(updates))
    await joined(1)
    before = len(asked)
    await asyncio.to_thread(project.expire)
    await joined(2)
    assert len(asked) > before
    story.begin()
    seen.append(await within(10, next_one))
    story.complete()
    seen += [update async for update in updates]
    assert_sound(seen, "completed")


async def test_a_server_of_another_kind_is_said_to_be(story, project, subscribe):
    project.rest_answer = PAGE
    with pytest.raises(SubscriptionRefused, match="does not respond like a Supabase project"):
        await anext(aiter(subscribe(story)))


async def test_a_closed_iterator_leaves_no_websocket_and_no_task(
    story, project, subscribe, joined, until
):
    others = asyncio.all_tasks()
    async with aclosing(aiter(subscribe(story))) as updates:
        await anext(updates)
        await joined()
        # A channel that the server ended leaves a timer behind.
        await asyncio.to_thread(project.expire)
        await joined(2)
        assert len(project.channels) == 1
    await until(lambda: not project.channels)
    assert asyncio.all_tasks() == others
