"""The list of all jobs: every page of it, forwards and backwards, is what plain SQL says."""

import json
import random
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from lib.database import load
from lib.database.pool import Connection
from lib.queue import job_counts, job_list
from lib.queue.job_counts import counts
from lib.queue.job_filters import STATUSES, VIEWS, Filters
from lib.queue.job_list import (
    Cursor,
    Fetch,
    JobRow,
    all_pages,
    by_id,
    first_page,
    page_after,
    page_before,
)

NOW = datetime.now(UTC).replace(microsecond=0)
USERS = [UUID(int=n) for n in (1, 2, 3)]
MODELS = ["a/one", "a/two", "b/100%_real", "rare/model"]
ERRORS = ["Out of memory: 100%", "no credit\nat all", "<b>x</b> \\ y"]

# The list as one statement over all rows: what runs, what waits, what has ended.
PLAIN = """
    select q.*
    from (
        select *, case
            when status = 'processing' and started_at is not null then 1
            when status = 'pending' then 2
            when status not in ('processing', 'pending') and completed_at is not null then 3
            else 4
        end as part
        from job_queue
    ) q
    order by
        part,
        case part when 1 then started_at when 3 then completed_at end desc,
        case part when 2 then priority end desc,
        case part when 2 then scheduled_at end,
        case part when 2 then created_at end,
        case when part in (2, 4) then id end,
        id desc
"""


@pytest.fixture
def fetch(db: Connection) -> Fetch:
    """The queries of the page on the test's database."""
    return lambda query, **parameters: getattr(load("jobs"), query)(db, **parameters)


@pytest.fixture
def filled(db: Connection) -> Connection:
    """Three hundred jobs in every state, many at the same moments, some without times."""
    draw = random.Random(7)
    with db.transaction():
        for user in USERS:
            db.execute("insert into auth.users (id) values (%s)", [user])
        for _ in range(300):
            add_job(db, draw)
        # The running jobs without one are stuck.
        db.execute(
            "insert into job_leases (job_id, attempt, heartbeat_at) select id, attempts, now()"
            " from job_queue where status = 'processing' and id < %s",
            [UUID(int=2**127)],
        )
    db.execute("select rebuild_rollup()")
    return db


def add_job(db: Connection, draw: random.Random) -> None:
    status = draw.choice(STATUSES)
    job_type = draw.choice(["generate-image", "generate-image", "upscale"])
    user, model = draw.choice(USERS), draw.choices(MODELS, [10, 10, 10, 1])[0]
    created = NOW - timedelta(minutes=draw.randrange(60 * 24 * 3))
    ended = created + timedelta(seconds=5) if status in STATUSES[2:] else None
    if draw.random() < 0.03:
        ended = None
    started = None if status == "pending" else created + timedelta(seconds=draw.randrange(3))
    if status == "processing" and draw.random() < 0.1:
        started = None
    payload: dict[str, Any] = {"prompt": f"fox {draw.randrange(20)}", "model_id": model}
    payload["input"] = {"seed": draw.randrange(3), "safe": draw.choice([True, None])}
    if job_type == "generate-image":
        payload["generation_id"] = str(uuid_of(draw))
        db.execute(
            "insert into image_generations (id, user_id, prompt, model_id, created_at,"
            " completed_at) values (%s, %s, 'fox', %s, %s, %s)",
            [payload["generation_id"], user, model, created, ended],
        )
    db.execute(
        "insert into job_queue (id, job_type, payload, status, created_by, priority, created_at,"
        " scheduled_at, started_at, completed_at, error_message)"
        " values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        [
            uuid_of(draw), job_type, json.dumps(payload), status, user, draw.randrange(-1, 2),
            created, created + timedelta(minutes=draw.randrange(3)), started, ended,
            draw.choice(ERRORS) if status == "failed" else None,
        ],
    )  # fmt: skip


def uuid_of(draw: random.Random) -> UUID:
    return UUID(int=draw.getrandbits(128))


def ids(rows: Iterable[Any]) -> list[UUID]:
    return [row["id"] for row in rows]


