"""No ordinary task of an operator takes more than four clicks from the Overview.

Typing into a field counts as one click, with the Enter after it; a confirmation counts too.
`pytest -n0 -s -m ""` prints a table of the tasks with clicks and seconds.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from operator_at_work import LONG, Operator
from playwright.sync_api import Page, expect
from running_app import App, apps

from lib.database import connect
from lib.database.pool import Connection
from lib.database.sample_history import IMAGES

pytestmark = pytest.mark.slow

MOST = 4
PICTURE = IMAGES / "sample-island-dusk.webp"
EMAIL = "ann@studio.example"
SCHNELL, DEV = "black-forest-labs/flux-schnell", "black-forest-labs/flux-dev"


@pytest.fixture(scope="module")
def app(eventually: Callable, shared_database: str) -> Iterator[App]:
    with apps(eventually) as make:
        yield make(DATABASE_URL=shared_database).start()


@pytest.fixture
def rows(shared_database: str) -> Iterator[Connection]:
    """A connection to that app's database, which is empty again afterwards."""
    with connect(shared_database) as db:
        yield db
        db.execute(
            "truncate job_queue, image_generations, queue_pauses, provider_breakers, workers,"
            " user_limits, auth.users cascade"
        )


@pytest.fixture
def operator(page: Page, request: pytest.FixtureRequest) -> Iterator[Callable[[App], Operator]]:
    come: list[Operator] = []

    def comes(app: App) -> Operator:
        come.append(Operator(page, app))
        return come[-1]

    yield comes
    for each in come:
        task = request.node.name.removeprefix("test_").replace("_", " ")
        print(f"\n{task:50}{each.clicks:2} clicks{each.seconds:6.1f} s", end="")
        assert each.clicks <= MOST


def test_sees_what_is_wrong(app, rows, operator):
    rows.execute(
        "insert into job_queue (job_type, status, attempts, started_at, updated_at)"
        " values ('a', 'processing', 1, now() - interval '1 hour', now() - interval '1 hour')"
    )
    one = operator(app)
    one.sees(one.page.get_by_text(re.compile("1 job stuck: no heartbeat for 1 h")))
    one.sees(one.button("Reset 1 stuck job"))


def test_retries_a_failed_group(app, rows, operator):
    """300 jobs, which are not the most frequent group but the second on the Overview."""
    rows.execute(
        "insert into job_queue (job_type, status, attempts, started_at, completed_at,"
        " error_message) select 'a', 'failed', 3, now(), now(), case when n <= 300 then"
        " 'out of memory' else 'no such host' end from generate_series(1, 800) n"
    )
    one = operator(app)
    one.click(one.button("Retry all 300"))
    one.confirm("Retry 300 jobs")
    one.sees(one.page.get_by_text("300 jobs put back on the queue."))
    left = rows.execute("select error_message from job_queue where status = 'failed'").fetchall()
    assert [row["error_message"] for row in left] == ["no such host"] * 500


def test_resets_stuck_jobs(app, rows, operator):
    rows.execute(
        "insert into job_queue (job_type, status, attempts, started_at, updated_at)"
        " select 'a', 'processing', 1, now() - interval '1 hour', now() - interval '1 hour'"
        " from generate_series(1, 4)"
    )
    one = operator(app)
    one.click(one.button("Reset 4 stuck jobs"))
    one.confirm("Reset 4 stuck jobs")
    one.sees(one.page.get_by_text("4 jobs put back on the queue."))


def test_cancels_all_pending_jobs_of_a_model(app, rows, operator):
    rows.execute(
        "insert into job_queue (job_type, payload, scheduled_at) select 'a',"
        " jsonb_build_object('model_id', case when n <= 300 then 'owner/big' else 'owner/other'"
        " end), now() + interval '1 day' from generate_series(1, 310) n"
    )
    one = operator(app)
    one.click(one.sidebar("Jobs"))
    one.sees(one.tab("Pending 310"))
    one.type(one.page.get_by_role("combobox", name="Model"), "owner/big", "Enter")
    one.click(one.button("Cancel all 300 pending"))
    one.confirm("Cancel 300 jobs")
    one.sees(one.page.get_by_text("300 jobs cancelled."))
    left = rows.execute("select count(*) from job_queue where status = 'pending'").fetchall()
    assert left == [{"count": 10}]


def test_stops_everything(app, rows, operator):
    one = operator(app)
    one.click(one.button("Pause queue"))
    one.confirm("Pause queue")
    one.sees(one.page.get_by_text(re.compile(r"Queue paused by .* \(all jobs\)")))
    assert rows.execute("select job_type from queue_pauses").fetchall() == [{"job_type": "*"}]


def test_sees_that_the_provider_is_down_and_what_to_do(app, rows, operator):
    rows.execute(
        "insert into workers (id, kind, host, pid, process_started_at, version, job_types,"
        " concurrency, last_seen_at) values (gen_random_uuid(), 'worker', 'h', 1, now(), '1',"
        " '{generate-image}', 3, now() + interval '10 minutes')"
    )
    rows.execute(
        "insert into provider_breakers (provider, opened_at, open_until, reason) values"
        " ('replicate', now() - interval '12 minutes', now() + interval '5 minutes', '502')"
    )
    one = operator(app)
    one.sees(one.page.get_by_text(re.compile("Provider replicate down for 12 min.*Next test in")))
    one.sees(one.button("Test replicate now"))


