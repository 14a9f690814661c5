"""The examples of the documentation, as they stand there."""

import ast
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import jwt
from PIL import Image
from starlette.applications import Starlette
from supabase_project import JWT_SECRET, Project

from lib.api.routes import routes
from lib.database import open_async_pool, open_pool
from lib.ops.migration_path import Rollout
from lib.provider.replicate.client import Replicate
from lib.queue.operator_actions import set_async_rollout
from lib.queue.worker_calls import StartedGeneration
from lib.service import Service
from lib.settings import parse
from lib.storage.local import LocalStorage

PROJECT = Path(__file__).parents[2]
PUBLISHABLE, SECRET = "sb_publishable_of_the_example", "sb_secret_of_the_example"


def example(file: str, beginning: str) -> str:
    """The one block of Python in a file that begins so."""
    text = (PROJECT / file).read_text(encoding="utf-8")
    [found] = [
        block
        for block in re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
        if block.startswith(beginning)
    ]
    return found


def test_the_readmes_example_follows_a_generation_to_its_image(
    db: Any, database: str, tmp_path: Path, serve: Any, capsys: Any
) -> None:
    project = Project(database, PUBLISHABLE, SECRET)
    values = {
        "DATABASE_URL": database,
        "DARKROOM_DATA": str(tmp_path),
        "SUPABASE_PUBLISHABLE_KEY": PUBLISHABLE,
        "SUPABASE_SECRET_KEY": SECRET,
        "SUPABASE_JWT_SECRET": JWT_SECRET,
        "DARKROOM_URL": "http://darkroom.example",
        "DARKROOM_SIMULATOR_SPEED": "20",
        "DARKROOM_SIMULATOR_FAILURE_RATE": "0",
    }
    service = Service(parse(values), with_worker=True)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with service.lifespan(app), project.lifespan(app):
            yield

    functions = routes(lambda: service.functions)
    code = example("README.md", "from uuid import uuid4")
    user = db.execute("insert into auth.users default values returning id").fetchone()["id"]
    claims = {"sub": str(user), "aud": "authenticated", "role": "authenticated"}
    token = jwt.encode(claims | {"exp": 2_000_000_000}, JWT_SECRET)
    with serve(Starlette(routes=[*project.routes, *functions], lifespan=lifespan)) as url:
        code = code.replace("https://abc.supabase.co", url).replace("sb_publishable_…", PUBLISHABLE)
        exec(compile(code, "README.md", "exec"), {"token": token})
    first, *_, last = capsys.readouterr().out.splitlines()
    [announced] = re.findall(r"print\(started.notices\)  # (.*): …$", code, re.MULTILINE)
    assert announced in first
    path = re.search(r"/images/(\S+)", last)
    assert path
    with Image.open(parse(values).images / path[1]) as image:
        assert f"{image.width} x {image.height} pixels" in announced
    assert re.fullmatch(r"completed 100 http://darkroom.example/images/\S+ None", last)


async def test_the_example_of_the_rollout_starts_a_generation(
    db: Any, database: str, tmp_path: Path
) -> None:
    user = db.execute("insert into auth.users default values returning id").fetchone()["id"]
    with open_pool(database) as pool:
        set_async_rollout(pool, "me", 100)
    names = {
        "Rollout": Rollout,
        "Replicate": Replicate,
        "open_async_pool": open_async_pool,
        "storage": LocalStorage(tmp_path, "http://127.0.0.1"),
        "url": database,
        "token": "r8_unused",
        "user": user,
        "prompt": "A lighthouse",
        "model": "black-forest-labs/flux-schnell",
    }
    code = compile(
        example("docs/applications.md", "rollout ="),
        "docs/applications.md",
        "exec",
        flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT,
    )
    await eval(code, names)
    assert isinstance(names["made"], StartedGeneration)
    await names["rollout"]._pool.close()
