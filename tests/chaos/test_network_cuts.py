"""Cut and frozen networks: between a worker and the database, between a worker and the provider.

What must hold however the network fails: a job ends once, with one image, and a prediction is
paid for once per generation. One exception has no remedy, for Replicate knows no idempotency key:
when the answer to a create is lost, the prediction's id is lost too, and the next attempt creates
a second one. The first ends by itself at its Cancel-After deadline.
"""

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from proxy import Proxy
from rig import Rig, database_proxy, rigged, through

from lib.database import connect
from lib.database.pool import Connection

pytestmark = pytest.mark.slow

CUTS = ["cut", "frozen"]


@pytest.fixture
def rig(
    db: Connection, database: str, tmp_path: Path, eventually: Callable[..., Any]
) -> Iterator[Rig]:
    with rigged(db, database, tmp_path, eventually) as made:
        yield made


@pytest.fixture
def database_link(database: str) -> Iterator[Proxy]:
    proxy = database_proxy(database)
    yield proxy
    proxy.close()


@pytest.fixture
def provider_link(rig: Rig) -> Iterator[Proxy]:
    proxy = Proxy(("127.0.0.1", int(rig.simulator.base_url.rpartition(":")[2])))
    yield proxy
    proxy.close()


def fail(link: Proxy, mode: str) -> None:
    link.cut() if mode == "cut" else link.freeze()


@pytest.mark.parametrize("mode", CUTS)
def test_another_worker_takes_the_jobs_of_one_that_the_network_cut_off(rig, database_link, mode):
    far = rig.worker(database=through(database_link, rig.database))
    jobs = [rig.start(f"Number {n} [slow]") for n in range(3)]
    for job in jobs:
        rig.wait_for_prediction(job)
    fail(database_link, mode)
    near = rig.worker(DARKROOM_RESCUE_SECONDS="1", DARKROOM_CONCURRENCY="3")
    rig.wait_for("completed", *jobs)
    for n, job in enumerate(jobs):
        found = rig.job(job)
        assert found["attempts"] == 2
        assert found["error_details"]["attempts"][0]["details"]["code"] == "worker_lost"
        assert len(rig.predictions(f"Number {n} [slow]")) == 1
    # Only the one that comes back is left to take the next jobs.
    assert near.stop() == 0
    database_link.resume()
    jobs.append(rig.start("After the cut"))
    rig.wait_for("completed", *jobs)
    assert far.alive
    rig.assert_ended_once(*jobs)
    held = "select from public.job_leases"
    rig.eventually(lambda: rig.db.execute(held).fetchone() is None)


def test_an_outcome_that_was_under_way_when_the_job_was_rescued_is_refused(rig, database_link):
    far = rig.worker(database=through(database_link, rig.database))
    database_link.trap_request(b"complete_jobs", "frozen")
    late = rig.start("Completed too late")
    rig.eventually(lambda: database_link.mode == "frozen")
    near = rig.worker(DARKROOM_RESCUE_SECONDS="1")
    rig.wait_for("completed", late)
    ended = rig.job(late)
    assert near.stop() == 0
    database_link.resume()
    rig.eventually(lambda: "was lost; its outcome is dropped" in far.log)
    assert rig.job(late) == ended
    after = rig.start("After the freeze")
    rig.wait_for("completed", after)
    rig.assert_ended_once(late, after)


def test_an_outcome_that_comes_while_another_attempt_runs_is_refused(rig, database, database_link):
    far = rig.worker(database=through(database_link, rig.database))
    database_link.trap_request(b"complete_jobs", "frozen")
    job = rig.start("Completed in between")
    rig.eventually(lambda: database_link.mode == "frozen")
    with closing(database_proxy(database)) as near_link:
        # It finds the image stored, and needs nothing but the database to end the job.
        near_link.trap_request(b"complete_jobs", "frozen")
        rig.worker(database=through(near_link, rig.database), DARKROOM_RESCUE_SECONDS="1")
        rig.eventually(lambda: near_link.mode == "frozen")
        assert rig.job(job)["attempts"] == 2
        database_link.resume()
        rig.eventually(lambda: "was lost; its outcome is dropped" in far.log)
        found = rig.job(job)
        assert (found["status"], found["generation"]) == ("processing", "processing")
        near_link.resume()
        rig.wait_for("completed", job)
    rig.assert_ended_once(job)


