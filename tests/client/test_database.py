"""A generation followed in the database."""

import asyncio
import shutil
import tempfile
import threading
import uuid
from contextlib import aclosing
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from proxy import Proxy
from story import IMAGE, Story, assert_sound, told
from streamlit.testing.v1 import AppTest

from lib.client import (
    GenerationNotFound,
    Image,
    SubscriptionTimeout,
)
from lib.client import subscription as following
from lib.database import DatabaseError
from lib.queue.following import follow_generation

NEVER = 1000.0
"""Seconds between reads, in tests of what is heard."""


@pytest.fixture
def pooler(database):
    """The test's database by the port of a transaction pooler."""
    sockets = Path(parse_qs(urlsplit(database).query)["host"][0])
    folder = Path(tempfile.mkdtemp(prefix="darkroom-door-"))
    (folder / ".s.PGSQL.6543").symlink_to(sockets / ".s.PGSQL.5432")
    yield f"postgresql://postgres@{urlsplit(database).path}?host={folder}&port=6543"
    shutil.rmtree(folder)


@pytest.fixture
def network(database):
    """The way to the database, which may fail."""
    sockets = parse_qs(urlsplit(database).query)["host"][0]
    proxy = Proxy(f"{sockets}/.s.PGSQL.5432")
    yield proxy
    proxy.close()


@pytest.fixture
def far(database, network):
    """The test's database by way of the network."""
    return f"postgresql://postgres@127.0.0.1:{network.port}{urlsplit(database).path}"


def live(story):
    story.begin()
    story.predict()
    for percent in (5, 40, 95):
        story.progress(percent)
    story.complete()


WHOLE_LIFE = [
    ("queued", 0),
    ("processing", 0),
    ("processing", 5),
    ("processing", 40),
    ("completed", 100),
]


async def walk(updates, story):
    """A whole life, each step made when the one before was told."""
    steps = [
        story.begin,
        lambda: story.progress(5),
        lambda: story.progress(40),
        story.complete,
    ]
    seen = [await anext(updates)]
    for step in steps:
        step()
        async with asyncio.timeout(10):
            seen.append(await anext(updates))
    assert [update async for update in updates] == []
    return seen


async def test_every_change_is_heard_by_listen(story, database):
    subscription = follow_generation(story.id, database_url=database, read_seconds=NEVER)
    seen = await walk(aiter(subscription), story)
    assert told(seen) == WHOLE_LIFE
    assert (seen[-1].image_url, seen[-1].error_message) == (IMAGE, None)
    # As of an existing deployment, whose workers record no outputs.
    assert seen[-1].images == (Image(IMAGE, None, None, None),)
    assert {str(update.generation_id) for update in seen} == {story.id}


async def test_every_change_is_found_by_polling_behind_a_pooler(story, pooler):
    subscription = follow_generation(story.id, database_url=pooler, read_seconds=0.02)
    assert told(await walk(aiter(subscription), story)) == WHOLE_LIFE


def test_a_pooler_is_polled_without_being_told_to(story, pooler, follow):
    follower = follow(follow_generation(story.id, database_url=pooler))
    live(story)
    assert_sound(follower.end(), "completed")


async def test_a_notification_lost_on_the_way_is_made_up_for(story, database, db):
    db.execute("drop trigger image_generations_changed on public.image_generations")
    subscription = follow_generation(story.id, database_url=database, read_seconds=0.02)
    assert told(await walk(aiter(subscription), story)) == WHOLE_LIFE


async def test_a_generation_that_has_ended_is_told_once(story, database):
    live(story)
    subscription = follow_generation(story.id, database_url=database)
    for _ in range(2):
        assert told([update async for update in subscription]) == [("completed", 100)]


