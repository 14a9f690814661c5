"""Operators keep the queue in order: tasks, a purge, a model, an index, each by button."""

import re

import pytest
from playwright.sync_api import Page, expect
from running_app import apps

pytestmark = pytest.mark.slow

LONG = 30_000
MODEL = "black-forest-labs/flux-schnell"


@pytest.fixture(scope="module")
def app(eventually):
    with apps(eventually) as make:
        yield make().start()


def confirm(page: Page, button: str) -> None:
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name=button, exact=True).click(timeout=LONG)


def test_a_task_is_ticked_off_with_who_did_it(app, page: Page):
    page.goto(f"{app.url}/maintenance")
    main = page.get_by_test_id("stMain")
    expect(main.get_by_text("12 of 12 tasks due")).to_be_visible(timeout=LONG)
    buttons = main.get_by_role("button", name="Mark as done")
    expect(buttons).to_have_count(12)  # They do not come in order.
    buttons.first.click()
    confirm(page, "Mark as done")
    expect(page.get_by_text("“Check the overview” marked as done.")).to_be_visible(timeout=LONG)
    expect(main.get_by_text("11 of 12 tasks due")).to_be_visible(timeout=LONG)
    expect(main.get_by_text(re.compile(r"Last done .* by .* \(local\)"))).to_have_count(1)
    main.get_by_role("button", name="Purge", exact=True).last.click()
    expect(main.get_by_text("Recent purges")).to_be_visible(timeout=LONG)
    assert "view=Purge" in page.url


def test_old_jobs_are_purged_and_the_figures_stay(app, page: Page, eventually):
    count = "select count(*) from public.job_queue"
    sums = "select status, sum(jobs)::int as jobs from public.job_stats('-infinity', 'infinity')"
    before = app.rows(f"{sums} where bucket < now() - interval '9 days' group by 1 order by 1")
    page.goto(f"{app.url}/maintenance?view=Purge&days=10")
    main = page.get_by_test_id("stMain")
    button = main.get_by_role("button", name=re.compile(r"^Purge about 1\d,\d{3} "))
    expect(button).to_be_visible(timeout=LONG)
    label = button.inner_text()
    expected = int(re.sub(r"\D", "", label))
    [there] = app.rows(count)
    assert there["count"] > expected > 10_000
    button.click()
    expect(page.get_by_role("dialog")).to_contain_text("users' images are kept")
    confirm(page, label)
    expect(main.get_by_text("No jobs to delete.")).to_be_visible(timeout=60_000)
    [left] = app.rows(count)
    assert there["count"] - left["count"] == pytest.approx(expected, abs=50)
    assert before == app.rows(
        f"{sums} where bucket < now() - interval '9 days' group by 1 order by 1"
    )
    [record] = app.rows(
        "select affected, actor from public.audit_log where action = 'purge_finished_jobs'"
    )
    assert record["affected"] == there["count"] - left["count"]
    assert record["actor"].endswith("(local)")


def test_a_purge_that_stands_still_is_said_and_stopped(app, page: Page):
    app.rows("select * from public.purge_finished_jobs('ana', interval '3 days', 1)")
    app.rows(
        "update public.purge_runs set last_batch_at = now() - interval '2 minutes' returning 1"
    )
    page.goto(f"{app.url}/maintenance?view=Purge&days=3")
    main = page.get_by_test_id("stMain")
    expect(main.get_by_text("No progress for 1 min")).to_be_visible(timeout=LONG)
    expect(
        main.get_by_text(re.compile(r"^1 of about .* jobs deleted\. Started by ana at"))
    ).to_be_visible()
    main.get_by_role("button", name="Stop purge").click()
    confirm(page, "Stop purge")
    expect(page.get_by_text("Purge stopped.")).to_be_visible(timeout=LONG)
    expect(main.get_by_role("button", name=re.compile("^Purge about"))).to_be_visible(timeout=LONG)
    [run] = app.rows("select jobs, outcome from public.purge_runs order by id desc limit 1")
    assert run == {"jobs": 1, "outcome": "stopped"}


def test_a_model_is_checked_and_disabled(app, page: Page):
    page.goto(f"{app.url}/maintenance?view=Models&model={MODEL}")
    main = page.get_by_test_id("stMain")
    defaults = main.get_by_role("textbox", name="Default parameters (JSON)")
    expect(defaults).to_have_value(re.compile("num_inference_steps"), timeout=LONG)
    defaults.fill('{"num_inference_steps": 400}')
    main.get_by_role("button", name="Save model").click()
    confirm(page, "Save model")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("num_inference_steps")).to_be_visible()
    dialog.get_by_role("button", name="Cancel").click()
    expect(dialog).to_be_hidden()
    defaults.fill("{")
    main.get_by_role("button", name="Save model").click()
    expect(main.get_by_text("The default parameters are not valid JSON")).to_be_visible()
    defaults.fill('{"num_inference_steps": 2}')
    main.get_by_text("Enabled: users may request it").click()
    main.get_by_role("button", name="Save model").click()
    expect(dialog).to_contain_text("New requests for it are rejected", timeout=LONG)
    confirm(page, "Save model")
    expect(page.get_by_text("saved.")).to_be_visible(timeout=LONG)
    asked = {"prompt": "A fox", "model_id": MODEL, "test": True}
    assert app.post("start-generation", asked).status_code == 404


def test_an_index_is_built_anew_while_the_queue_works(app, page: Page, eventually):
    page.goto(f"{app.url}/maintenance?view=Space")
    main = page.get_by_test_id("stMain")
    main.get_by_role("button", name="Rebuild index").click(timeout=LONG)
    rebuild = page.get_by_role("dialog").get_by_role("button", name=re.compile("^Rebuild "))
    rebuild.click(timeout=LONG)
    expect(page.get_by_text("Reindex of")).to_be_visible(timeout=LONG)
    done = (
        "select details from public.audit_log where action = 'maintenance'"
        " and details ->> 'task' = 'indexes'"
    )
    [record] = eventually(lambda: app.rows(done))
    assert record["details"]["note"].startswith("reindex ")
