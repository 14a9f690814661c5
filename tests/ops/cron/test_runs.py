"""What became of runs: of their SQL, and of the requests that they sent."""

from cron_calls import BY_HAND, KEY, URL, one, ran, schedule

LAST = "select last_status, last_message, failures_in_row from cron_jobs()"
SENT = (
    "insert into cron_requests (requested_at, request_id, pid)"
    " select start_time, %s, %s from cron.job_run_details where runid = %s"
)
ANSWER = (
    "insert into net._http_response (id, status_code, content, timed_out, error_msg, created)"
    " select %s, %s, %s, %s, %s, start_time + interval '3 seconds'"
    " from cron.job_run_details where runid = %s"
)


def last(conn):
    [row] = conn.execute(LAST)
    return tuple(row.values())


def test_failures_count_since_the_last_success(cron):
    job_id = schedule(cron, "vacuum")
    assert last(cron) == (None, None, 0)
    ran(cron, job_id, "failed", message="ERROR: a")
    ran(cron, job_id, "failed", message="ERROR: b")
    assert last(cron) == ("failed", "ERROR: b", 2)
    ran(cron, job_id)
    assert last(cron) == ("succeeded", "1 row", 0)
    ran(cron, job_id, "failed", message="ERROR: c")
    ran(cron, job_id, "running", message="")
    assert last(cron) == ("running", "", 1)
    ran(cron, job_id + 1, "failed")
    assert last(cron) == ("running", "", 1)


def test_runs_come_newest_first_by_job_and_piece_by_piece(cron):
    jobs = [schedule(cron, "vacuum", name=name) for name in "ab"]
    runs = [ran(cron, jobs[n % 2]) for n in range(6)]

    def listed(*arguments):
        return [
            row["run_id"]
            for row in cron.execute("select run_id from cron_runs(%s, %s, %s)", arguments)
        ]

    assert listed(None, None, 10) == runs[::-1]
    assert listed(jobs[0], None, 2) == [runs[4], runs[2]]
    assert listed(jobs[0], runs[2], 2) == [runs[0]]


def test_a_run_is_joined_with_the_answer_to_its_own_request(with_key):
    conn = with_key
    job_id = one(conn, "select schedule_process_jobs('me', '* * * * *', %s)", URL)
    command = one(conn, "select command from cron_jobs()")
    first, second, third = (ran(conn, job_id, command=command, pid=pid) for pid in (11, 12, 11))
    for request, pid, run in ((7, 11, first), (8, 12, second), (9, 11, third)):
        conn.execute(SENT, [request, pid, run])
    conn.execute(ANSWER, [9, 200, '{"processed": 2}', False, None, third])
    conn.execute(ANSWER, [7, None, None, True, "Timeout was reached", first])
    answers = {
        row["run_id"]: row
        for row in conn.execute(
            "select run_id, status, asks, request_id, response_status, response_timed_out,"
            " response_error, response_text from cron_runs()"
        )
    }
    assert {run: row["request_id"] for run, row in answers.items()} == {
        first: 7,
        second: 8,
        third: 9,
    }
    assert all(row["asks"] and row["status"] == "succeeded" for row in answers.values())
    assert answers[third]["response_status"] == 200
    assert answers[third]["response_text"] == '{"processed": 2}'
    assert answers[first]["response_timed_out"]
    assert answers[first]["response_error"] == "Timeout was reached"
    assert answers[second]["response_status"] is None


def test_an_answer_of_before_a_restart_of_pg_net_is_not_taken_for_a_later_one(with_key):
    conn = with_key
    job_id = one(conn, "select schedule_process_jobs('me', '* * * * *', %s)", URL)
    earlier, later = (ran(conn, job_id, command="select net.http_post()") for _ in range(2))
    conn.execute(ANSWER, [1, 200, "", False, None, earlier])
    conn.execute(SENT, [1, 4711, later])
    [row] = conn.execute("select response_status from cron_runs() where request_id = 1")
    assert row["response_status"] is None


