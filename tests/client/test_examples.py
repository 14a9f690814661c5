"""The examples of the documentation, as they stand there."""

import ast
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import httpx
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
WEBSOCKET = """
import ws from "ws";
globalThis.WebSocket ??= ws;  // Node.js has one since version 22
"""
USE = """
const say = (what) => console.log(JSON.stringify(what));
const request = { prompt: "A lighthouse", model_id: "black-forest-labs/flux-schnell" };
await project.auth.signInWithPassword(%s);
const { generation_id } = await startGeneration(request);
await new Promise((ended) => followGeneration(generation_id, (generation) => {
  say(generation);
  if (generation.status === "completed") ended();
}));
const wrong = { ...request, model_id: "nobody/nothing" };
await startGeneration(wrong).catch((error) => say(error.message));
const unknown = project.from("image_generations").select("status").eq("id", crypto.randomUUID());
say((await unknown.single()).error.code);
process.exit(0);
"""


def example(file: str, beginning: str, language: str = "python") -> str:
    """The one block of a language in a file that begins so."""
    text = (PROJECT / file).read_text(encoding="utf-8")
    blocks = re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    [found] = [block for block in blocks if block.startswith(beginning)]
    return found


@dataclass(frozen=True)
class Addresses:
    """Of a hosted project, and of Darkroom's functions, which are elsewhere."""

    project: str
    functions: str

    def put_into(self, code: str) -> str:
        """An example, as this project's users would write it."""
        code = code.replace("https://abc.supabase.co", self.project)
        code = code.replace("https://jobs.example.com", self.functions)
        return code.replace("sb_publishable_…", PUBLISHABLE)


@pytest.fixture
def addresses(database: str, tmp_path: Path, serve: Any) -> Iterator[Addresses]:
    """A project, and Darkroom's functions and a worker on another machine."""
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
    functions = Starlette(routes=routes(lambda: service.functions), lifespan=service.lifespan)
    with serve(project.app) as project_url, serve(functions) as functions_url:
        yield Addresses(project_url, functions_url)


@pytest.fixture
def token(db: Any) -> str:
    """The token of a signed-in user."""
    user = db.execute(
        "insert into auth.users (id) values (gen_random_uuid()) returning id"
    ).fetchone()["id"]
    claims = {"sub": str(user), "aud": "authenticated", "role": "authenticated"}
    return jwt.encode(claims | {"exp": 2_000_000_000}, JWT_SECRET)


def test_the_python_of_the_readme_follows_a_generation_to_its_image(
    addresses: Addresses, token: str, capsys: Any, tmp_path: Path
) -> None:
    code = addresses.put_into(example("README.md", "from uuid import uuid4"))
    exec(compile(code, "README.md", "exec"), {"token": token})
    first, *_, last = capsys.readouterr().out.splitlines()
    [announced] = re.findall(r"print\(started.notices\)  # (.*): …$", code, re.MULTILINE)
    assert announced in first
    path = re.search(r"/images/(\S+)", last)
    assert path
    with Image.open(tmp_path / "images" / path[1]) as image:
        assert f"{image.width} x {image.height} pixels" in announced
    assert re.fullmatch(r"completed 100 http://darkroom.example/images/\S+ None", last)


def test_the_javascript_of_the_readme_follows_a_generation_to_its_image(
    addresses: Addresses, token: str, tmp_path: Path
) -> None:
    require_command("node")
    code = addresses.put_into(example("README.md", "const url", "js"))
    script = tmp_path / "example.mjs"
    script.write_text(f"const token = {token!r};\n{code}", encoding="utf-8")
    printed = subprocess.check_output(["node", script], text=True, timeout=60)
    assert re.fullmatch(r"completed http://darkroom.example/images/\S+\n", printed)


def test_the_curl_of_the_readme_starts_a_generation_once(addresses: Addresses, token: str) -> None:
    require_command("curl")
    code = addresses.put_into(example("README.md", "curl", "sh"))
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


@pytest.mark.slow
def test_supabase_js_starts_and_follows_a_generation(addresses: Addresses, tmp_path: Path) -> None:
    person = {"email": "ann@studio.example", "password": "correct horse"}
    users = f"{addresses.project}/auth/v1/admin/users"
    httpx.post(users, json=person, headers={"apikey": SECRET}).raise_for_status()
    code = addresses.put_into(example("docs/applications.md", "import { createClient }", "js"))
    (tmp_path / "node_modules").symlink_to(node_modules("@supabase/supabase-js", "ws"))
    script = tmp_path / "example.mjs"
    script.write_text(f"{WEBSOCKET}{code}{USE % json.dumps(person)}", encoding="utf-8")
    ended = subprocess.run(["node", script], capture_output=True, text=True, timeout=60, env=bare())
    assert ended.returncode == 0, ended.stderr
    *updates, last, refused, missing = map(json.loads, ended.stdout.splitlines())
    assert {update["status"] for update in updates} <= {"queued", "processing"}
    assert (last["status"], last["progress"]) == ("completed", 100)
    assert last["image_url"].startswith("http://darkroom.example/images/")
    assert "nobody/nothing" in refused
    assert missing == "PGRST116"


def node_modules(*packages: str) -> Path:
    """The folder of the npm packages for tests; skips without it, in CI that is a failure."""
    require_command("node")
    folder = PROJECT / ".ci" / "node_modules"
    if not all((folder / package).exists() for package in packages):
        skip_or_fail("Needs the packages of .ci/package.json: npm ci --prefix .ci")
    return folder


def require_command(name: str) -> None:
    """Skips the test without this program, in CI that is a failure."""
    if not shutil.which(name):
        skip_or_fail(f"Needs {name}")


def skip_or_fail(message: str) -> NoReturn:
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


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
