"""A new demo is healthy, and its monitoring endpoints answer on the app's own port."""

import httpx
import pytest
from running_app import apps

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def app(eventually):
    with apps(eventually) as make:
        yield make().start()


def test_a_new_demo_is_healthy(app, eventually):
    answer = eventually(lambda: known(httpx.get(f"{app.url}/healthz")))
    assert answer.status_code == 200
    # The sample history has stuck jobs, to be reset by whoever tries it.
    assert answer.json() == {
        "status": "warning",
        "alerts": [{"rule": "stuck_jobs", "severity": "warning"}],
    }


def known(answer):
    return answer if "alerts" in answer.json() else None


def test_metrics_are_for_this_computer(app):
    answer = httpx.get(f"{app.url}/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    assert 'darkroom_alert_firing{rule="stuck_jobs"' in answer.text
    assert 'darkroom_jobs_ended_total{job_type="generate-image",status="completed"}' in answer.text


def test_a_monitor_elsewhere_needs_the_token(eventually):
    with apps(eventually) as make:
        app = make(DARKROOM_SAMPLE_DATA="0", METRICS_TOKEN="s3cret").start()
        assert httpx.get(f"{app.url}/metrics").status_code == 401
        sent = {"authorization": "Bearer s3cret"}
        answer = eventually(
            lambda: scraped(httpx.get(f"{app.url}/metrics", headers=sent)),
        )
        assert "darkroom_workers 1.0" in answer.text


def test_the_app_itself_sees_that_there_is_no_worker(make_app, db, database, eventually):
    db.execute("update public.alert_watch set began_at = now() - interval '1 hour'")
    app = make_app(DATABASE_URL=database).start()
    answer = eventually(lambda: known(httpx.get(f"{app.url}/healthz")))
    assert answer.status_code == 503
    assert answer.json() == {
        "status": "critical",
        "alerts": [{"rule": "no_worker", "severity": "critical"}],
    }


def scraped(answer):
    return answer if answer.is_success and "darkroom_workers 1.0" in answer.text else None