def forwards(fetch: Fetch, filters: Filters, rows: int = 7) -> list[UUID]:
    """All that the next button leads to."""
    page = first_page(fetch, filters, rows)
    found = ids(page.rows)
    while page.after:
        page = page_after(fetch, filters, reread(page.after), rows)
        found += ids(page.rows)
    return found


def backwards(fetch: Fetch, filters: Filters, rows: int = 7) -> list[UUID]:
    """All that the previous button leads to from the last page."""
    page = first_page(fetch, filters, rows)
    while page.after:
        page = page_after(fetch, filters, page.after, rows)
    found = ids(page.rows)
    while page.before:
        at_start = page
        page = page_before(fetch, filters, reread(page.before), rows)
        assert page.before is None or page.before != at_start.before
        found = [id for id in ids(page.rows) if id not in found] + found
    return found


def reread(cursor: Cursor) -> Cursor:
    """A cursor after its way through a URL."""
    read = Cursor.read(str(cursor))
    assert read == cursor
    return read


def plain(db: Connection, keep: Callable[[Any], bool]) -> list[UUID]:
    return ids(row for row in db.execute(PLAIN.encode()) if keep(row))


def is_running(job: Any) -> bool:
    # Without a recorded start it counts from the last change, which was just now.
    alive = job["id"] < UUID(int=2**127) or job["started_at"] is None
    return bool(job["status"] == "processing" and alive)


FILTERS: dict[str, tuple[Filters, Callable[[Any], bool]]] = {
    "none": (Filters(), lambda job: True),
    "pending": (Filters(("pending",)), lambda job: job["status"] == "pending"),
    "processing": (Filters(("processing",)), is_running),
    "failed": (Filters(("failed",)), lambda job: job["status"] == "failed"),
    "two statuses": (
        Filters(("pending", "cancelled")),
        lambda job: job["status"] in ("pending", "cancelled"),
    ),
    "type": (Filters(job_type="upscale"), lambda job: job["job_type"] == "upscale"),
    "model": (
        Filters(model_id="b/100%_real"),
        lambda job: job["payload"]["model_id"] == "b/100%_real",
    ),
    "rare model that completed": (
        Filters(("completed",), model_id="rare/model"),
        lambda job: job["status"] == "completed" and job["payload"]["model_id"] == "rare/model",
    ),
    "no such model": (Filters(model_id="nobody/has-it"), lambda job: False),
    "error": (
        Filters(error="MEMORY: 100%"),
        lambda job: "memory: 100%" in (job["error_message"] or "").lower(),
    ),
    "error with a backslash": (
        Filters(error="\\ y"),
        lambda job: "\\ y" in (job["error_message"] or ""),
    ),
    "payload": (
        Filters(path="prompt", value="Fox 7"),
        lambda job: job["payload"]["prompt"] == "fox 7",
    ),
    "payload with a star": (
        Filters(path="prompt", value="*x 1*"),
        lambda job: "x 1" in job["payload"]["prompt"],
    ),
    "payload inside": (
        Filters(path="input.seed", value="2"),
        lambda job: job["payload"]["input"]["seed"] == 2,
    ),
    "payload true": (
        Filters(path="input.safe", value="true"),
        lambda job: job["payload"]["input"]["safe"] is True,
    ),
    "user of a type without generations": (
        Filters(user_id=USERS[0], job_type="upscale"),
        lambda job: job["created_by"] == USERS[0] and job["job_type"] == "upscale",
    ),
    "time": (
        Filters(start=NOW - timedelta(days=2), length=timedelta(days=1)),
        lambda job: (
            job["completed_at"]
            and NOW - timedelta(days=2) <= job["completed_at"] < NOW - timedelta(days=1)
        ),
    ),
}


@pytest.mark.parametrize("name", FILTERS)
def test_every_filter_both_ways(filled: Connection, fetch: Fetch, name: str) -> None:
    filters, keep = FILTERS[name]
    expected = plain(filled, keep)
    assert forwards(fetch, filters) == expected
    assert backwards(fetch, filters) == expected
    assert [id for page in all_pages(fetch, filters) for id in ids(page)] == expected


