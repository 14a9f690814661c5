"""Who is told what: each channel once, in order, again after a failure, and not while silenced."""

import pytest

from lib.database import QueryError, translated


@pytest.fixture
def pause(queue, evaluate):
    """An alert of the rule queue_paused begins, or ends."""

    def pause(paused: bool) -> None:
        if paused:
            queue.one("select public.pause_queue('me')")
            queue.back("queue_pauses", "paused_at", 9999)
        else:
            queue.one("select public.resume_queue('me')")
        evaluate("queue_paused")

    return pause


def silence(queue, rule="queue_paused", subject=None, seconds=3600):
    return queue.one("select public.silence_alerts('me', %s, %s, %s)", rule, subject, seconds)


def claim(db):
    return db.execute("select * from public.claim_notifications()").fetchall()


def settle(queue, claimed, error=None):
    return queue.one(
        "select public.settle_notification(%s, %s, %s)", claimed["id"], claimed["attempt"], error
    )


def test_each_channel_is_told_of_beginning_and_end(pause, evaluate, add_channel, told):
    add_channel("one")
    add_channel("two")
    pause(True)
    evaluate("queue_paused")
    assert told() == ["firing queue_paused"] * 2
    pause(False)
    evaluate("queue_paused")
    assert told() == ["firing queue_paused"] * 2 + ["resolved queue_paused"] * 2


def test_a_channel_for_critical_alerts_hears_of_nothing_else(
    pause, queue, evaluate, change_rule, add_channel, told
):
    add_channel(severity="critical")
    pause(True)
    assert told() == []
    change_rule("queue_paused", severity="critical")
    evaluate("queue_paused")
    assert told() == ["firing queue_paused"]


def test_a_new_channel_is_told_of_what_fires_already(pause, evaluate, add_channel, told):
    add_channel("one")
    pause(True)
    add_channel("two")
    evaluate("queue_paused")
    assert told() == ["firing queue_paused"] * 2


@pytest.mark.parametrize(
    ("rule", "subject", "silent"),
    [
        (None, None, True),
        ("queue_paused", None, True),
        ("queue_paused", "*", True),
        ("queue_paused", "other", False),
        ("stuck_jobs", None, False),
    ],
)
def test_a_silenced_alert_fires_without_a_word(
    db, pause, queue, evaluate, add_channel, told, rule, subject, silent
):
    add_channel()
    silence(queue, rule, subject)
    pause(True)
    assert evaluate("queue_paused")[0]["fired_at"]
    assert told() == ([] if silent else ["firing queue_paused"])


def test_what_still_fires_after_a_silence_is_told_once(pause, queue, evaluate, add_channel, told):
    add_channel()
    quiet = silence(queue)
    pause(True)
    assert queue.one("select public.end_alert_silence('me', %s)", quiet) is True
    assert queue.one("select public.end_alert_silence('me', %s)", quiet) is False
    evaluate("queue_paused")
    evaluate("queue_paused")
    assert told() == ["firing queue_paused"]


def test_a_silence_runs_out_by_itself(pause, queue, evaluate, add_channel, told):
    add_channel()
    silence(queue, seconds=60)
    pause(True)
    queue.back("alert_silences", "until", 61)
    evaluate("queue_paused")
    assert told() == ["firing queue_paused"]


def test_what_ended_in_a_silence_is_never_told(pause, queue, add_channel, told):
    add_channel()
    quiet = silence(queue)
    pause(True)
    pause(False)
    queue.one("select public.end_alert_silence('me', %s)", quiet)
    assert told() == []


def test_whoever_was_told_of_the_beginning_is_told_of_the_end(pause, queue, add_channel, told):
    add_channel()
    pause(True)
    silence(queue)
    pause(False)
    assert told() == ["firing queue_paused", "resolved queue_paused"]


def test_one_sender_at_a_time_and_the_end_after_the_beginning(db, pause, queue, add_channel):
    add_channel(url="json://receiver/token")
    pause(True)
    pause(False)
    [first] = claim(db)
    assert (first["kind"], first["url"]) == ("firing", "json://receiver/token")
    assert claim(db) == []
    assert settle(queue, first) is True
    assert settle(queue, first) is False
    [last] = claim(db)
    assert (last["kind"], last["worst"]) == ("resolved", first["value"])


