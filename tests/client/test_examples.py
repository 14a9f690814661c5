"""The examples of the documentation, as they stand there."""

import ast
import json
import re
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import jwt
import pytest
from environment import bare
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


def example(file: str, beginning: str, language: str = "python") -> str:
    """The one block of a language in a file that begins so."""
    text = (PROJECT / file).read_text(encoding="utf-8")
    blocks = re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    [found] = [block for block in blocks if block.startswith(beginning)]
    return found


@pytest.fixture
def project_url(database: str, tmp_path: Path, serve: Any) -> Iterator[str]:
    """A project with Darkroom's functions and a worker."""
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
    with serve(Starlette(routes=[*project.routes, *functions], lifespan=lifespan)) as url:
        yield url


@pytest.fixture
def token(db: Any) -> str:
    """The token of a signed-in user."""
    user = db.execute(
        "insert into auth.users (id) values (gen_random_uuid()) returning id"
    ).fetchone()["id"]
    claims = {"sub": str(user), "aud": "authenticated", "role": "authenticated"}
    return jwt.encode(claims | {"exp": 2_000_000_000}, JWT_SECRET)


def of_project(code: str, url: str) -> str:
    return code.replace("https://abc.supabase.co", url).replace("sb_publishable_…", PUBLISHABLE)


def test_the_python_of_the_readme_follows_a_generation_to_its_image(
    project_url: str, token: str, capsys: Any, tmp_path: Path
) -> None:
    code = of_project(example("README.md", "from uuid import uuid4"), project_url)
    exec(compile(code, "README.md", "exec"), {"token": token})
    first, *_, last = capsys.readouterr().out.splitlines()
    [announced] = re.findall(r"print\(started.notices\)  # (.*): …$", code, re.MULTILINE)
    assert announced in first
    path = re.search(r"/images/(\S+)", last)
    assert path
    with Image.open(tmp_path / "images" / path[1]) as image:
        assert f"{image.width} x {image.height} pixels" in announced
    assert re.fullmatch(r"completed 100 http://darkroom.example/images/\S+ None", last)


@pytest.mark.skipif(not shutil.which("node"), reason="needs Node.js")
def test_the_javascript_of_the_readme_follows_a_generation_to_its_image(
    project_url: str, token: str, tmp_path: Path
) -> None:
    code = of_project(example("README.md", "const url", "js"), project_url)
    script = tmp_path / "example.mjs"
    script.write_text(f"const token = {token!r};\n{code}", encoding="utf-8")
    printed = subprocess.check_output(["node", script], text=True, timeout=60)
    assert re.fullmatch(r"completed http://darkroom.example/images/\S+\n", printed)


@pytest.mark.skipif(not shutil.which("curl"), reason="needs curl")
def test_the_curl_of_the_readme_starts_a_generation_once(project_url: str, token: str) -> None:
    code = of_project(example("README.md", "curl", "sh"), project_url)
    first, second = (
        json.loads(
            subprocess.check_output(
                ["sh", "-c", code], env=bare(TOKEN=token), text=True, timeout=60
            )
        )
        for _ in range(2)
    )
    assert first["success"]
    assert second == first


async def test_the_example_of_the_rollout_starts_a_generation(
    db: Any, database: str, tmp_path: Path
) -> None:
    user = db.execute(
        "insert into auth.users (id) values (gen_random_uuid()) returning id"
    ).fetchone()["id"]
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