def test_little_looked_at_per_page_finds_the_same(
    filled: Connection, fetch: Fetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Searches that are broken off again and again.
    monkeypatch.setattr(job_list, "_SCAN_LIMITS", dict.fromkeys(job_list._SCAN_LIMITS, 10))
    for filters, keep in FILTERS.values():
        expected = plain(filled, keep)
        assert forwards(fetch, filters) == expected
        assert backwards(fetch, filters) == expected


def test_a_search_says_how_far_it_came(
    filled: Connection, fetch: Fetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_list, "_SCAN_LIMITS", dict.fromkeys(job_list._SCAN_LIMITS, 10))
    nothing = Filters(("completed", "failed", "cancelled"), error="zebra")
    page = first_page(fetch, nothing)
    ended = [
        row["completed_at"]
        for row in filled.execute(
            "select completed_at from job_queue where completed_at is not null"
            " order by completed_at desc, id desc limit 10"
        )
    ]
    assert page.rows == []
    assert page.searched is not None
    assert page.searched.at == ended[-1]
    assert page.after == page.searched


def test_jobs_of_a_user_are_found_through_their_generations(
    filled: Connection, fetch: Fetch
) -> None:
    for user in USERS:
        expected = ids(
            filled.execute(
                "select q.id from job_queue q"
                " join image_generations g on g.id = generation_of(q.payload)"
                " where g.user_id = %s and not (q.completed_at is null"
                " and q.status in ('completed', 'failed', 'cancelled'))"
                " order by g.created_at desc, g.id desc",
                [user],
            )
        )
        assert len(expected) > 20
        assert forwards(fetch, Filters(user_id=user)) == expected
        assert backwards(fetch, Filters(user_id=user)) == expected


def test_jobs_by_the_beginning_of_their_id_or_their_generations(
    filled: Connection, fetch: Fetch
) -> None:
    job = filled.execute(
        "select id, generation_of(payload) as generation_id from job_queue"
        " where status = 'completed' and job_type = 'generate-image' and completed_at is not null"
        " limit 1"
    ).fetchone()
    assert job is not None
    for written in (str(job["id"]), job["id"].hex[:9], str(job["generation_id"]).upper()[:12]):
        assert ids(by_id(fetch, written)) == [job["id"]]
    assert by_id(fetch, str(uuid4())) == []


@pytest.mark.parametrize("written", ["", "123", "12345g", "'; drop table", "0" * 33])
def test_what_is_no_id_is_said(fetch: Fetch, written: str) -> None:
    with pytest.raises(ValueError, match=r"digits"):
        by_id(fetch, written)


def test_matching_jobs_are_those_of_the_list(filled: Connection, fetch: Fetch) -> None:
    for filters, keep in FILTERS.values():
        expected = plain(filled, keep)
        assert job_list.matching(fetch, filters, 1000) == (expected, True)
        assert job_list.matching(fetch, filters, 5) == (expected[:5], len(expected) <= 5)


def test_a_search_for_matching_jobs_ends(
    filled: Connection, fetch: Fetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_list, "_SCAN_LIMITS", dict.fromkeys(job_list._SCAN_LIMITS, 10))
    monkeypatch.setattr(job_list, "MAX_STRETCHES", 3)
    assert job_list.matching(fetch, Filters(("completed",), error="zebra"), 10) == ([], False)


def counted(fetch: Fetch, filters: Filters) -> dict[str, str]:
    return {view: str(number) for view, number in counts(fetch, filters).items()}


@pytest.mark.parametrize("name", FILTERS)
def test_each_view_is_counted_exactly(filled: Connection, fetch: Fetch, name: str) -> None:
    filters, keep = FILTERS[name]

    def fits(job: Any) -> bool:
        # Of a job without an end only the list knows.
        ended = job["status"] not in ("pending", "processing")
        return bool(keep(job) and (job["completed_at"] or not ended))

    without_status = replace(filters, statuses=())
    found = counted(fetch, without_status)
    for view, statuses in VIEWS.items():
        if not filters.statuses or filters.statuses == statuses:
            expected = len(
                plain(
                    filled,
                    lambda job, of=statuses: (
                        fits(job)
                        and (not of or job["status"] in of)
                        and (of != ("processing",) or is_running(job))
                    ),
                )
            )
            assert found[view] == str(expected), view


def test_parts_of_hours_are_counted_exactly(filled: Connection, fetch: Fetch) -> None:
    for minutes in (5, 50, 70, 600):
        start = NOW - timedelta(minutes=minutes * 3 + 11)
        length = timedelta(minutes=minutes)
        [expected] = filled.execute(
            "select count(*)::text from job_queue where completed_at >= %s and completed_at < %s",
            [start, start + length],
        ).fetchall()
        assert counted(fetch, Filters(start=start, length=length))["all"] == expected["count"]


def test_jobs_of_a_user_are_counted_through_their_generations(
    filled: Connection, fetch: Fetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    filters = Filters(user_id=USERS[0])
    listed = first_page(fetch, filters, 1000).rows
    found = counted(fetch, filters)
    assert found["all"] == str(len(listed))
    assert found["failed"] == str(sum(row["status"] == "failed" for row in listed))
    assert found["running"] == str(sum(map(is_running, listed))) != "0"
    monkeypatch.setattr(job_counts, "_MOST_OF_A_USER", 10)
    assert counted(fetch, filters)["all"].endswith("+")


def test_a_count_that_was_not_finished_says_so(
    filled: Connection, fetch: Fetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_counts, "LIMIT", 10)
    found = counted(fetch, Filters(job_type="upscale"))
    assert found["completed"] == "10+"
    monkeypatch.setattr(job_counts, "_MOST_SCANNED", 10)
    found = counted(fetch, Filters(error="zebra"))
    assert (found["failed"], found["all"]) == ("0+", "0+")


def test_purged_jobs_are_not_counted(filled: Connection, fetch: Fetch) -> None:
    with filled.transaction():
        # What a purge leaves of the rollup.
        filled.execute("set local session_replication_role = replica")
        filled.execute("delete from job_queue where completed_at < now() - interval '1 day'")
    for filters in (Filters(job_type="upscale"), Filters(model_id="a/one")):
        left = [row for row in first_page(fetch, filters, 1000).rows if row["completed_at"]]
        completed = sum(row["status"] == "completed" for row in left)
        assert counts(fetch, filters)["completed"].number == completed > 0


@pytest.mark.parametrize(
    "written",
    [
        None,
        "",
        "finished",
        "unknown_0_0_0_" + "0" * 32,
        "pending_99999999999_0_0_" + "0" * 32,
        "pending_0_999999999999999999_0_" + "0" * 32,
        "finished_0_0_0_" + "0" * 31 + "'",
    ],
)
def test_a_place_that_is_none(written: str | None) -> None:
    assert Cursor.read(written) is None


def test_a_place_of_another_list_begins_anew(filled: Connection, fetch: Fetch) -> None:
    cursor = Cursor("running", NOW, uuid4())
    page = page_after(fetch, Filters(("failed",)), cursor, 5)
    assert page == first_page(fetch, Filters(("failed",)), 5)
    assert page == page_before(fetch, Filters(("failed",)), cursor, 5)


def test_an_empty_queue(fetch: Fetch) -> None:
    page = first_page(fetch, Filters())
    assert (page.rows, page.before, page.after, page.searched) == ([], None, None, None)


def test_jobs_that_come_while_one_pages_do_not_move_what_was_seen(
    filled: Connection, fetch: Fetch
) -> None:
    done = Filters(("completed",))
    first = first_page(fetch, done, 7)
    assert first.after is not None
    second = page_after(fetch, done, first.after, 7)
    with filled.transaction():
        filled.execute(
            "insert into job_queue (job_type, status, completed_at)"
            " select 'generate-image', 'completed', now() from generate_series(1, 5)"
        )
    assert page_after(fetch, done, first.after, 7) == second


def test_a_job_has_the_fields_that_its_type_names(db: Connection, fetch: Fetch) -> None:
    db.execute("insert into job_queue (id, job_type) values (gen_random_uuid(), 'a')")
    [row] = first_page(fetch, Filters()).rows
    internal = {"walk", "walk_at", "walk_id", "fits", "last"}
    assert row.keys() - internal == JobRow.__annotations__.keys()
    [row] = by_id(fetch, str(row["id"]))
    assert row.keys() == JobRow.__annotations__.keys()
