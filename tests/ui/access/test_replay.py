"""A viewer cannot act by any route: not by what an operator's browser said, nor over HTTP."""

from dataclasses import replace

import httpx
import pytest
from people import LONG, PEOPLE, audit, see_stuck, stuck
from replay import recorded, replay, whole

from lib.provider.simulator.faults import FaultFile, Faults

pytestmark = pytest.mark.slow

MARK = "markof7e57"


def states(rows) -> list[str]:
    found = rows.execute("select status from job_queue order by created_at").fetchall()
    return [row["status"] for row in found]


def test_what_an_operator_confirmed_does_nothing_for_a_viewer(signed_app, people, rows) -> None:
    stuck(rows, MARK)
    page = people["operator"]
    see_stuck(page, signed_app)
    said = recorded(page)
    page.goto(f"{signed_app.url}/jobs?view=stuck&live=false")
    page.get_by_role("button", name="Reset all 1").click(timeout=LONG)
    page.get_by_role("dialog").get_by_role("button", name="Reset 1 stuck job").click(timeout=LONG)
    page.get_by_text("1 job put back on the queue.").wait_for(timeout=LONG)
    done = (PEOPLE["operator"], "reset_stuck_jobs")
    assert audit(rows) == [done]

    stuck(rows, MARK)
    viewer = people["viewer"]
    see_stuck(viewer, signed_app)
    for frames in (said, whole(said)):
        answers = replay(signed_app, viewer.context, frames)
        assert b"Requires the operator role; yours is viewer." in answers
    assert states(rows) == ["pending", "processing"]
    assert audit(rows) == [done]
    # The same in an admin's session acts: what was replayed is what acts.
    replay(signed_app, people["admin"].context, said)
    assert states(rows) == ["pending", "pending"]
    assert audit(rows) == [done, (PEOPLE["admin"], "reset_stuck_jobs")]


def test_an_action_of_a_page_that_viewers_do_not_have_does_nothing(
    signed_app, people, rows
) -> None:
    faults = FaultFile(signed_app.folder / "replicate")
    cut = replace(Faults(outage="cut"), by=MARK)
    faults.write(cut)
    page = people["operator"]
    said = recorded(page)
    page.goto(f"{signed_app.url}/fault-injection?live=false")
    page.get_by_role("button", name="Clear all faults").click(timeout=LONG)
    page.get_by_text("No active faults.").wait_for(timeout=LONG)
    done = (PEOPLE["operator"], "inject_faults")
    assert audit(rows) == [done]

    faults.write(cut)
    for frames in (said, whole(said)):
        assert MARK.encode() not in replay(signed_app, people["viewer"].context, frames)
    assert faults.exists()
    assert audit(rows) == [done]
    replay(signed_app, people["admin"].context, said)
    assert not faults.exists()
    assert audit(rows) == [done, (PEOPLE["admin"], "inject_faults")]


def test_nothing_is_said_to_who_has_a_forged_or_no_cookie(
    signed_app, people, rows, browser
) -> None:
    stuck(rows, MARK)
    page = people["viewer"]
    see_stuck(page, signed_app)
    said = recorded(page)
    page.goto(f"{signed_app.url}/jobs?view=stuck&live=false")
    page.get_by_text("Stuck 1").wait_for(timeout=LONG)
    assert MARK.encode() in replay(signed_app, page.context, said)
    stranger = browser.new_context()
    outside = stranger.new_page()
    outside.goto(signed_app.url)
    # By then it has the cookie without which nobody may open a session.
    outside.get_by_role("button", name="Sign in", exact=True).wait_for(timeout=LONG)
    assert MARK.encode() not in replay(signed_app, stranger, said)
    [cookie] = [c for c in page.context.cookies(signed_app.url) if c["name"] == "_streamlit_user"]
    forged = cookie["value"][:-4] + "AAAA"
    stranger.add_cookies([{"name": cookie["name"], "value": forged, "url": signed_app.url}])
    assert MARK.encode() not in replay(signed_app, stranger, said)
    stranger.close()


def test_cookies_are_no_key_to_the_functions(signed_app, people, rows) -> None:
    for role in ("viewer", "admin"):
        cookies = people[role].context.cookies(signed_app.url)
        for function in ("start-generation", "process-jobs", "process-generation"):
            answer = httpx.post(
                f"{signed_app.url}/functions/v1/{function}",
                json={"prompt": "A lighthouse", "model_id": "black-forest-labs/flux-schnell"},
                cookies={cookie["name"]: cookie["value"] for cookie in cookies},
                headers={"Origin": signed_app.url},
            )
            assert answer.status_code == 401
    assert states(rows) == []