def asked(rows: Connection, *prompts: str) -> None:
    """The user requests images."""
    rows.execute("insert into auth.users (id, email) values (gen_random_uuid(), %s)", [EMAIL])
    for prompt in prompts:
        rows.execute("select start_generation(id, %s, %s) from auth.users", [prompt, SCHNELL])


def refused(rows: Connection) -> None:
    """The provider refuses the oldest pending job."""
    [job] = rows.execute("select id from claim_jobs(1)").fetchall()
    rows.execute(
        "select complete_job(%s, false, 'flagged', '{\"permanent\": true,"
        ' "code": "prediction_failed"}\')',
        [job["id"]],
    )


def test_finds_a_user_s_missing_image_by_e_mail_and_why(app, rows, operator):
    asked(rows, "A red kite", "A lighthouse")
    refused(rows)
    one = operator(app)
    one.click(one.page.get_by_role("button", name="Search Shortcut"))
    one.type(one.page.get_by_role("searchbox", name="Search"), "studio")
    one.click(one.page.get_by_role("dialog").get_by_role("link", name=re.compile("^ann")))
    one.type(one.page.get_by_role("textbox", name="Prompt contains"), "kite", "Enter")
    why = one.page.locator("canvas", has_text="Refused: flagged")
    expect(why).to_have_count(1, timeout=LONG)


def test_finds_a_user_s_missing_image_by_prompt_and_why(app, rows, operator):
    asked(rows, "A red kite")
    refused(rows)
    one = operator(app)
    one.click(one.page.get_by_role("button", name="Search Shortcut"))
    one.type(one.page.get_by_role("searchbox", name="Search"), "red kite")
    one.click(one.page.get_by_role("dialog").get_by_role("link", name="Failed: A red kite"))
    one.sees(one.page.get_by_test_id("stAlert").filter(has_text="flagged"))


def test_changes_a_user_s_limit_and_sees_that_it_worked(app, rows, operator):
    asked(rows, "A red kite")
    one = operator(app)
    one.click(one.sidebar("Users"))
    one.type(one.page.get_by_role("textbox", name="Search by e-mail"), "studio", "Enter")
    one.type(one.page.get_by_role("spinbutton", name="Images per hour"), "3", "Enter")
    one.confirm("Set limits")
    one.sees(one.page.get_by_text("set: 3 images per hour"))
    one.sees(one.page.get_by_text("1 of 3"))


def test_sees_the_slowest_model_and_whether_it_got_worse(app, rows, operator):
    for ago, seconds in (("2 hours", 9), ("9 days", 4)):
        rows.execute(
            "insert into job_queue (job_type, payload, status, attempts, scheduled_at, started_at,"
            " completed_at) select 'generate-image', jsonb_build_object('model_id', %s::text),"
            " 'completed', 1, at - make_interval(secs => %s), at - make_interval(secs => %s), at"
            " from (select now() - %s::interval - n * interval '1 min' as at"
            " from generate_series(1, 60) n) j",
            [DEV, seconds, seconds, ago],
        )
    one = operator(app)
    one.click(one.sidebar("Models"))
    one.sees(one.page.get_by_text("flux-dev: p50 run time is up"))
    one.sees(one.page.get_by_text(re.compile("Slowest: flux-dev, p95 run")))


def test_enqueues_a_job_of_any_type(app, rows, operator):
    one = operator(app)
    one.click(one.sidebar("Jobs"))
    one.click(one.button("Enqueue job"))
    dialog = one.page.get_by_role("dialog")
    one.type(dialog.get_by_role("combobox", name="Type"), "resize", "Enter")
    one.type(dialog.get_by_label("Payload (JSON object)"), '{"width": 5}', "Control+Enter")
    one.sees(one.page.get_by_role("link", name=re.compile("^Job [0-9a-f]{8}$")))
    added = rows.execute("select job_type, payload from job_queue").fetchall()
    assert added == [{"job_type": "resize", "payload": {"width": 5}}]


def test_shares_a_filtered_view(app, rows, operator, browser):
    rows.execute(
        "insert into job_queue (job_type, payload, scheduled_at) select 'a',"
        " jsonb_build_object('model_id', 'owner/m' || n % 2), now() + interval '1 day'"
        " from generate_series(1, 9) n"
    )
    one = operator(app)
    one.click(one.sidebar("Jobs"))
    one.sees(one.tab("Pending 9"))
    one.type(one.page.get_by_role("combobox", name="Model"), "owner/m1", "Enter")
    one.sees(one.tab("Pending 5"))
    other = browser.new_page()
    other.goto(one.page.url)
    expect(other.get_by_role("radio", name="Pending 5", exact=True)).to_be_visible(timeout=LONG)
    other.close()


@pytest.fixture(scope="module")
def generating(eventually: Callable) -> Iterator[App]:
    """An app with a worker."""
    with apps(eventually) as make:
        yield make(DARKROOM_SAMPLE_DATA="0").start()