async def test_a_change_of_nothing_visible_and_of_others_is_not_told(story, database, db):
    updates = aiter(follow_generation(story.id, database_url=database, read_seconds=NEVER))
    await anext(updates)
    story.begin()
    await anext(updates)
    next_one = asyncio.ensure_future(anext(updates))
    other = Story(db)
    live(other)
    story.progress(0)
    done, _ = await asyncio.wait([next_one], timeout=0.3)
    assert not done
    story.progress(7)
    assert told([await next_one]) == [("processing", 7)]
    await updates.aclose()


async def test_progress_goes_back_with_a_new_attempt_only(story, database):
    updates = aiter(follow_generation(story.id, database_url=database, read_seconds=NEVER))
    await anext(updates)
    story.begin()
    story.progress(40)
    assert told([await anext(updates)]) == [("processing", 40)]
    next_one = asyncio.ensure_future(anext(updates))
    # The prediction was lost at the provider and is made again.
    story.predict()
    story.progress(10)
    assert not (await asyncio.wait([next_one], timeout=0.3))[0]
    story.progress(50)
    assert told([await next_one]) == [("processing", 50)]
    story.fail(permanent=False)
    story.begin()
    story.progress(20)
    assert told([await anext(updates)]) == [("processing", 20)]
    story.fail(permanent=False)
    retried = await anext(updates)
    assert (retried.status, retried.progress, retried.error_message) == ("queued", 0, "No credit")
    await updates.aclose()


async def test_failure_and_cancellation_are_ends(db, database):
    for end, status, words in (
        (Story.fail, "failed", "No credit"),
        (Story.cancel, "cancelled", "Cancelled by an operator."),
    ):
        story = Story(db)
        story.begin()
        end(story)
        subscription = follow_generation(story.id, database_url=database)
        seen = [update async for update in subscription]
        assert [(update.status, update.error_message) for update in seen] == [(status, words)]


async def test_an_unknown_generation_is_said_to_be(database):
    unknown = uuid.uuid4()
    with pytest.raises(GenerationNotFound, match=str(unknown)):
        await anext(aiter(follow_generation(unknown, database_url=database)))
    with pytest.raises(GenerationNotFound):
        await asyncio.to_thread(list, follow_generation(unknown, database_url=database))


async def test_a_generation_deleted_meanwhile_is_not_waited_for(story, database, db):
    updates = aiter(follow_generation(story.id, database_url=database, read_seconds=0.05))
    await anext(updates)
    db.execute("delete from public.image_generations")
    with pytest.raises(GenerationNotFound):
        await anext(updates)


async def test_a_timeout_says_how_far_it_came_and_frees_the_connection(
    story, database, connections, eventually
):
    story.begin()
    story.progress(30)
    updates = aiter(follow_generation(story.id, database_url=database, timeout=0.3))
    assert told([await anext(updates)]) == [("processing", 30)]
    with pytest.raises(SubscriptionTimeout, match=r"within 0\.3 s: it is processing at 30%\.$"):
        await anext(updates)
    eventually(lambda: connections() == 0)


async def test_a_timeout_is_for_the_whole_loop_not_for_a_step(story, database):
    seen = []

    async def walk_on():
        async for update in follow_generation(story.id, database_url=database, timeout=0.5):
            seen.append(update.progress)
            await asyncio.sleep(0.02)
            story.progress(update.progress + 1)

    story.begin()
    with pytest.raises(SubscriptionTimeout):
        await walk_on()
    assert seen[-1] < 100, "it ended for want of changes"


async def test_a_timeout_holds_in_a_network_that_falls_silent(story, network, far):
    subscription = follow_generation(story.id, database_url=far, read_seconds=0.1, timeout=0.5)
    updates = aiter(subscription)
    await anext(updates)
    await asyncio.to_thread(network.freeze)
    with pytest.raises(SubscriptionTimeout):
        await asyncio.wait_for(anext(updates), 5)


