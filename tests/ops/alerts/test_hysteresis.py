"""An alert fires when it is wrong for long enough, and is over when it is right for as long."""

import pytest

from lib.database import connect


def age(queue, seconds):
    """Lets what has begun have begun so much earlier."""
    queue.back("alerts", "began_at", seconds)
    queue.back("alerts", "calm_since", seconds)


def cancel(queue, jobs):
    queue.one(
        "select count(*) from public.cancel_jobs('me', array("
        "select id from public.job_queue where status = 'pending' limit %s))",
        jobs,
    )


def test_fires_only_after_its_time(queue, evaluate):
    queue.enqueue(101)
    [begun] = evaluate("pending_jobs")
    assert begun["fired_at"] is None
    age(queue, 59)
    [waiting] = evaluate("pending_jobs")
    assert waiting["fired_at"] is None
    age(queue, 1)
    [fired] = evaluate("pending_jobs")
    assert fired["id"] == begun["id"]
    assert fired["fired_at"]


def test_what_does_not_last_is_no_alert(queue, evaluate):
    queue.enqueue(101)
    evaluate("pending_jobs")
    cancel(queue, 1)
    assert evaluate("pending_jobs") == []
    queue.enqueue()
    age(queue, 59)
    [again] = evaluate("pending_jobs")
    assert again["fired_at"] is None


@pytest.fixture
def firing(queue, evaluate):
    queue.enqueue(101)
    evaluate("pending_jobs")
    age(queue, 60)
    [alert] = evaluate("pending_jobs")
    assert alert["fired_at"]
    return alert


def test_between_the_thresholds_it_goes_on(queue, evaluate, firing):
    cancel(queue, 20)
    [alert] = evaluate("pending_jobs")
    assert (alert["value"], alert["calm_since"]) == (81, None)
    age(queue, 9999)
    assert evaluate("pending_jobs")[0]["resolved_at"] is None


def test_is_over_only_when_it_stays_right(queue, evaluate, firing):
    cancel(queue, 21)
    assert evaluate("pending_jobs")[0]["resolved_at"] is None
    age(queue, 59)
    queue.enqueue()
    [relapsed] = evaluate("pending_jobs")
    assert (relapsed["calm_since"], relapsed["resolved_at"]) == (None, None)
    cancel(queue, 1)
    assert evaluate("pending_jobs")[0]["resolved_at"] is None
    age(queue, 60)
    [over] = evaluate("pending_jobs")
    assert over["resolved_at"]
    assert (over["worst"], over["value"]) == (101, 80)


def test_a_relapse_is_a_new_alert(queue, evaluate, firing):
    cancel(queue, 101)
    evaluate("pending_jobs")
    age(queue, 60)
    evaluate("pending_jobs")
    queue.enqueue(101)
    before, after = evaluate("pending_jobs")
    assert before["id"] == firing["id"]
    assert after["fired_at"] is None


def test_two_evaluators_at_once_make_one_alert_and_tell_once(
    db, database, queue, change_rule, add_channel, told
):
    change_rule("stuck_jobs", threshold=0)
    add_channel()
    queue.one("select public.pause_queue('me')")
    queue.back("queue_pauses", "paused_at", 9999)
    with connect(database) as other, db.transaction():
        assert queue.one("select public.evaluate_alerts()") is True
        # The first has not committed yet.
        assert other.execute("select public.evaluate_alerts() as done").fetchone() == {
            "done": False
        }
    assert queue.one("select public.evaluate_alerts()") is True
    assert queue.one("select public.evaluate_alerts('1 minute')") is False
    assert told() == ["firing queue_paused"]


def test_what_is_long_over_is_forgotten(db, queue, evaluate, add_channel):
    add_channel()
    queue.one("select public.pause_queue('me')")
    queue.back("queue_pauses", "paused_at", 9999)
    evaluate("queue_paused")
    queue.one("select public.resume_queue('me')")
    evaluate("queue_paused")
    queue.one("select public.silence_alerts('me', null, null, 60)")
    for days, left in ((89, 1), (2, 0)):
        queue.back("alerts", "resolved_at", days * 86_400)
        queue.back("alert_silences", "until", days * 86_400 + 60)
        assert len(evaluate("queue_paused")) == left
        assert queue.one("select count(*) from public.alert_silences") == left
    assert queue.one("select count(*) from public.alert_notifications") == 0