def test_the_only_answer_of_its_time_is_taken_for_that_of_a_command_by_hand(cron):
    job_id = schedule(cron, BY_HAND)
    first, second, third = (ran(cron, job_id, command=BY_HAND) for _ in range(3))
    ran(cron, job_id, command="vacuum")
    cron.execute(ANSWER, [1, 500, "", False, None, first])
    for request in (2, 3):
        cron.execute(ANSWER, [request, 200, "", False, None, second])
    # That of our own command, whose requests are known.
    cron.execute(SENT, [4, 4712, third])
    cron.execute(ANSWER, [4, 200, "", False, None, third])
    fourth = ran(cron, job_id, command=BY_HAND)
    cron.execute(ANSWER, [5, 200, "", False, None, fourth])
    answers = {
        row["run_id"]: (row["asks"], row["request_id"], row["response_status"], row["succeeded"])
        for row in cron.execute("select * from cron_runs()")
    }
    # Whose the error is, is not known: perhaps that of a webhook.
    assert answers[first] == (True, None, 500, None)
    assert answers[second] == answers[third] == (True, None, None, None)
    assert answers[fourth] == (True, None, 200, True)


def test_answers_that_are_errors_count_as_failures_until_one_is_not(with_key):
    conn = with_key
    job_id = one(conn, "select schedule_process_jobs('me', '* * * * *', %s)", URL)
    command = one(conn, "select command from cron_jobs()")
    failing = "select failures_in_row, last_error, last_status from cron_jobs()"
    found = []
    refused = '{"success": false, "error": {"code": "bad_key", "message": "The key is wrong."}}'
    for request, (status, text, timed_out, error) in enumerate(
        [
            (500, None, False, None),
            (401, refused, False, None),
            (None, None, True, "Timeout was reached"),
            (None, None, False, "Couldn't resolve host name"),
            (404, "<h1>Not found</h1>", False, None),
            (200, "{}", False, None),
        ],
        1,
    ):
        run = ran(conn, job_id, command=command, pid=11)
        conn.execute(SENT, [request, 11, run])
        conn.execute(ANSWER, [request, status, text, timed_out, error, run])
        found += [tuple(row.values()) for row in conn.execute(failing)]
    assert found == [
        (1, "HTTP 500", "succeeded"),
        (2, "HTTP 401: The key is wrong.", "succeeded"),
        (3, "No response in time.", "succeeded"),
        (4, "Not sent: Couldn't resolve host name", "succeeded"),
        (5, "HTTP 404: <h1>Not found</h1>", "succeeded"),
        (0, None, "succeeded"),
    ]


def test_a_time_limit_of_a_command_by_hand_is_no_failure_of_the_function(cron):
    job_id = schedule(cron, BY_HAND)
    run = ran(cron, job_id, command=BY_HAND)
    cron.execute(ANSWER, [1, None, None, True, "Timeout was reached", run])
    [row] = cron.execute("select response_timed_out, succeeded from cron_runs()")
    assert tuple(row.values()) == (True, None)
    assert last(cron) == ("succeeded", "1 row", 0)


def test_an_answer_that_holds_a_key_is_masked(with_key):
    job_id = one(with_key, "select schedule_process_jobs('me', '* * * * *', %s)", URL)
    run = ran(with_key, job_id, command="select net.http_post()")
    with_key.execute(SENT, [1, 4711, run])
    with_key.execute(ANSWER, [1, 401, f'{{"apikey": "{KEY}"}}', False, f"bad {KEY}", run])
    [row] = with_key.execute("select response_error, response_text from cron_runs()")
    assert KEY not in str(row)


def test_without_pg_net_runs_have_no_answer(cron):
    run = ran(cron, schedule(cron, "vacuum"))
    cron.execute("drop schema net cascade")
    assert one(cron, "select run_id from cron_runs()") == run


def test_a_key_that_is_a_token_is_sent_as_bearer_too(with_key):
    with_key.execute("update vault.secrets set secret = 'eyJh.eyJy.Zm9v'")
    one(with_key, "select request_process_jobs(%s, 'darkroom_secret_key', 20)", URL)
    [sent] = with_key.execute("select * from net.http_request_queue order by id desc limit 1")
    assert sent["headers"]["Authorization"] == "Bearer eyJh.eyJy.Zm9v"
    assert sent["timeout_milliseconds"] == 20_000


def test_what_was_asked_is_kept_for_a_week(with_key):
    with_key.execute("insert into cron_requests values (now() - interval '8 days', 1, 1)")
    one(with_key, "select request_process_jobs(%s, 'darkroom_secret_key', 20)", URL)
    old = "select count(*) from cron_requests where requested_at < now() - interval '7 days'"
    assert one(with_key, old) == 0
