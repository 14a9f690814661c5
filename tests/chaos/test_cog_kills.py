"""Workers and a real Cog server killed at random moments: nothing runs twice at a time.

Cog forgets a run when the request for it is gone, so a run that was under way at a kill is run
again. Cog's own record says what ran, ours must account for all of it.
"""

import itertools
import random
import time
from collections import Counter
from pathlib import Path

import pytest
from cog_server import MODEL, cog_server

from lib.ops.models import schemas
from lib.ops.models.published import fetch
from lib.resources import provider
from lib.settings import settings

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

JOBS, AT_REPLICATE, WORKER_KILLS, SERVER_KILLS = 30, 10, 5, 3
SCHNELL = "black-forest-labs/flux-schnell"
START = "select public.start_generation(null, %s, %s, %s, 'test')"
SETTINGS = {"DARKROOM_RESCUE_SECONDS": "1", "DARKROOM_STOP_GRACE_SECONDS": "0"}
LEFT = (
    "select count(*)::int as jobs from public.job_queue where status in ('pending', 'processing')"
)
UNHEARD = ("unknown", "canceled", "expired")


def add_model(db, url: str) -> None:
    published = fetch(provider(settings(), ("cog", url)), MODEL)
    schemas.save(db, "Ann", None, published, display_name="Tiny")


def hurry(db) -> None:
    """End every wait, for it is not the waits that are tested."""
    db.execute("update public.provider_breakers set open_until = now() where open_until > now()")
    db.execute("update public.job_queue set scheduled_at = now() where status = 'pending'")


def test_a_storm_of_kills_repeats_what_nobody_heard_and_runs_nothing_twice_at_a_time(
    crew, db, database, tmp_path: Path
):
    with cog_server(tmp_path / "cog") as server:
        add_model(db, server.url)
        for number in range(JOBS):
            db.execute(START, (f"cog {number}", MODEL, '{"seconds": 0.6}'))
        for number in range(AT_REPLICATE):
            db.execute(START, (f"replicate {number}", SCHNELL, "{}"))
        db.execute("update public.job_queue set max_attempts = 30")
        chance = random.Random(27)
        alive = [crew.start(database, **SETTINGS) for _ in range(2)]
        kills = ["worker"] * WORKER_KILLS + ["server"] * SERVER_KILLS
        chance.shuffle(kills)
        until = time.monotonic() + 300
        while db.execute(LEFT).fetchone()["jobs"]:
            assert time.monotonic() < until, "the jobs do not end"
            time.sleep(chance.uniform(1, 3) if kills else 1)
            if not kills:
                hurry(db)
            elif kills.pop() == "worker":
                alive.pop(chance.randrange(len(alive))).kill()
                alive.append(crew.start(database, **SETTINGS))
            else:
                server.kill()
                # A moment in which jobs meet a server that is away.
                time.sleep(1)
                server.start()
                hurry(db)
        runs = server.runs()

    assert not kills
    statuses = db.execute("select status from public.job_queue").fetchall()
    assert {row["status"] for row in statuses} == {"completed"}
    rows = db.execute(
        "select input ->> 'prompt' as prompt, status, provider from public.predictions"
        " where model_id = %s",
        (MODEL,),
    ).fetchall()
    assert {row["provider"] for row in rows} == {"cog"}
    succeeded = Counter(row["prompt"] for row in rows if row["status"] == "succeeded")
    unheard = Counter(row["prompt"] for row in rows if row["status"] in UNHEARD)
    failed = Counter(row["prompt"] for row in rows if row["status"] == "failed")
    made = Counter(run.prompt for run in runs)
    assert succeeded == {f"cog {number}": 1 for number in range(JOBS)}
    for prompt, times in made.items():
        # Every run beyond the one whose image is shown is in the ledger.
        assert times <= 1 + unheard[prompt] + failed[prompt], prompt
    assert sum(unheard.values()) > 0, "no kill hit a run"
    # The server runs one at a time; a run without an end was killed with its server.
    for one, next_one in itertools.pairwise(runs):
        assert one.end is None or one.end <= next_one.start, (one, next_one)
    shown = db.execute("select unknown from public.unknown_outcomes").fetchone()
    known = {row["prompt"] for row in rows if row["status"] == "unknown"}
    assert shown["unknown"] == len(known)
    images = db.execute("select count(*)::int as n from public.outputs").fetchone()
    assert images["n"] == JOBS + AT_REPLICATE


@pytest.mark.parametrize(
    ("seconds", "how", "status"),
    [
        # Its connection stays open, so Cog goes on until our cancel.
        (60, "cancel", "canceled"),
        # It ends before anybody cancels it, and only the frozen worker could have heard that.
        (0.5, "end", "unknown"),
    ],
)
def test_a_run_of_a_frozen_worker_is_repeated_only_once_it_has_stopped(
    crew, db, database, tmp_path: Path, eventually, seconds, how, status
):
    with cog_server(tmp_path / "cog") as server:
        add_model(db, server.url)
        db.execute(START, ("frozen", MODEL, f'{{"seconds": {seconds}}}'))
        first = crew.start(database, **SETTINGS)
        eventually(server.runs)
        first.freeze()
        db.execute("update public.image_generations set parameters = '{\"seconds\": 0.2}'")
        crew.start(database, **SETTINGS)
        done = "select from public.job_queue where status = 'completed'"
        eventually(lambda: db.execute(done).fetchone() is not None, 60)
        runs = server.runs()
        first.thaw()
    assert [run.how for run in runs] == [how, "end"]
    assert runs[0].end is not None
    assert runs[0].end <= runs[1].start
    found = db.execute("select status from public.predictions order by created_at").fetchall()
    assert [row["status"] for row in found] == [status, "succeeded"]