@pytest.mark.parametrize("stored", [False, True], ids=["request lost", "receipt lost"])
def test_a_result_that_the_worker_sends_again_counts_once(rig, database_link, stored):
    worker = rig.worker(database=through(database_link, rig.database))
    database_link.trap_request(b"complete_jobs", "muted" if stored else "cut")
    job = rig.start("Sent twice")
    rig.eventually(lambda: database_link.mode != "passing")
    if stored:
        rig.wait_for("completed", job)
        database_link.cut()
    assert rig.job(job)["status"] == ("completed" if stored else "processing")
    database_link.resume()
    rig.wait_for("completed", job)
    after = rig.start("Afterwards")
    rig.wait_for("completed", after)
    assert rig.job(job)["attempts"] == 1
    assert worker.alive
    rig.assert_ended_once(job, after)


def test_a_prediction_that_could_not_be_recorded_is_not_left_running(rig, database_link):
    rig.worker(database=through(database_link, rig.database))
    database_link.trap_request(b"record_prediction", "cut")
    job = rig.start("A picture [slow]")
    rig.eventually(lambda: database_link.mode == "cut")
    database_link.resume()
    rig.wait_for("completed", job)
    kept = rig.job(job)["prediction_id"]
    others = [p for p in rig.predictions("A picture [slow]") if p["id"] != kept]
    assert all(p["canceled_at"] for p in others)


def test_a_prediction_whose_receipt_was_lost_is_not_paid_for_again(rig, database_link):
    rig.worker(database=through(database_link, rig.database))
    database_link.trap_request(b"record_prediction", "muted")
    job = rig.start("Recorded in silence")
    rig.wait_for_prediction(job)
    database_link.cut()
    database_link.resume()
    rig.wait_for("completed", job)
    assert rig.job(job)["tries_left"] == 2
    assert len(rig.predictions("Recorded in silence")) == 1


def test_a_claim_that_the_worker_never_heard_of_is_given_back(rig, database_link):
    job = rig.start("Claimed by nobody")
    rig.db.execute("update public.job_queue set scheduled_at = now() + interval '1 hour'")
    rig.worker(database=through(database_link, rig.database))
    database_link.trap_answer(b"Claimed by nobody", "cut")
    rig.due_now()
    rig.eventually(lambda: database_link.mode == "cut")
    database_link.resume()
    rig.eventually(lambda: rig.job(job)["status"] == "completed", 5)
    assert rig.job(job)["tries_left"] == 2


def test_of_several_claims_under_way_the_unheard_are_given_back(rig, database_link):
    jobs = [rig.start(f"Number {n} of eight") for n in range(8)]
    rig.db.execute("update public.job_queue set scheduled_at = now() + interval '1 hour'")
    rig.worker(
        database=through(database_link, rig.database),
        DARKROOM_CLAIM_BATCH="1",
        DARKROOM_CONCURRENCY="8",
    )
    # By then four are under way at once.
    database_link.trap_answer(b"Number 6 of eight", "cut")
    rig.due_now()
    rig.eventually(lambda: database_link.mode == "cut")
    database_link.resume()
    rig.wait_for("completed", *jobs)
    assert [rig.job(job)["tries_left"] for job in jobs] == [2] * 8
    assert [len(rig.predictions(f"Number {n} of eight")) for n in range(8)] == [1] * 8
    rig.assert_ended_once(*jobs)


