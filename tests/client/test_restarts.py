"""The database restarted in the middle of a subscription: the final state comes exactly once."""

import random
import signal
import threading
import time

import pytest
from story import Story, assert_sound

from lib.database import connect
from lib.queue.following import follow_generation

RESTARTS = (signal.SIGINT, signal.SIGQUIT)


@pytest.fixture
def story(server):
    with connect(server.url) as db:
        return Story(db)


def then(server, story, *steps):
    with connect(server.url) as db:
        story.on(db)
        for step in steps:
            step()


@pytest.mark.parametrize("how", RESTARTS)
def test_before_the_end(server, story, follow, how):
    follower = follow(follow_generation(story.id, database_url=server.url))
    then(server, story, story.begin, lambda: story.progress(40))
    server.stop(how)
    server.start()
    then(server, story, lambda: story.progress(60), story.complete)
    assert_sound(follower.end(), "completed")


@pytest.mark.parametrize("how", RESTARTS)
def test_right_after_the_end_was_written(server, story, follow, how):
    follower = follow(follow_generation(story.id, database_url=server.url))
    then(server, story, story.begin, story.complete)
    server.stop(how)
    server.start()
    assert_sound(follower.end(), "completed")


async def test_the_end_written_and_the_server_gone_before_it_is_read(server, story):
    updates = aiter(follow_generation(story.id, database_url=server.url))
    seen = [await anext(updates)]
    then(server, story, story.begin, story.fail)
    server.stop(signal.SIGQUIT)
    starting = threading.Timer(0.5, server.start)
    starting.start()
    seen += [update async for update in updates]
    starting.join()
    assert_sound(seen, "failed")


async def test_restarted_again_after_the_end_was_told(server, story):
    then(server, story, story.begin, story.complete)
    updates = aiter(follow_generation(story.id, database_url=server.url))
    seen = [await anext(updates)]
    server.stop(signal.SIGINT)
    server.start()
    seen += [update async for update in updates]
    assert_sound(seen, "completed")


def test_several_followers_through_restarts_at_any_moment(server, follow):
    chance = random.Random(5)
    with connect(server.url) as db:
        stories = [Story(db) for _ in range(4)]
    followers = [follow(follow_generation(s.id, database_url=server.url)) for s in stories]
    for how in RESTARTS:
        with connect(server.url) as db:
            for story in stories[:1]:
                story.on(db).begin()
                story.progress(chance.randrange(1, 100))
                story.complete()
            del stories[:1]
            for story in stories:
                story.on(db)
                if chance.random() < 0.5:
                    story.begin()
                    story.progress(chance.randrange(1, 100))
                    story.fail(permanent=False)
        time.sleep(chance.uniform(0, 0.05))  # any moment of what follows the commit
        server.stop(how)
        server.start()
    then(server, stories[0], stories[0].begin, stories[0].complete)
    then(server, stories[1], stories[1].cancel)
    endings = ["completed"] * 3 + ["cancelled"]
    for follower, ending in zip(followers, endings, strict=True):
        assert_sound(follower.end(), ending)