async def test_a_connection_that_falls_silent_is_given_up(
    story, network, far, until, monkeypatch, caplog
):
    monkeypatch.setattr(following, "READ_TIMEOUT_SECONDS", 0.2)
    updates = aiter(follow_generation(story.id, database_url=far, read_seconds=0.1))
    seen = [await anext(updates)]
    next_one = asyncio.ensure_future(anext(updates))
    await asyncio.to_thread(network.freeze)
    story.begin()
    story.complete()
    await until(lambda: "No response within 0.2 s" in caplog.text)
    await asyncio.to_thread(network.resume)
    seen.append(await asyncio.wait_for(next_one, 10))
    seen += [update async for update in updates]
    assert_sound(seen, "completed")


def test_a_database_that_stays_away_is_waited_for_until_the_timeout(story, database, database_away):
    with (
        database_away(),
        pytest.raises(SubscriptionTimeout, match="Database temporarily unavailable"),
    ):
        list(follow_generation(story.id, database_url=database, timeout=0.5))


def test_a_database_away_at_the_start_is_waited_for(story, database, database_away):
    subscription = follow_generation(story.id, database_url=database)
    seen = []
    with database_away():
        thread = threading.Thread(target=lambda: seen.extend(subscription))
        thread.start()
        thread.join(0.3)
    live(story)
    thread.join(20)
    assert_sound(seen, "completed")


def test_wrong_arguments_are_refused_at_once(database):
    some = uuid.uuid4()
    with pytest.raises(ValueError, match="badly formed"):
        follow_generation("lighthouse", database_url=database)
    with pytest.raises(ValueError, match="read_seconds"):
        follow_generation(some, database_url=database, read_seconds=0)
    with pytest.raises(DatabaseError, match="malformed"):
        list(follow_generation(some, database_url="postgresql://u:p/w@host/db"))


async def test_a_closed_iterator_leaves_no_connection(story, database, connections, eventually):
    subscription = follow_generation(story.id, database_url=database)
    async with aclosing(aiter(subscription)) as updates:
        await anext(updates)
        assert connections() == 1
    eventually(lambda: connections() == 0)


async def test_leaving_the_loop_leaves_no_connection(story, database, connections, until):
    async for _ in follow_generation(story.id, database_url=database):
        break
    # The event loop closes what the loop left.
    await until(lambda: connections() == 0)


async def test_cancelling_leaves_no_connection(story, database, connections, eventually):
    updates = aiter(follow_generation(story.id, database_url=database))
    await anext(updates)
    next_one = asyncio.ensure_future(anext(updates))
    await asyncio.sleep(0)
    next_one.cancel()
    with pytest.raises(asyncio.CancelledError):
        await next_one
    eventually(lambda: connections() == 0)


async def test_the_connection_is_free_before_the_end_is_told(
    story, database, connections, eventually
):
    live(story)
    updates = aiter(follow_generation(story.id, database_url=database))
    assert (await anext(updates)).final
    eventually(lambda: connections() == 0)
    await updates.aclose()


def test_a_plain_loop_leaves_no_connection_and_no_thread(story, database, connections, eventually):
    threads = threading.active_count()
    for update in follow_generation(story.id, database_url=database):
        assert update.status == "queued"
        break
    assert threading.active_count() == threads
    eventually(lambda: connections() == 0)


def test_a_streamlit_page_may_follow_too(story, database):
    def page(id, url):
        import streamlit as st

        from lib.queue.following import follow_generation

        for update in follow_generation(id, database_url=url):
            st.text(f"{update.status} {update.progress}")

    story.begin()
    story.complete()
    app = AppTest.from_function(page, args=(story.id, database)).run()
    assert not app.exception
    assert [text.value for text in app.text] == ["completed 100"]


def test_plain_loops_in_threads_are_told_the_same(story, database, follow):
    followers = [follow(follow_generation(story.id, database_url=database)) for _ in range(5)]
    live(story)
    for follower in followers:
        assert_sound(follower.end(), "completed")


async def test_a_plain_loop_where_an_event_loop_runs_says_so(story, database):
    with pytest.raises(RuntimeError, match="use `async for`"):
        list(follow_generation(story.id, database_url=database))