def started(app: App, prompt: str, **fields: Any) -> str:
    """The id of the job of a new generation."""
    generation = {"prompt": prompt, "model_id": SCHNELL, "test": True} | fields
    return str(app.call("start-generation", generation)["job_id"])


def test_runs_a_job_again_with_another_seed(generating, eventually, operator):
    job = started(generating, "A lighthouse", seed=1)
    completed = "select from job_queue where status = 'completed'"
    eventually(lambda: generating.rows(completed), 60)
    one = operator(generating)
    # An image opens its job in a tab of its own.
    with one.page.expect_popup() as opened:
        one.click(one.page.get_by_role("link", name="A lighthouse"))
    one.page = opened.value
    one.click(one.button("Run again…"))
    dialog = one.page.get_by_role("dialog")
    one.type(dialog.get_by_role("spinbutton", name="Seed"), "2", "Enter")
    one.click(dialog.get_by_role("button", name="Run again", exact=True))
    expect(one.page).not_to_have_url(re.compile(job), timeout=LONG)
    seeds = generating.rows("select parameters ->> 'seed' as seed from image_generations")
    assert sorted(row["seed"] for row in seeds) == ["1", "2"]


def test_generates_four_images_at_once(generating, operator):
    one = operator(generating)
    one.click(one.sidebar("Generate"))
    one.type(one.page.get_by_label("Images per job", exact=True), "4", "Enter")
    one.type(one.page.get_by_label("Prompt", exact=True), "Four kites")
    one.click(one.button("Generate 4 images"))
    images = one.page.get_by_role("img", name=re.compile("^Image . of 4: Four kites"))
    expect(images).to_have_count(4, timeout=LONG)


def test_makes_an_image_of_an_image(generating, operator):
    """Four clicks beside typing: the prompt is not counted."""
    one = operator(generating)
    one.click(one.sidebar("Generate"))
    models = one.page.get_by_role("combobox", name="Models")
    models.press("Backspace")
    one.type(models, "kontext-pro", "Enter")
    models.press("Escape")
    with one.page.expect_file_chooser() as chooser:
        one.click(one.button("Upload"))
    chooser.value.set_files(PICTURE)
    expect(one.page.get_by_role("img", name=PICTURE.name)).to_be_visible(timeout=LONG)
    one.page.get_by_label("Prompt", exact=True).fill("The same at night")
    one.click(one.button("Generate 1 image"))
    one.sees(one.page.get_by_text("1 of 1 completed"))
    one.sees(one.page.get_by_role("img", name="The same at night"))


def test_reads_the_log_of_a_running_job(generating, operator):
    started(generating, "A boat [slow]", model_id=DEV, num_inference_steps=30)
    one = operator(generating)
    one.click(one.link("flux-dev · A boat"))
    log = one.page.get_by_test_id("stCode").filter(has_text="Using seed")
    expect(log).to_contain_text("1/30", timeout=LONG)
    [row] = generating.rows("select status from job_queue order by created_at desc limit 1")
    assert row["status"] == "processing"


def test_submits_a_first_test_and_watches_it(make_app, operator):
    """The strip of an empty queue leads there, and no longer afterwards."""
    one = operator(make_app(DARKROOM_SAMPLE_DATA="0", DARKROOM_SIMULATOR_SPEED="50").start())
    one.sees(one.page.get_by_text("The queue is empty. No jobs have run yet."))
    one.click(one.link("Generate the first image"))
    one.type(one.page.get_by_label("Prompt", exact=True), "A red kite")
    one.click(one.button("Generate 1 image"))
    one.sees(one.page.get_by_role("img", name="A red kite"))
    one.sees(one.page.get_by_text("1 of 1 completed"))
    one.page.get_by_role("link", name="Overview").click()
    one.sees(one.page.get_by_text("1 completed in the last hour"))
    expect(one.link("Generate the first image")).to_be_hidden()


def test_sample_history_says_what_it_is(make_app, page: Page):
    page.goto(make_app().start().url)
    welcome = page.get_by_test_id("stMain").get_by_text("Sample data: 30 days of simulated jobs.")
    expect(welcome).to_be_visible(timeout=LONG)
    page.get_by_role("link", name="Generate an image").click()
    expect(page.get_by_role("heading", name="Generate")).to_be_visible(timeout=LONG)


def test_removes_the_sample_data(make_app, operator):
    """The strip offers it, and leaves an empty queue with its first steps."""
    app = make_app().start()
    one = operator(app)
    one.click(one.button("Remove sample data"))
    one.sees(one.page.get_by_text("40 sample users, with all their jobs, images and statistics"))
    one.confirm("Remove sample data")
    one.sees(one.page.get_by_text(re.compile(r"Sample data removed: [\d,]+ jobs\.")))
    one.sees(one.page.get_by_text("The queue is empty. No jobs have run yet."))
    one.sees(one.link("Call it from an application"))
    assert app.rows("select 1 as job from job_queue limit 1") == []
    assert list((app.folder / "images").glob("sample-*")) == []
