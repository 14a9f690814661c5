"""What really happened to each job, written down by triggers of the tests' own."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from lib.database.pool import Connection

TRIES = 3
"""What a job may use up before it fails; attempts that are given back come on top."""

# Every write of a status counts, even of the same one again: that would be a second end.
TRIGGERS = """
create schema journal;
create table journal.jobs (
    n bigint generated always as identity, job_id uuid, status text, attempt int
);
create table journal.generations (
    n bigint generated always as identity,
    generation_id uuid, attempt int, status text, prediction_id text, image_url text
);
create function journal.note_job() returns trigger language plpgsql as $$
begin
    insert into journal.jobs (job_id, status, attempt) values (new.id, new.status, new.attempts);
    return null;
end $$;
create function journal.note_generation() returns trigger language plpgsql as $$
begin
    insert into journal.generations (generation_id, attempt, status, prediction_id, image_url)
    values (
        new.id,
        (select max(q.attempts) from public.job_queue q
         where public.generation_of(q.payload) = new.id and q.status in ('pending', 'processing')),
        nullif(new.status, old.status),
        nullif(new.prediction_id, old.prediction_id),
        nullif(new.image_url, old.image_url)
    );
    return null;
end $$;
create trigger note_job after update of status on public.job_queue
    for each row execute function journal.note_job();
create trigger note_generation after update on public.image_generations
    for each row when (
        (old.status, old.prediction_id, old.image_url)
        is distinct from (new.status, new.prediction_id, new.image_url)
    )
    execute function journal.note_generation();
"""

ENQUEUE = """
select public.start_generation(
    null, 'Number ' || n, 'black-forest-labs/flux-schnell', '{"width": 64, "height": 1024}', 'test'
)
from generate_series(%s::int, %s::int) as n
"""

STORIES = """
select q.id as job_id, g.id as generation_id, g.prompt, q.status, g.status as generation,
       q.attempts, q.max_attempts, g.prediction_id, g.image_url, g.storage_path,
       coalesce(q.error_details -> 'attempts', '[]') as errors,
       array(
           select j.status || ' ' || j.attempt from journal.jobs j
           where j.job_id = q.id order by j.n
       ) as course,
       array(
           select c.attempt from journal.generations c
           where c.generation_id = g.id and c.status = 'processing' order by c.n
       ) as begun,
       array(
           select c.attempt from journal.generations c
           where c.generation_id = g.id and c.prediction_id is not null order by c.n
       ) as recorded,
       array(
           select c.image_url from journal.generations c
           where c.generation_id = g.id and c.image_url is not null order by c.n
       ) as images
from public.job_queue q
left join public.image_generations g on g.id = public.generation_of(q.payload)
"""


@dataclass(frozen=True, slots=True)
class Story:
    """A job with all that was ever written of it. Lists are in the order of events."""

    job_id: UUID
    generation_id: UUID
    prompt: str
    status: str
    generation: str
    attempts: int
    max_attempts: int
    prediction_id: str | None
    image_url: str | None
    storage_path: str | None
    errors: list[dict[str, Any]]
    """Of attempts that failed or were taken from their worker."""
    course: list[str]
    """Each status written, with the attempt: "processing 1", "completed 1"."""
    begun: list[int]
    """Attempts that began the generation."""
    recorded: list[int]
    """Attempts that stored a prediction."""
    images: list[str]
    """Each image URL written."""

    @property
    def given_back(self) -> int:
        """Attempts that were returned without using up a try."""
        return self.max_attempts - TRIES

    @property
    def failures(self) -> list[dict[str, Any]]:
        """The errors but for those after which a prediction was looked for, which use no try."""
        return [e for e in self.errors if e["details"].get("code") != "creation_unknown"]

    @property
    def lost(self) -> list[int]:
        """Attempts that were taken from a silent worker."""
        return [e["attempt"] for e in self.errors if e["details"].get("code") == "worker_lost"]


def keep(connection: Connection) -> None:
    """Writes down from now on what happens; lets lost jobs be tried again at once."""
    connection.execute(TRIGGERS)
    connection.execute("update public.job_types set backoff_base_seconds = 0.1")


def enqueue(connection: Connection, jobs: int, *, first: int = 1) -> None:
    """Requests generations in one transaction, their prompts numbered from `first` on."""
    connection.execute(ENQUEUE, (first, first + jobs - 1))


def count(connection: Connection, *statuses: str) -> int:
    """How many jobs are in one of the statuses."""
    row = connection.execute(
        "select count(*) from public.job_queue where status = any (%s)", (list(statuses),)
    ).fetchone()
    assert row
    return int(row["count"])


def stories(connection: Connection) -> list[Story]:
    """The stories of all jobs."""
    return [Story(**row) for row in connection.execute(STORIES)]


def assert_ended_once(story: Story) -> None:
    """Asserts that one attempt followed the other and only the last one ended the job."""
    course = []
    for attempt in range(1, story.attempts + 1):
        course += [f"processing {attempt}", f"pending {attempt}"]
    course[-1] = f"{story.status} {story.attempts}"
    assert story.course == course, story
    assert story.status in ("completed", "failed"), story
    assert story.generation == story.status, story
    # Whatever took an attempt away is written down, once, or the attempt was given back.
    completed = story.status == "completed"
    assert len(story.failures) == story.attempts - story.given_back - completed, story
    assert len({error["attempt"] for error in story.errors}) == len(story.errors), story
    assert completed or len(story.failures) == TRIES, story
    assert len(story.images) == completed, story
    assert (story.image_url is not None) == completed, story
