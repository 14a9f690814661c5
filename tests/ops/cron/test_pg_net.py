"""Requests that pg_net sends in batches, each batch in one transaction, as cron runs see them."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from cron_calls import KEY, URL, one, ran
from cron_server import send_requests

from lib.database import connect
from lib.database.pool import Connection

LEFT = b"""
select cron.unschedule(jobid) from cron.job;
delete from cron.job_run_details;
delete from vault.secrets;
truncate public.cron_requests, net.http_request_queue, net._http_response;
"""
ASK = "select request_process_jobs(%s, 'darkroom_secret_key', 10)"
RUNS = "select waiting, sent_at, response_status, succeeded from cron_runs() order by run_id"
FAILING = "select failures_in_row, last_error from cron_jobs()"
EARLIER = "update cron_requests set requested_at = requested_at - make_interval(secs => %s)"


@pytest.fixture
def conn(cron_database: str) -> Iterator[Connection]:
    """A connection to the database with pg_cron, and a key; what is done over it stays."""
    with connect(cron_database) as conn:
        conn.execute("insert into vault.secrets values ('darkroom_secret_key', %s)", [KEY])
        yield conn
        conn.execute(LEFT)


@contextmanager
def functions(go_on: threading.Event) -> Iterator[str]:
    """The address of functions that answer at once, except /slow, which waits for the event."""

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            if self.path == "/slow":
                go_on.wait(20)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever).start()
    yield f"http://127.0.0.1:{server.server_port}"
    go_on.set()
    server.shutdown()
    server.server_close()


def test_a_call_waits_for_the_slowest_of_its_batch_and_is_not_missed_meanwhile(
    cron_database, conn, eventually
):
    go_on = threading.Event()
    command = "select public.request_process_jobs()"

    def ask(url: str) -> None:
        pid = one(conn, "select pg_backend_pid()")
        run = ran(conn, 1, command=command, pid=pid)
        one(conn, ASK, f"{url}/functions/v1/process-jobs")
        conn.execute(
            "update cron.job_run_details set start_time = now() - interval '1 second',"
            " end_time = null where runid = %s",
            [run],
        )

    with functions(go_on) as url, connect(cron_database) as pg_net, ThreadPoolExecutor(1) as thread:
        one(conn, "select net.http_post(%s, timeout_milliseconds := 20000)", f"{url}/slow")
        ask(url)
        sending = thread.submit(send_requests, pg_net)
        active = "select from pg_stat_activity where pid = %s and state = 'idle in transaction'"
        eventually(lambda: conn.execute(active, [pg_net.info.backend_pid]).fetchall())
        # Sent and perhaps answered, but the batch is open: still in the queue, no response.
        [row] = conn.execute(RUNS)
        assert tuple(row.values()) == (True, None, None, None)
        go_on.set()
        assert len(sending.result()) == 2
    answers = conn.execute("select id, created from net._http_response").fetchall()
    assert len({answer["created"] for answer in answers}) == 1
    [row] = conn.execute(RUNS)
    assert (row["waiting"], row["response_status"], row["succeeded"]) == (False, 200, True)
    assert row["sent_at"] == answers[0]["created"]


@pytest.mark.parametrize(
    ("seconds", "succeeded", "failing"),
    [
        (165, None, (0, None)),
        (299, None, (0, None)),
        (301, False, (1, "The request is still in pg_net's queue.")),
    ],
)
def test_a_request_that_stays_in_the_queue_is_late_after_two_calls(
    with_key, seconds, succeeded, failing
):
    job_id = one(with_key, "select schedule_process_jobs('me', '* * * * *', %s)", URL)
    pid = one(with_key, "select pg_backend_pid()")
    ran(with_key, job_id, command="select public.request_process_jobs()", pid=pid)
    with_key.execute(
        "update cron.job_run_details set end_time = null,"
        " start_time = now() - make_interval(secs => %s + 1)",
        [seconds],
    )
    one(with_key, ASK, URL)
    with_key.execute(EARLIER, [seconds])
    [row] = with_key.execute(RUNS)
    assert tuple(row.values()) == (True, None, None, succeeded)
    assert tuple(with_key.execute(FAILING).fetchone().values()) == failing


def test_requests_of_an_hourly_schedule_that_pg_net_never_sends_are_failures(with_key):
    job_id = one(with_key, "select schedule_process_jobs('me', '0 * * * *', %s)", URL)
    for hours in (4, 3, 2, 1):
        run = ran(with_key, job_id, command="select public.request_process_jobs()", pid=hours)
        with_key.execute(
            "update cron.job_run_details set start_time = now() - make_interval(hours => %s),"
            " end_time = now() - make_interval(hours => %s) + interval '1 second' where runid = %s",
            [hours, hours, run],
        )
        with_key.execute(
            "update cron_requests set pid = %s, requested_at = now() - make_interval(hours => %s)"
            " where request_id = %s",
            [hours, hours, one(with_key, ASK, URL)],
        )
    assert [tuple(row.values()) for row in with_key.execute(RUNS)] == [
        (True, None, None, False)
    ] * 4
    failing = with_key.execute(FAILING).fetchone()
    assert tuple(failing.values()) == (4, "The request is still in pg_net's queue.")
    # A crash has emptied the queue, and pg_net counts from 1 again.
    with_key.execute(
        "insert into cron_requests (requested_at, request_id, pid)"
        " select now(), request_id, 99 from cron_requests"
    )
    assert {row["waiting"] for row in with_key.execute(RUNS)} == {False}


def test_a_request_that_a_crash_has_lost_is_nobodys_failure(with_key):
    job_id = one(with_key, "select schedule_process_jobs('me', '* * * * *', %s)", URL)
    run = ran(with_key, job_id, command="select public.request_process_jobs()")
    with_key.execute(
        "insert into cron_requests select start_time, 7, job_pid from cron.job_run_details"
        " where runid = %s",
        [run],
    )
    [row] = with_key.execute(RUNS)
    assert tuple(row.values()) == (False, None, None, None)
    assert tuple(with_key.execute(FAILING).fetchone().values()) == (0, None)


def test_a_table_of_pg_net_that_may_not_be_read_is_left_alone(with_key):
    one(with_key, "select schedule_process_jobs('me', '* * * * *', %s)", URL)
    with_key.execute("drop table net.http_request_queue cascade")
    assert with_key.execute(FAILING).fetchall()