@pytest.mark.parametrize("mode", CUTS)
def test_a_short_cut_costs_no_attempt(rig, database_link, mode):
    worker = rig.worker(database=through(database_link, rig.database))
    jobs = [rig.start(f"Short {n} [slow]") for n in range(2)]
    for job in jobs:
        rig.wait_for_prediction(job)
    fail(database_link, mode)
    if mode == "cut":
        rig.eventually(lambda: "No heartbeat" in worker.log)
    database_link.resume()
    rig.wait_for("completed", *jobs)
    assert [rig.job(job)["tries_left"] for job in jobs] == [2, 2]
    assert [len(rig.predictions(f"Short {n} [slow]")) for n in range(2)] == [1, 1]
    rig.assert_ended_once(*jobs)


def test_connections_over_tcp_notice_a_network_that_falls_silent(rig, database_link):
    """The kernel can notice only what it is told to watch for.

    A proxy cannot show it: its own kernel goes on acknowledging.
    """
    url = through(database_link, rig.database)
    with connect(url) as connection:
        options = socket_options(connection)
    assert options["SO_KEEPALIVE"] == 1
    silence = options["TCP_KEEPIDLE"] + options["TCP_KEEPINTVL"] * options["TCP_KEEPCNT"]
    assert silence <= 30
    assert 0 < options["TCP_USER_TIMEOUT"] <= 15_000
    with connect(f"{url}?tcp_user_timeout=7000&keepalives_idle=3") as connection:
        own = socket_options(connection)
    assert (own["TCP_USER_TIMEOUT"], own["TCP_KEEPIDLE"]) == (7000, 3)


def socket_options(connection: Connection) -> dict[str, int]:
    names = ["TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT", "TCP_USER_TIMEOUT"]
    with socket.socket(fileno=os.dup(connection.fileno())) as tcp:
        found = {n: tcp.getsockopt(socket.IPPROTO_TCP, getattr(socket, n)) for n in names}
        return found | {
            "SO_KEEPALIVE": tcp.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE),
        }


CREATE, FOLLOW, DOWNLOAD = b"POST /v1/models", b"GET /v1/predictions", b"GET /files"


@pytest.mark.parametrize("mode", CUTS)
@pytest.mark.parametrize("moment", [CREATE, FOLLOW, DOWNLOAD], ids=["create", "follow", "download"])
def test_a_generation_outlives_a_provider_that_is_cut_off(rig, provider_link, moment, mode):
    worker = rig.worker(provider=provider_of(provider_link))
    provider_link.trap_request(moment, mode)
    job = rig.start("A lighthouse")
    rig.eventually(lambda: provider_link.mode == mode)
    other = rig.start("Meanwhile")
    rig.wait_for("processing", other)
    provider_link.resume()
    rig.wait_for("completed", job, other)
    assert len(rig.predictions("A lighthouse")) == 1
    assert len(rig.predictions("Meanwhile")) == 1
    # A request that fails in a cut is repeated within the attempt, except a create that was sent:
    # the next attempts look for its prediction.
    attempts = rig.job(job)["attempts"]
    assert attempts > 1 if (moment, mode) == (CREATE, "cut") else attempts == 1
    assert worker.alive
    rig.assert_ended_once(job, other)


def test_a_create_whose_answer_is_lost_is_found_by_the_next_attempt(rig, provider_link):
    rig.worker(provider=provider_of(provider_link))
    provider_link.trap_answer(b"201 Created", "cut")
    job = rig.start("Answered into the void")
    rig.eventually(lambda: provider_link.mode == "cut")
    provider_link.resume()
    rig.wait_for("completed", job)
    found = rig.job(job)
    assert found["attempts"] == 2
    assert found["error_details"]["attempts"][0]["details"]["code"] == "unreachable"
    [only] = rig.predictions("Answered into the void")
    assert found["prediction_id"] == only["id"]
    assert only["deadline_at"] - only["created_at"] == pytest.approx(305)
    rig.assert_ended_once(job)


def provider_of(link: Proxy) -> str:
    return f"http://127.0.0.1:{link.port}"
