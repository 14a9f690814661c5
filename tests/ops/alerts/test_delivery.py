"""Alerts reach somebody: through Apprise, over real HTTP."""

import asyncio
import logging

import pytest
from causes import CAUSES
from receiver import PASSWORD, TOKEN, receiving

from lib.database import open_async_pool
from lib.ops.alerts import watch
from lib.ops.alerts.rules import RULES
from lib.ops.alerts.watch import evaluate_and_notify
from lib.settings import settings


@pytest.fixture
def receiver():
    with receiving() as receiver:
        yield receiver


@pytest.fixture
async def pool(database):
    pool = await open_async_pool(database, wait=1, application_name="darkroom worker")
    yield pool
    await pool.close()


@pytest.fixture
def look(pool, monkeypatch):
    """Watches the alerts, however short ago that was done."""
    monkeypatch.setattr(watch, "EVALUATE_SECONDS", 0)

    async def look() -> None:
        await evaluate_and_notify(pool)

    return look


@pytest.fixture
def only(db, change_rule):
    """Switches off all rules but one, and lets that one fire at once."""

    def only(rule: str) -> None:
        for row in db.execute("select rule from public.alert_rules").fetchall():
            change_rule(row["rule"], enabled=row["rule"] == rule, for_seconds=0)

    return only


def test_every_rule_has_its_words(db):
    rules = {row["rule"] for row in db.execute("select rule from public.alert_rules")}
    assert rules == RULES.keys()


@pytest.mark.parametrize("cause", CAUSES, ids=lambda cause: cause.rule)
async def test_a_full_cycle(queue, only, look, add_channel, receiver, cause):
    only(cause.rule)
    add_channel(url=receiver.url)
    await look()
    assert receiver.got == []

    cause.provoke(queue)
    await look()
    [told] = receiver.got
    title = RULES[cause.rule].title
    assert title in told["title"]
    assert RULES[cause.rule].todo in told["message"]
    assert told["type"] in ("warning", "failure")

    await look()
    await look()
    assert len(receiver.got) == 1

    cause.mend(queue)
    await look()
    assert len(receiver.got) == 2
    assert receiver.titles[1].startswith(f"Darkroom: resolved: {title}")
    assert receiver.got[1]["type"] == "success"

    await look()
    assert len(receiver.got) == 2


@pytest.fixture
async def paused(queue, only, add_channel, receiver):
    """An alert that will be told to the receiver at the next look."""
    only("queue_paused")
    add_channel(url=receiver.url)
    queue.one("select public.pause_queue('me')")
    queue.back("queue_pauses", "paused_at", 7200)


@pytest.fixture
def published(monkeypatch):
    """The app has an address that others reach."""
    monkeypatch.setenv("DARKROOM_URL", "https://darkroom.example/")
    settings.cache_clear()
    yield
    settings.cache_clear()


async def test_says_what_is_wrong_and_what_to_do(paused, published, look, receiver):
    await look()
    [told] = receiver.got
    assert told["title"] == "Darkroom: warning: Queue paused (all jobs)"
    first, since, todo, link = told["message"].splitlines()
    assert first == "Queue paused by me 2 h ago (all jobs)."
    assert since.startswith("Since 20")
    assert todo == f"What to do: {RULES['queue_paused'].todo}"
    assert link == "https://darkroom.example/alerts"


async def test_who_is_stopped_while_telling_notes_that_it_told(
    paused, look, receiver, db, eventually
):
    receiver.answers.clear()
    watching = asyncio.create_task(look())
    await asyncio.to_thread(eventually, lambda: receiver.got)
    for _ in range(2):
        watching.cancel()
        await asyncio.sleep(0)
    receiver.answers.set()
    with pytest.raises(asyncio.CancelledError):
        await watching
    [told] = db.execute("select sent_at from public.alert_notifications").fetchall()
    assert told["sent_at"] is not None


async def test_two_who_watch_at_once_tell_once(paused, pool, receiver, monkeypatch):
    monkeypatch.setattr(watch, "EVALUATE_SECONDS", 0)
    await asyncio.gather(*(evaluate_and_notify(pool) for _ in range(4)))
    assert len(receiver.got) == 1


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (503, "The receiver rejected the message: HTTP 503."),
        (None, "The receiver was unreachable or rejected the message."),
    ],
)
async def test_a_receiver_that_is_down_is_told_later(
    db, paused, queue, look, receiver, status, error
):
    if status:
        receiver.status = status
    else:
        url = receiver.url.replace(str(receiver.server.server_port), "9")
        db.execute("update public.alert_channel_urls set url = %s", (url,))
    await look()
    assert receiver.got == []
    assert queue.one("select error from public.alert_notifications") == error
    receiver.status = 200
    db.execute("update public.alert_channel_urls set url = %s", (receiver.url,))
    await look()
    assert receiver.got == []
    queue.back("alert_notifications", "due_at", 10)
    await look()
    assert len(receiver.got) == 1
    row = db.execute("select attempts, error, sent_at from public.alert_notifications").fetchone()
    assert (row["attempts"], row["error"]) == (2, None)
    assert row["sent_at"]


async def test_one_channel_that_fails_keeps_no_other_waiting(paused, look, add_channel, receiver):
    add_channel("unknown", "nonsense://address")
    add_channel("gone", "json://127.0.0.1:9/")
    await look()
    assert len(receiver.got) == 1


async def test_names_are_told_as_text(queue, only, look, add_channel, receiver):
    only("provider_down")
    add_channel(url=receiver.url)
    hostile = "<b>{{ title }}</b> **x** \\n"
    for _ in range(5):
        queue.one("select public.record_provider_failure(%s, 'No.')", hostile)
    await look()
    assert f"Provider {hostile} down for" in receiver.got[0]["message"]


async def test_no_secret_is_logged_or_kept(db, paused, queue, look, receiver, caplog, capfd):
    with caplog.at_level(logging.DEBUG):
        for status in (200, 500):
            receiver.status = status
            queue.one("select public.resume_queue('me')")
            await look()
            queue.one("select public.pause_queue('me')")
            queue.back("queue_pauses", "paused_at", 7200)
            await look()
    kept = str(db.execute("select * from public.alert_notifications").fetchall())
    assert "HTTP 500" in kept
    written = "".join(capfd.readouterr())
    for secret in (TOKEN, PASSWORD):
        assert secret not in caplog.text + written + kept


async def test_a_database_that_is_away_ends_no_watch(look, database_away, caplog):
    with database_away():
        await look()
    assert "Alerts were not evaluated" in caplog.text


async def test_goes_on_watching(paused, pool, receiver, monkeypatch):
    monkeypatch.setattr(watch, "EVALUATE_SECONDS", 0.02)
    task = asyncio.create_task(watch.keep_evaluating_alerts(pool))
    async with asyncio.timeout(20):
        while not receiver.got:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    task.cancel()
    assert len(receiver.got) == 1
