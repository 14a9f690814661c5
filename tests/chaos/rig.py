"""Worker processes against a database and a provider that may be behind proxies."""

import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import uvicorn
from environment import bare
from proxy import HOST, Proxy
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from lib.database.pool import Connection
from lib.provider.simulator.app import build_app
from lib.provider.simulator.server import Simulator

PROJECT = Path(__file__).parents[2]
SCHNELL = "black-forest-labs/flux-schnell"
DEV = "black-forest-labs/flux-dev"
SPEED = 10
"""Of the simulator: flux-schnell takes 0.1 s, with [slow] in the prompt 1 s."""

HISTORY = """
create table public.endings (job_id uuid, status text, attempt int);
create function public.note_ending() returns trigger language plpgsql as $$
begin
    insert into public.endings values (new.id, new.status, new.attempts);
    return null;
end $$;
create trigger note_ending after update of status on public.job_queue
    for each row when (new.completed_at is not null) execute function public.note_ending();
update public.job_types set backoff_base_seconds = 0.1, backoff_max_seconds = 0.1;
"""


def database_proxy(url: str) -> Proxy:
    """A proxy to a server that listens on a Unix socket."""
    folder = parse_qs(urlsplit(url).query)["host"][0]
    return Proxy(f"{folder}/.s.PGSQL.5432")


def through(proxy: Proxy, url: str) -> str:
    """The database's URL by way of the proxy."""
    return f"postgresql://postgres@{HOST}:{proxy.port}{urlsplit(url).path}"


