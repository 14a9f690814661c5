"""One command: embedded database, functions, worker and pages in one process and port."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from PIL import Image

GENERATION = {"prompt": "A lighthouse", "model_id": "black-forest-labs/flux-schnell", "test": True}


def ended(app, number):
    """The jobs of the app once `number` of them have ended."""
    rows = app.rows("select * from public.job_queue where completed_at is not null")
    return rows if len(rows) == number else None


def test_a_generation_runs_to_an_image_that_the_app_serves(make_app, eventually):
    app = make_app(DARKROOM_SAMPLE_DATA="0", DARKROOM_SIMULATOR_SPEED="50").start()
    app.call("start-generation", GENERATION)
    assert eventually(lambda: ended(app, 1))[0]["status"] == "completed"
    [row] = app.rows("select * from public.image_generations")
    # No address of this process: another one may serve the folder tomorrow.
    assert row["image_url"] == f"/images/{row['storage_path']}"
    image = httpx.get(f"{app.url}{row['image_url']}")
    assert image.headers["content-type"] == "image/webp"
    app.folder.joinpath("seen.webp").write_bytes(image.content)
    assert Image.open(app.folder / "seen.webp").size == (1024, 1024)


def test_starts_with_labelled_history_and_makes_its_keys_once_and_never_logs_them(make_app):
    app = make_app().start(empty_folder=True)
    keys = app.keys
    [jobs] = app.rows("select count(*) from public.job_queue")
    assert jobs["count"] > 10_000
    app.end()
    app.start()
    assert app.keys == keys
    assert app.rows("select count(*) from public.job_queue") == [jobs]
    app.end()
    log = app.log.read_text()
    assert "Traceback" not in log
    for secret in (keys.secret, keys.publishable, keys.jwt_secret):
        assert secret not in log


def test_refuses_other_host_names_and_unknown_functions(make_app):
    app = make_app(DARKROOM_SAMPLE_DATA="0").start()
    for path in ("/functions/v1/process-jobs", "/images/x.png", "/"):
        answer = httpx.get(f"{app.url}{path}", headers={"Host": "evil.example"})
        assert answer.status_code == 400
    unknown = httpx.get(f"{app.url}/functions/v1/nothing")
    assert (unknown.status_code, unknown.json()["success"]) == (404, False)
    # Encoded, or the client would tidy the path before it is sent.
    for path in ("/images/%2e%2e/keys.json", "/images/..%2fkeys.json"):
        assert app.keys.secret not in httpx.get(f"{app.url}{path}").text


@pytest.mark.slow
def test_ten_jobs_survive_a_killed_app_and_complete_once(make_app, eventually):
    app = make_app(DARKROOM_SAMPLE_DATA="0", DARKROOM_SIMULATOR_SPEED="2").start()
    slow = GENERATION | {"model_id": "black-forest-labs/flux-dev"}
    for _ in range(10):
        app.call("start-generation", slow)
    running = "select from public.image_generations where prediction_id is not null"
    eventually(lambda: len(app.rows(running)) == 10)
    app.end(signal.SIGKILL)
    before = app.rows("select id, prediction_id from public.image_generations order by id")
    app.start()
    jobs = eventually(lambda: ended(app, 10), 60)
    assert {job["status"] for job in jobs} == {"completed"}
    # Nothing was paid for twice, and every image is there.
    after = app.rows("select id, prediction_id from public.image_generations order by id")
    assert after == before
    assert len(list((app.folder / "images").rglob("*.thumbnail.webp"))) == 10


@pytest.mark.slow
def test_two_apps_on_one_folder_share_the_queue(make_app, eventually):
    apps = [
        make_app(DARKROOM_SAMPLE_DATA="0", DARKROOM_SIMULATOR_SPEED="50").start() for _ in range(2)
    ]
    for n in range(10):
        apps[n % 2].call("start-generation", GENERATION)
    assert {job["status"] for job in eventually(lambda: ended(apps[0], 10))} == {"completed"}
    apps[0].end()
    apps[1].call("start-generation", GENERATION)
    assert len(eventually(lambda: ended(apps[1], 11))) == 11


def test_a_stopped_app_gives_its_jobs_back(make_app, eventually):
    app = make_app(DARKROOM_SAMPLE_DATA="0", DARKROOM_STOP_GRACE_SECONDS="0").start()
    app.call("start-generation", GENERATION | {"prompt": "Never ends [hang]"})
    processing = "select from public.job_queue where status = 'processing'"
    eventually(lambda: app.rows(processing))
    app.end()
    [job] = app.rows("select status, attempts, max_attempts from public.job_queue")
    assert job == {"status": "pending", "attempts": 1, "max_attempts": 4}


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_app_stops_its_database(make_app, how):
    app = make_app(DARKROOM_SAMPLE_DATA="0").start()
    pid_file = app.folder / "postgres" / "data" / "postmaster.pid"
    assert pid_file.exists()
    app.end(how)
    assert not pid_file.exists()


@pytest.mark.slow
def test_a_killed_database_is_brought_back(make_app, eventually):
    app = make_app(DARKROOM_SAMPLE_DATA="0", DARKROOM_SIMULATOR_SPEED="50").start()
    app.call("start-generation", GENERATION)
    eventually(lambda: ended(app, 1))
    [pid, *_] = (app.folder / "postgres" / "data" / "postmaster.pid").read_text().splitlines()
    os.kill(int(pid), signal.SIGKILL)
    eventually(lambda: app.post("start-generation", GENERATION).is_success, 60)
    assert {job["status"] for job in eventually(lambda: ended(app, 2), 60)} == {"completed"}


def test_stops_at_once_although_a_request_still_runs(make_app, database, db, eventually):
    # With a database of its own the app has no worker: only the request runs the job.
    app = make_app(DATABASE_URL=database).start()
    app.call("start-generation", GENERATION | {"prompt": "Never ends [hang]"})
    status = "select status from public.job_queue"
    with ThreadPoolExecutor(1) as thread:
        thread.submit(app.post, "process-jobs")
        eventually(lambda: db.execute(status).fetchone()["status"] == "processing")
        app.end()
    assert db.execute(status).fetchone()["status"] == "pending"
