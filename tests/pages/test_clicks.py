"""No job of the operator takes more than four clicks from the Overview.

Typing into a field counts as one click, with the Enter after it; a confirmation counts too. With
pytest -n0 -s clicks and seconds of each are printed.
"""

import re
import time
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Locator, Page, expect
from running_app import App, apps

from lib.database import connect
from lib.database.pool import Connection

MOST = 4
LONG = 60_000
EMAIL = "ann@studio.example"


class Operator:
    """Somebody at the Overview, whose clicks are counted."""

    def __init__(self, page: Page, app: App) -> None:
        self.page = page
        self.clicks = 0
        page.goto(app.url)
        # The last part of the Overview.
        expect(page.get_by_role("heading", name="Running jobs")).to_be_visible(timeout=LONG)
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    def click(self, target: Locator, **where: object) -> None:
        self.clicks += 1
        target.click(timeout=LONG, **where)

    def type(self, field: Locator, text: str, *, enter: bool = False) -> None:
        self.clicks += 1
        field.fill(text, timeout=LONG)
        if enter:
            field.press("Enter")

    def sees(self, target: Locator) -> None:
        expect(target.first).to_be_visible(timeout=LONG)

    def link(self, name: str) -> Locator:
        return self.page.get_by_test_id("stMain").get_by_role("link", name=name).first

    def sidebar(self, name: str) -> Locator:
        links = self.page.get_by_test_id("stSidebar").get_by_role(
            "link", name=re.compile(f"^{name}")
        )
        return links.first

    def tab(self, name: str) -> Locator:
        return self.page.get_by_role("radio", name=name, exact=True)

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    def confirm(self, name: str) -> None:
        self.click(self.page.get_by_role("dialog").get_by_role("button", name=name, exact=True))


@pytest.fixture(scope="module")
def app(eventually: Callable, shared_database: str) -> Iterator[App]:
    with apps(eventually) as make:
        yield make(DATABASE_URL=shared_database).start()


@pytest.fixture
def rows(shared_database: str) -> Iterator[Connection]:
    """A connection to that app's database, which is empty again afterwards."""
    with connect(shared_database) as db:
        yield db
        db.execute("truncate job_queue, image_generations, queue_pauses, auth.users cascade")


@pytest.fixture
def operator(page: Page, request: pytest.FixtureRequest) -> Iterator[Callable[[App], Operator]]:
    come: list[Operator] = []

    def comes(app: App) -> Operator:
        come.append(Operator(page, app))
        return come[-1]

    yield comes
    for each in come:
        print(f"{request.node.name}: {each.clicks} clicks, {each.seconds:.1f} s")
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
    """Not the most frequent group, but the second on the Overview."""
    rows.execute(
        "insert into job_queue (job_type, status, attempts, started_at, completed_at,"
        " error_message) select 'a', 'failed', 3, now(), now(), case when n <= 3 then"
        " 'out of memory' else 'no such host' end from generate_series(1, 8) n"
    )
    one = operator(app)
    one.click(one.button("Retry all 3"))
    one.confirm("Retry 3 jobs")
    one.sees(one.page.get_by_text("3 jobs put back on the queue."))
    left = rows.execute("select error_message from job_queue where status = 'failed'").fetchall()
    assert [row["error_message"] for row in left] == ["no such host"] * 5


def test_resets_stuck_jobs(app, rows, operator):
    rows.execute(
        "insert into job_queue (job_type, status, attempts, started_at, updated_at)"
        " select 'a', 'processing', 1, now() - interval '1 hour', now() - interval '1 hour'"
        " from generate_series(1, 4)"
    )
    one = operator(app)
    one.click(one.button("Reset 4 stuck jobs"))
    one.confirm("Reset 4 jobs")
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
    one.type(one.page.get_by_role("combobox", name="Model"), "owner/big", enter=True)
    one.click(one.button("Cancel all 300 pending"))
    one.confirm("Cancel 300 jobs")
    one.sees(one.page.get_by_text("300 jobs cancelled."))
    left = rows.execute("select count(*) from job_queue where status = 'pending'").fetchall()
    assert left == [{"count": 10}]


def test_stops_everything(app, rows, operator):
    one = operator(app)
    one.click(one.button("Pause queue"))
    one.confirm("Pause queue")
    one.sees(one.page.get_by_text("Queue paused for all jobs"))
    assert rows.execute("select job_type from queue_pauses").fetchall() == [{"job_type": "*"}]


def test_finds_a_user_s_job(app, rows, operator):
    rows.execute("insert into auth.users (id, email) values (gen_random_uuid(), %s)", [EMAIL])
    rows.execute(
        "with asked as (insert into image_generations (user_id, prompt, model_id, status,"
        " completed_at) select u.id, 'A red kite', m.id, 'failed', now() from auth.users u,"
        " (select id from models limit 1) m returning *)"
        " insert into job_queue (job_type, payload, status, created_by, completed_at)"
        " select 'generate-image', jsonb_build_object('prompt', prompt, 'generation_id', id),"
        " 'failed', user_id, completed_at from asked"
    )
    one = operator(app)
    one.click(one.page.get_by_role("button", name="Search Shortcut"))
    one.type(one.page.get_by_role("searchbox", name="Search"), "red kite")
    one.click(one.page.get_by_role("dialog").get_by_role("link", name="Failed: A red kite"))
    one.sees(one.page.get_by_text("no error recorded"))


def test_submits_a_first_test_and_watches_it(make_app, operator):
    """The strip of an empty queue leads there, and no longer afterwards."""
    one = operator(make_app(DARKROOM_SAMPLE_DATA="0", DARKROOM_SIMULATOR_SPEED="50").start())
    one.sees(one.page.get_by_text("The queue is empty. No jobs have run yet."))
    one.click(one.link("Generate the first image"))
    one.type(one.page.get_by_label("Prompt", exact=True), "A red kite")
    one.click(one.button("Generate 1 image"))
    one.sees(one.page.get_by_role("img", name="A red kite"))
    one.sees(one.page.get_by_text("1 of 1 done"))
    one.page.get_by_role("link", name="Overview").click()
    one.sees(one.page.get_by_text("1 completed in the last hour"))
    expect(one.link("Generate the first image")).to_be_hidden()


def test_sample_history_says_what_it_is(make_app, page: Page):
    page.goto(make_app().start().url)
    welcome = page.get_by_test_id("stMain").get_by_text("Sample data: 30 days of invented jobs.")
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