class Process:
    """`python -m lib.worker`, or a script that runs it, as a process of its own."""

    def __init__(self, log: Path, command: list[str], settings: dict[str, str]) -> None:
        self._log = log
        with log.open("wb") as stream:
            self._process = subprocess.Popen(
                [sys.executable, *command], cwd=PROJECT, env=bare(**settings), stderr=stream
            )

    @property
    def log(self) -> str:
        return self._log.read_text()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def ask_to_stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)

    def stop(self) -> int:
        self.ask_to_stop()
        return self._process.wait(20)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def freeze(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._process.send_signal(signal.SIGCONT)


class Rig:
    """A database, a simulated provider and the worker processes between them."""

    def __init__(
        self,
        db: Connection,
        database: str,
        simulator: Simulator,
        folder: Path,
        eventually: Callable[..., Any],
    ) -> None:
        self.db = db
        self.database = database
        self.simulator = simulator
        self.folder = folder
        self.eventually = eventually
        self._processes: list[Process] = []
        db.execute(HISTORY)

    def worker(
        self,
        *,
        database: str = "",
        provider: str = "",
        command: list[str] | None = None,
        **more: str,
    ) -> Process:
        """Starts a worker process; returns once it has registered."""
        settings = {
            "DATABASE_URL": database or self.database,
            "DARKROOM_DATA": str(self.folder),
            "REPLICATE_API_TOKEN": self.simulator.token,
            "REPLICATE_API_URL": provider or self.simulator.base_url,
            "DARKROOM_HEARTBEAT_SECONDS": "0.2",
            "DARKROOM_RESCUE_SECONDS": "600",
            "DARKROOM_POLL_SECONDS": "0.05",
            "DARKROOM_STOP_GRACE_SECONDS": "0",
        }
        log = self.folder / f"worker-{len(self._processes)}.log"
        process = Process(log, command or ["-m", "lib.worker"], settings | more)
        self._processes.append(process)
        registered = "select from public.workers where pid = %s"
        self.eventually(lambda: self.db.execute(registered, (process.pid,)).fetchone() is not None)
        return process

    def end(self) -> None:
        """Kills what still runs."""
        for process in self._processes:
            process.kill()

    def start(self, prompt: str, model: str = SCHNELL) -> Any:
        """Requests a generation; the id of its job."""
        row = self.db.execute(
            "select public.start_generation(null, %s, %s, '{}', 'test') ->> 'job_id' as id",
            (prompt, model),
        ).fetchone()
        return row["id"]

    def job(self, job_id: Any) -> Any:
        """A job's row with its generation's prediction, image and state."""
        return self.db.execute(
            """
            select q.*, g.prediction_id, g.storage_path, g.status as generation,
                   q.max_attempts - q.attempts as tries_left
            from public.job_queue q
            join public.image_generations g on g.id = public.generation_of(q.payload)
            where q.id = %s
            """,
            (job_id,),
        ).fetchone()

    def wait_for(self, status: str, *job_ids: Any) -> None:
        """Waits until the jobs have the status."""
        # A creation without an answer is looked for as long as it could arrive: 40 seconds.
        self.eventually(lambda: all(self.job(id)["status"] == status for id in job_ids), 75)

    def wait_for_prediction(self, job_id: Any) -> str:
        """Waits until a job's prediction is recorded; its id."""
        return self.eventually(lambda: self.job(job_id)["prediction_id"])

    def held_seconds(self, model: str) -> float:
        """For how long a model still rests."""
        row = self.db.execute(
            "select extract(epoch from held_until - now())::float as seconds"
            " from public.model_holds where model_id = %s",
            (model,),
        ).fetchone()
        return row["seconds"]

    def due_now(self) -> None:
        """Ends every wait for another attempt."""
        self.db.execute("update public.job_queue set scheduled_at = now() where status = 'pending'")

    def predictions(self, prompt: str) -> list[dict[str, Any]]:
        """The predictions that the provider made for a prompt, oldest first."""
        path = self.simulator_folder / "predictions.sqlite"
        with closing(sqlite3.connect(path)) as connection:
            connection.row_factory = sqlite3.Row
            rows = connection.execute(
                "select * from predictions where json_extract(input, '$.prompt') = ?"
                " order by created_at",
                (prompt,),
            )
            return [dict(row) for row in rows]

    @property
    def simulator_folder(self) -> Path:
        return self.folder / "replicate"

    def assert_ended_once(self, *job_ids: Any) -> None:
        """Asserts that each job completed once, and never ended otherwise, with one image."""
        for job_id in job_ids:
            endings = self.db.execute(
                "select status from endings where job_id = %s", (job_id,)
            ).fetchall()
            assert endings == [{"status": "completed"}]
            job = self.job(job_id)
            assert job["generation"] == "completed"
            assert (self.folder / "images" / job["storage_path"]).is_file()
        images = [
            path
            for path in (self.folder / "images").rglob("*.*")
            if path.is_file() and ".thumbnail." not in path.name
        ]
        assert len(images) == len(job_ids)


@contextmanager
def rigged(
    db: Connection, database: str, folder: Path, eventually: Callable[..., Any]
) -> Iterator[Rig]:
    """A rig whose simulator runs until the end."""
    simulator = Simulator(folder / "replicate", speed=SPEED, failure_rate=0)
    simulator.start()
    rig = Rig(db, database, simulator, folder, eventually)
    yield rig
    rig.end()
    simulator.stop()


class Throttle:
    """A provider that refuses creates of one model with 429 while told to, and counts them.

    `retry_after` makes the header; None lets the creates through.
    """

    def __init__(self, app: ASGIApp, model: str, url: str) -> None:
        self.url = url
        self.retry_after: Callable[[], str] | None = None
        self.creates = 0
        self._app = app
        self._path = f"/v1/models/{model}/predictions"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = scope["path"] == self._path
        self.creates += asked
        if not asked or self.retry_after is None:
            return await self._app(scope, receive, send)
        said = {"detail": "Request was throttled."}
        refusal = JSONResponse(said, 429, {"Retry-After": self.retry_after()})
        await refusal(scope, receive, send)


@contextmanager
def throttled(rig: Rig, model: str) -> Iterator[Throttle]:
    """Another server of the rig's provider, with a limit on one model."""
    simulated = build_app(rig.simulator_folder, rig.simulator.token, speed=SPEED, failure_rate=0)
    listener = socket.create_server((HOST, 0))
    throttle = Throttle(simulated, model, f"http://{HOST}:{listener.getsockname()[1]}")
    server = uvicorn.Server(
        uvicorn.Config(throttle, lifespan="off", log_config=None, access_log=False)
    )
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    yield throttle
    server.should_exit = True
    thread.join()