def test_a_failure_is_tried_again_ever_later_for_a_day(db, pause, queue, add_channel):
    add_channel()
    pause(True)
    waits = []
    for _ in range(10):
        [claimed] = claim(db)
        settle(queue, claimed, "It did not answer.")
        assert claim(db) == []
        waits.append(
            round(
                queue.one(
                    "select extract(epoch from due_at - clock_timestamp())"
                    " from public.alert_notifications"
                )
            )
        )
        queue.back("alert_notifications", "due_at", 3600)
    assert waits == [10, 20, 40, 80, 160, 320, 640, 1280, 1800, 1800]
    queue.back("alert_notifications", "created_at", 86_400)
    [claimed] = claim(db)
    settle(queue, claimed, "It did not answer.")
    queue.back("alert_notifications", "due_at", 3600)
    assert claim(db) == []
    assert queue.one("select given_up_at is not null from public.alert_notifications") is True


def test_a_sender_that_died_is_followed_by_another(db, pause, queue, add_channel):
    add_channel()
    pause(True)
    [lost] = claim(db)
    queue.back("alert_notifications", "due_at", 120)
    [again] = claim(db)
    assert settle(queue, lost, "It did not answer.") is False
    assert settle(queue, again) is True


def test_what_waits_for_a_channel_that_is_off_waits_on(db, pause, queue, add_channel):
    channel = add_channel()
    pause(True)
    switch = "select public.set_alert_channel('me', %s, %s, 'warning')"
    queue.one(switch, channel, False)
    assert claim(db) == []
    queue.one(switch, channel, True)
    assert len(claim(db)) == 1


def test_a_removed_channel_leaves_no_address(db, pause, queue, add_channel):
    channel = add_channel()
    pause(True)
    assert queue.one("select public.remove_alert_channel('me', %s)", channel) is True
    assert queue.one("select public.remove_alert_channel('me', %s)", channel) is False
    assert queue.one("select count(*) from public.alert_channel_urls") == 0
    assert claim(db) == []


def test_a_test_message_is_sent_by_who_asked_and_once(db, queue, add_channel):
    channel = add_channel(url="json://receiver/token")
    test = db.execute("select * from public.begin_channel_test('me', %s)", (channel,)).fetchone()
    assert test["url"] == "json://receiver/token"
    assert claim(db) == []
    settle(queue, test, "It did not answer.")
    queue.back("alert_notifications", "due_at", 3600)
    assert claim(db) == []


def test_the_audit_log_holds_who_did_it_and_no_address(db, queue, add_channel):
    channel = add_channel(url="json://receiver/token-1")
    queue.one("select public.set_alert_channel('me', %s, false, 'critical')", channel)
    db.execute("select * from public.begin_channel_test('me', %s)", (channel,))
    queue.one("select public.remove_alert_channel('me', %s)", channel)
    queue.one("select public.end_alert_silence('me', %s)", silence(queue))
    rows = db.execute("select actor, action, details::text from public.audit_log order by id")
    found = rows.fetchall()
    assert [(row["actor"], row["action"]) for row in found] == [
        ("me", action)
        for action in (
            "add_alert_channel",
            "set_alert_channel",
            "test_alert_channel",
            "remove_alert_channel",
            "silence_alerts",
            "end_alert_silence",
        )
    ]
    assert "token-1" not in str(found)


@pytest.mark.parametrize(
    "call",
    [
        "add_alert_channel('me', ' ', 'json://x', 'json://', 'warning')",
        "add_alert_channel('me', 'pager', 'json://x', 'json://', 'loud')",
        "add_alert_channel('', 'pager', 'json://x', 'json://', 'warning')",
        "set_alert_channel('me', gen_random_uuid(), true, 'warning')",
        "begin_channel_test('me', gen_random_uuid())",
        "silence_alerts('me', 'no_such_rule', null, 3600)",
        "silence_alerts('me', null, null, 59)",
        "silence_alerts('me', null, null, 2592001)",
    ],
)
def test_what_makes_no_sense_is_refused(db, call):
    with pytest.raises(QueryError), translated():
        db.execute(f"select public.{call}")


def test_two_channels_of_one_name_are_refused_without_the_address(add_channel):
    add_channel(url="json://receiver/token-1")
    with pytest.raises(QueryError) as refused, translated():
        add_channel(url="json://receiver/token-2")
    assert refused.value.sqlstate == "DR409"
    assert "token" not in f"{refused.value} {refused.value.detail}"
