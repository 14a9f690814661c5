"""Jobs stay pending: each cause is provoked, read on the page, repaired by its button."""

import pytest

IMAGE = (
    "select start_generation(null, 'A lighthouse', 'black-forest-labs/flux-schnell', '{}', 'test')"
)
LONG_DUE = "update job_queue set scheduled_at = now() - interval '5 minutes'"
ALIVE = (
    "insert into workers (id, kind, host, pid, process_started_at, version, job_types, concurrency)"
    " values (gen_random_uuid(), 'worker', 'h', 1, now(), '1', '{generate-image}', 2)"
)


def statuses(db):
    return [row["status"] for row in db.execute("select status from job_queue").fetchall()]


def test_a_paused_queue_is_resumed(page, db, start_worker, ended):
    start_worker()
    db.execute("select pause_queue('Eve *x*', 'generate-image', 'an <b>incident</b>')")
    db.execute(IMAGE)
    said = page.read("pending")
    assert "Queue paused by Eve *x* " in said
    assert " ago (generate-image): an <b>incident</b>." in said
    assert "1 pending job affected." in said
    assert page.press("Resume generate-image jobs") == "generate-image jobs resumed."
    assert ended(1) == ["completed"]
    assert page.healthy("pending")


def test_without_a_worker_it_says_how_to_start_one(page, db, start_worker, ended):
    db.execute(IMAGE)
    db.execute(LONG_DUE)
    said = page.read("pending")
    assert "No worker alive. 1 job pending, the oldest for 5 min" in said
    assert "python -m lib.worker" in said
    start_worker()
    assert ended(1) == ["completed"]
    assert page.healthy("pending")


def test_jobs_of_a_type_that_no_worker_knows_are_cancelled(page, db, start_worker):
    start_worker()
    db.execute("select enqueue_job('generate-imgae', '{}') from generate_series(1, 3)")
    said = page.read("pending")
    assert "No worker alive for generate-imgae jobs." in said
    assert "3 pending jobs. Either the type is misspelled" in said
    assert page.press("Cancel 3 jobs of type generate-imgae") == "3 jobs cancelled."
    assert statuses(db) == ["cancelled"] * 3
    assert page.healthy("pending")


def test_a_provider_that_is_held_for_down_is_tried(page, db, start_worker, ended):
    for _ in range(5):
        db.execute("select record_provider_failure('replicate', 'connection refused')")
    start_worker()
    db.execute(IMAGE)
    said = page.read("pending")
    assert "Provider replicate down for" in said
    assert "Last error: connection refused" in said
    assert page.press("Test replicate now") == "The next job tests replicate."
    assert ended(1) == ["completed"]
    assert page.healthy("pending")


STORAGE_FAILS = (
    "update workers set storage_error = 'The disk for images is full.',"
    " storage_failed_at = now() - interval '5 minutes', blocked_types = '{generate-image}'"
)


def test_a_storage_that_takes_no_images_is_named(page, db):
    db.execute(ALIVE)
    db.execute(IMAGE)
    db.execute(STORAGE_FAILS)
    said = page.read("pending")
    assert "Storage failing on h for 5 min" in said
    assert "; jobs that need it stay pending there." in said
    assert "The disk for images is full." in said
    assert "1 pending job affected." in said
    assert "Free up image storage" in said
    # One that can store takes them.
    db.execute(ALIVE)
    assert "0 pending jobs affected." in page.read("pending")
    db.execute("delete from workers where storage_error is not null")
    assert page.healthy("pending")


def test_a_model_that_rests_is_named(page, db):
    db.execute(ALIVE)
    db.execute("insert into model_holds values ('m', now() + interval '40 seconds', 'throttled')")
    db.execute(
        "select enqueue_job('generate-image', '{\"model_id\": \"m\"}') from generate_series(1, 3)"
    )
    said = page.read("pending")
    assert "Model m rate-limited for another" in said
    assert "Provider message: throttled" in said
    assert "3 pending jobs affected." in said
    db.execute("update model_holds set held_until = now()")
    assert page.healthy("pending")


def test_workers_that_are_busy_are_told_from_none(page, db):
    db.execute(ALIVE)
    db.execute(f"{IMAGE} from generate_series(1, 5)")
    db.execute(LONG_DUE)
    db.execute("select claim_jobs(2, null, (select id from workers))")
    said = page.read("pending")
    assert "All worker slots are in use." in said
    assert "2 of 2 slots in use, 3 jobs due" in said
    db.execute("update workers set concurrency = 9")
    assert page.healthy("pending")


def test_jobs_that_are_not_due_are_nobodys_fault(page, db):
    db.execute(ALIVE)
    db.execute("select enqueue_job('generate-image', '{}', 0, now() + interval '2 hours')")
    said = page.read("pending")
    assert "All pending jobs are scheduled for later." in said
    assert "1 job scheduled for later, the next in 1 h 59 min" in said or "in 2 h" in said
    db.execute("select cancel_jobs('me', array(select id from job_queue))")
    assert page.healthy("pending")


@pytest.mark.parametrize(
    ("jobs", "first"),
    [(1, "(upscale)"), (9, "No worker alive")],
)
def test_the_likeliest_cause_stands_first(page, db, jobs, first):
    """Paused are four jobs; without a worker waits what is not paused too."""
    db.execute("select pause_queue('me', 'upscale')")
    db.execute("select enqueue_job('upscale', '{}') from generate_series(1, 4)")
    if jobs > 1:
        db.execute("select enqueue_job('b', '{}') from generate_series(1, 9)")
    db.execute(LONG_DUE)
    lines = page.read("pending").splitlines()
    [likeliest] = [line for line in lines if "Most likely:" in line]
    assert first in likeliest


@pytest.fixture
def replica(empty_database, monkeypatch):
    """A replica that has nothing of what the database has."""
    monkeypatch.setenv("DATABASE_READ_URL", empty_database)


def test_the_database_itself_is_looked_at_where_pages_read_a_replica(replica, page, db):
    db.execute("select pause_queue('me')")
    assert "ago (all jobs)" in page.read("pending")
    assert page.press("Resume queue") == "Queue resumed."
    assert "Queue paused by" not in page.read("pending")
