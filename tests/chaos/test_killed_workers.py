"""Workers killed at random moments, until all jobs have ended."""

import random
import time

import httpx
import journal
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

JOBS = 500
KILLING_SECONDS = 25
WORKERS = 4
RESCUE = {"DARKROOM_RESCUE_SECONDS": "1"}


def test_each_of_500_jobs_ends_once_with_one_image(crew, db, database):
    journal.keep(db)
    journal.enqueue(db, JOBS)
    work_while_workers_are_killed(crew, db, database)
    stories = journal.stories(db)
    assert len(stories) == JOBS
    assert db.execute("select from public.job_leases").fetchall() == []
    assert any(story.lost for story in stories), "no kill hit a running job"
    for story in stories:
        journal.assert_ended_once(story)
        # Nothing went wrong but the kills: they alone may have cost a try.
        assert len(story.lost) == len(story.failures), story
    assert_one_prediction_followed(crew, stories)
    assert_one_image_each(crew, stories)


def work_while_workers_are_killed(crew, db, database):
    """Kills and replaces workers until all jobs have ended."""
    chance = random.Random(20261124)
    alive = [crew.start(database, **RESCUE) for _ in range(WORKERS)]
    began = time.monotonic()
    deadline = began + 200
    while journal.count(db, "completed", "failed") < JOBS:
        assert time.monotonic() < deadline, "the jobs do not end"
        # Waits for nothing: that the kill comes at any moment is the point.
        time.sleep(chance.uniform(0.3, 0.7))
        if time.monotonic() > began + KILLING_SECONDS:
            continue  # What was killed while it created is looked for, for 40 seconds.
        victim = alive.pop(chance.randrange(len(alive)))
        assert victim.alive, victim.log
        victim.kill()
        alive.append(crew.start(database, **RESCUE))
    for worker in alive:
        worker.kill()


def assert_one_prediction_followed(crew, stories):
    """No attempt makes a second prediction, or any once one is stored.

    What a kill between making and storing costs cannot be saved, for Replicate has no
    idempotency key; so an attempt that was lost before anything was stored may leave one
    prediction behind, and nothing else may.
    """
    made = crew.predictions()
    for story in stories:
        assert len(story.recorded) == (story.prediction_id is not None), story
        makers = story.recorded[0] if story.recorded else story.attempts
        assert made[story.prompt] <= makers, (made[story.prompt], story)


def assert_one_image_each(crew, stories):
    """Each completed job's one file is the image of the prediction that it names."""
    files = {
        str(path.relative_to(crew.images)): path
        for path in crew.images.rglob("*")
        if path.is_file() and not path.name.endswith((".thumbnail.webp", ".part"))
    }
    kept = {story.storage_path for story in stories if story.status == "completed"}
    assert kept <= files.keys()
    # A worker may die between keeping the file and ending the job, and that may be the last try.
    unfinished = {
        f"anonymous/{story.generation_id}/0.webp" for story in stories if story.status == "failed"
    }
    assert files.keys() - kept <= unfinished
    with httpx.Client(base_url=crew.provider) as provider:
        for story in stories:
            # With one attempt there was no other prediction to take the image of.
            if story.status == "completed" and story.attempts > 1:
                image = provider.get(f"/files/{story.prediction_id}/out-0.webp").content
                assert files[story.storage_path].read_bytes() == image, story
