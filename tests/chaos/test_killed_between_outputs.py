"""A worker is killed between the second and the third of four images."""

import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import uvicorn
from rig import DEV, HOST, SPEED, Rig, rigged
from starlette.types import ASGIApp, Receive, Scope, Send

from lib.provider.simulator.app import build_app

START = """
select public.start_generation(null, 'Four', %s, '{"num_outputs": 4}', 'test') ->> 'job_id' as id
"""


class Gate:
    """A provider that serves no third image while it is closed, and counts what it serves."""

    def __init__(self, app: ASGIApp, url: str) -> None:
        self.url = url
        self.open = threading.Event()
        self.asked = threading.Event()
        """Set once the third image was asked for."""
        self.served: Counter[str] = Counter()
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        name = scope["path"].rpartition("/")[2]
        if name.startswith("out-2.") and not self.open.is_set():
            self.asked.set()
            await receive()
            await receive()  # Until the worker is gone.
            return
        if name.startswith("out-"):
            self.served[name.partition(".")[0]] += 1
        await self._app(scope, receive, send)


@contextmanager
def gated(rig: Rig) -> Iterator[Gate]:
    simulated = build_app(rig.simulator_folder, rig.simulator.token, speed=SPEED, failure_rate=0)
    listener = socket.create_server((HOST, 0))
    gate = Gate(simulated, f"http://{HOST}:{listener.getsockname()[1]}")
    config = uvicorn.Config(gate, lifespan="off", log_config=None, access_log=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    yield gate
    server.should_exit = server.force_exit = True
    thread.join()


@pytest.mark.slow
def test_a_kill_between_two_images_loses_and_doubles_none(db, database, tmp_path, eventually):
    with rigged(db, database, tmp_path, eventually) as rig, gated(rig) as gate:
        job_id = db.execute(START, [DEV]).fetchone()["id"]
        victim = rig.worker(provider=gate.url)
        assert gate.asked.wait(30)
        stored = db.execute("select index, url, created_at from outputs order by index").fetchall()
        assert [one["index"] for one in stored] == [0, 1]
        # Nobody sees some of the images.
        seen = db.execute("select image_url, images(g) from image_generations g").fetchone()
        assert seen == {"image_url": None, "images": []}
        victim.kill()
        gate.open.set()
        db.execute("select rescue_worker_jobs(id) from workers where pid = %s", [victim.pid])
        rig.worker(provider=gate.url)
        rig.wait_for("completed", job_id)

        assert len(rig.predictions("Four")) == 1
        assert gate.served == {"out-0": 1, "out-1": 1, "out-2": 1, "out-3": 1}
        outputs = db.execute("select * from outputs order by index").fetchall()
        assert [one["index"] for one in outputs] == [0, 1, 2, 3]
        assert [(one["index"], one["url"], one["created_at"]) for one in outputs[:2]] == [
            (one["index"], one["url"], one["created_at"]) for one in stored
        ]
        images = tmp_path / "images"
        paths = {one[kind] for one in outputs for kind in ("storage_path", "thumbnail_path")}
        assert len(paths) == 8
        files = {str(file.relative_to(images)) for file in images.rglob("*") if file.is_file()}
        assert files == paths
        seen = db.execute(
            "select image_url, notices, images(g) from image_generations g"
        ).fetchone()
        assert (seen["image_url"], seen["notices"]) == (outputs[0]["url"], [])
        assert [image["url"] for image in seen["images"]] == [one["url"] for one in outputs]
