"""Input images in the database: what an input may hold, whose uploads, how long they are kept."""

import json
import time
from base64 import b64decode, b64encode
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any, ClassVar, cast
from uuid import UUID, uuid4

import psycopg
import pytest
from PIL import Image

from lib.database import connect, load, open_async_pool
from lib.database.pool import Connection
from lib.generation.uploads import delete_expired_uploads, store_upload_async
from lib.provider.files import is_public
from lib.provider.simulator.models import SHIPPED
from lib.storage import CheckedImage, Storage, StorageFailed
from lib.storage.local import LocalStorage

EDIT = "qwen/qwen-image-edit"
SEEDREAM = "bytedance/seedream-4"
ADDRESS = "https://pictures.example/fox.png"


def encoded(form: str, side: int = 4) -> str:
    file = BytesIO()
    Image.new("RGB", (side, side)).save(file, form)
    return b64encode(file.getvalue()).decode()


PNG = f"data:image/png;base64,{encoded('PNG')}"
GOOD = [
    *(
        ADDRESS,
        "HTTPS://Pictures.Example:8443/a?b=c#d",
        "https://8.8.8.8/fox",
        "https://a.example.",
    ),
    *(f"data:image/{form};base64,{encoded(form.upper())}" for form in ("jpeg", "webp", "gif")),
    # Browsers write the shorter name too.
    *(PNG, f"data:image/jpg;base64,{encoded('JPEG')}", f"upload:{uuid4()}"),
]
BAD = [
    *("http://a.example/x", "ftp://a.example/x", "//a.example/x", "fox.png", "", " ", "https://"),
    *("https://me@a.example/x", "https://me:pw@a.example/x", "https://a.example\\@b.example/x"),
    *("https://a.example/a b", "https://a.example/a\nb", "https://a.example:x/", "https://[::1]/"),
    *("javascript:alert(1)", "file:///etc/passwd", "https://пример.рф/x", f"{ADDRESS}{'x' * 2048}"),
    *(PNG.replace("png", "svg+xml"), PNG.replace("image/png", "text/html"), f"{PNG}!", PNG[:-1]),
    *(
        PNG.replace(";base64", ";charset=utf-8;base64"),
        PNG.replace(";base64", ""),
        "data:,",
        "data:",
    ),
    f"data:image/png;base64,{b64encode(b'<svg onload=alert(1)/>').decode()}",
    *("upload:", "upload:1", f"upload:{uuid4()}/..", f"Upload:{uuid4()}", f" upload:{uuid4()}"),
]
PRIVATE = [
    *(
        "localhost",
        "db",
        "a.localhost",
        "metadata.google.internal",
        "nas.local",
        "router.lan",
        "x.home",
    ),
    *("127.0.0.1", "10.1.2.3", "192.168.0.1", "172.31.0.1", "169.254.169.254", "100.64.0.1"),
    *("0.0.0.0", "192.0.0.192", "198.18.0.1", "224.0.0.1", "255.255.255.255", "168.63.129.16"),
    *(
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "127.0.0.1.",
        "1.1.1",
        "1.2.3.256",
        "a.0x7f",
    ),
]


def problem(db: Connection, value: str) -> str | None:
    row = db.execute("select file_problem(%s) as found", [value]).fetchone()
    assert row
    found: str | None = row["found"]
    return found


def test_an_input_image_is_an_address_a_data_uri_or_an_upload(db: Connection) -> None:
    assert {value: problem(db, value) for value in GOOD} == dict.fromkeys(GOOD)
    assert [value for value in BAD if problem(db, value) is None] == []
    assert [host for host in PRIVATE if problem(db, f"https://{host}/x") is None] == []
    for first in range(256):
        host = f"{first}.20.30.40"
        assert (problem(db, f"https://{host}") is None) is is_public(host), host
    longest = PNG + "A" * (262_142 - len(PNG))
    assert problem(db, longest) is None
    assert "upload the file instead" in str(problem(db, f"{longest}AAAA"))


def test_forms_offer_files_and_models_have_a_kind(db: Connection) -> None:
    rows = db.execute("select id, kind, parameter_schema from models").fetchall()
    offered = {row["id"]: {each["name"]: each for each in row["parameter_schema"]} for row in rows}
    assert offered[EDIT]["image"]["kind"] == "file"
    assert offered[EDIT]["image"]["required"] is True
    assert offered[SEEDREAM]["image_input"] == {
        **{"name": "image_input", "label": "Image input", "kind": "files"}
    }
    kinds = {row["id"]: row["kind"] for row in rows}
    assert {kinds[name] for name in SHIPPED if "nano" in name or "kontext" in name} == {"edit"}
    assert (kinds[EDIT], kinds[SEEDREAM]) == ("edit", "generate")
    assert {name for name, kind in kinds.items() if kind == "upscale"} == {
        *("topazlabs/image-upscale", "nightmareai/real-esrgan")
    }
    assert {name for name, kind in kinds.items() if kind == "remove-background"} == {
        *("851-labs/background-remover", "lucataco/remove-bg")
    }


def with_images(model_id: str) -> bool:
    inputs = SHIPPED[model_id].inputs
    return any(
        "uri" in (field.get("format"), field.get("items", {}).get("format"))
        for field in inputs.values()
    )


@pytest.mark.parametrize("model_id", list(filter(with_images, SHIPPED)))
def test_neutral_names_become_the_image_input_of_each_model(
    database_of_file: Connection, model_id: str
) -> None:
    inputs = SHIPPED[model_id].inputs
    own = next(
        name
        for name in (
            "image",
            "input_image",
            "image_prompt",
            "image_input",
            "input_images",
            "images",
        )
        if name in inputs
    )
    expected: Any = [ADDRESS] if inputs[own]["type"] == "array" else ADDRESS
    prompt = "A fox" if "prompt" in inputs else ""
    for name, value in [("image", ADDRESS), ("images", [ADDRESS]), ("source_image_url", ADDRESS)]:
        given = {name: value} if name != own else {own: expected}
        row = resolve(database_of_file, model_id, prompt, given)
        assert row["parameters"][own] == expected, name
        assert row["notices"] == []
        # Where it follows the image, its size is not known before.
        assert row["size"]["expected"] is None


def resolve(db: Connection, model_id: str, prompt: str, given: Any) -> dict[str, Any]:
    row: dict[str, Any] | None = db.execute(
        "select r.* from models m, resolve_input(m, %s, %s, false) r where m.id = %s",
        [prompt, json.dumps(given), model_id],
    ).fetchone()
    assert row
    return row


@pytest.fixture(scope="module")
def database_of_file(shared_database: str) -> Any:
    with connect(shared_database) as connection:
        yield connection


@pytest.mark.parametrize(
    ("model_id", "name", "strength", "own", "value"),
    [
        # As the functions of the guide send it.
        ("black-forest-labs/flux-dev", "source_image_url", 0.3, "prompt_strength", 0.7),
        ("black-forest-labs/flux-dev", "image", 0.3, "prompt_strength", 0.3),
        ("stability-ai/sdxl", "source_image_url", 0.3, "prompt_strength", 0.3),
        ("qwen/qwen-image", "source_image_url", 0.3, "strength", 0.3),
        ("black-forest-labs/flux-1.1-pro-ultra", "image", 0.3, "image_prompt_strength", 0.7),
    ],
)
def test_strength(
    database_of_file: Connection, model_id: str, name: str, strength: float, own: str, value: float
) -> None:
    given = {name: ADDRESS, "strength": strength}
    assert resolve(database_of_file, model_id, "A fox", given)["parameters"][own] == value


def test_what_an_image_input_does_not_take(database_of_file: Connection) -> None:
    def problems(model_id: str, prompt: str = "A fox", **given: Any) -> list[tuple[str, str]]:
        with pytest.raises(psycopg.Error) as refused:
            resolve(database_of_file, model_id, prompt, given)
        assert refused.value.sqlstate == "DR422"
        found = json.loads(str(refused.value.diag.message_detail))["problems"]
        return [(each["field"], each["problem"]) for each in found]

    esrgan = "nightmareai/real-esrgan"
    assert problems(esrgan, "") == [("image", "is missing")]
    assert problems(EDIT, "", image=ADDRESS) == [("prompt", "is missing")]
    assert problems(EDIT, image="https://10.0.0.1/x") == [
        ("image", '"https://10.0.0.1/x" is on a private network')
    ]
    assert problems(EDIT, images=[ADDRESS, ADDRESS])[0][0] == "images"
    assert problems(SEEDREAM, image_input=[[ADDRESS]])[0][0] == "image_input"
    assert problems(SEEDREAM, source_image_url="http://a.example")[0][0] == "source_image_url"
    assert problems(SEEDREAM, image_input=[ADDRESS] * 21) == [
        ("image_input", "has 21 items; the maximum is 20")
    ]
    ignored = resolve(database_of_file, esrgan, "A fox", {"image": ADDRESS})
    assert ignored["notices"] == [f"prompt is ignored: {esrgan} does not accept it."]


# Uploads ------------------------------------------------------------------------------------------


@pytest.fixture
def people(db: Connection) -> list[UUID]:
    rows = db.execute(
        "insert into auth.users (id) values (gen_random_uuid()), (gen_random_uuid()) returning id"
    ).fetchall()
    return [row["id"] for row in rows]


def upload(db: Connection, user: UUID | None, source: str = "app", size: int = 10) -> str:
    id = uuid4()
    db.execute(
        "select record_upload(%s, %s, %s, %s, %s, 'image/png', 4, 4, %s)",
        [id, user, source, f"uploads/{id}.png", f"uploads/{id}.thumbnail.webp", size],
    )
    return f"upload:{id}"


def start(db: Connection, user: UUID | None, given: Any, source: str = "app") -> UUID:
    row = db.execute(
        "select (start_generation(%s, 'A fox', %s, %s, %s) ->> 'generation_id')::uuid as id",
        [user, SEEDREAM, json.dumps(given), source],
    ).fetchone()
    assert row
    id: UUID = row["id"]
    return id


def refusal(db: Connection, user: UUID | None, given: Any) -> dict[str, Any]:
    with pytest.raises(psycopg.Error) as refused:
        start(db, user, given)
    assert refused.value.sqlstate == "DR422"
    [found] = json.loads(str(refused.value.diag.message_detail))["problems"]
    problem: dict[str, Any] = found
    return problem


def test_only_its_owner_and_tests_use_an_upload(db: Connection, people: list[UUID]) -> None:
    owner, other = people
    own, anonymous, tests = upload(db, owner), upload(db, None), upload(db, None, "test")
    expired = upload(db, other)
    db.execute("update uploads set expires_at = now() where id = %s", [expired[7:]])
    unknown = f"upload:{uuid4()}"
    for reference in (own, anonymous, tests, expired, unknown):
        found = refusal(db, other, {"images": [ADDRESS, reference]})
        # The same for each, under the name that was given.
        assert found["field"] == "images"
        assert found["problem"] == (
            f"{reference} cannot be used: it does not exist, has expired or belongs to another user"
        )
    assert refusal(db, None, {"image_input": [own]})["field"] == "image_input"
    assert refusal(db, None, {"source_image_url": tests})["field"] == "source_image_url"
    start(db, owner, {"image": own})
    start(db, None, {"image": anonymous})
    start(db, None, {"images": [own, anonymous, tests]}, "test")
    # Text that only looks like one.
    [row] = db.execute("select count(*) as n from generation_uploads").fetchall()
    assert row["n"] == 5


def test_a_job_enqueued_by_hand_uses_only_uploads_of_its_user(
    db: Connection, people: list[UUID]
) -> None:
    owner, other = people
    own = upload(db, owner)
    payload = {"prompt": "A fox", "model_id": SEEDREAM, "parameters": {"image_input": [own]}}
    # Which makes no operator of a user.
    payload["test"] = True

    def begin(user: UUID) -> Any:
        db.execute(
            "select enqueue_job('generate-image', %s, p_created_by => %s)",
            [json.dumps(payload), user],
        )
        [job] = db.execute("select id, attempts from claim_next_job()").fetchall()
        return db.execute(
            "select * from begin_generation(%s, %s)", [job["id"], job["attempts"]]
        ).fetchone()

    with pytest.raises(psycopg.Error) as refused:
        begin(other)
    assert refused.value.sqlstate == "DR422"
    assert begin(owner)["input"]["image_input"] == [own]
    [row] = db.execute("select expires_at from uploads").fetchall()
    assert row["expires_at"] is None


def test_an_upload_is_kept_as_long_as_a_generation_uses_it(
    db: Connection, people: list[UUID]
) -> None:
    owner = people[0]
    own = upload(db, owner)
    first, second = start(db, owner, {"image": own}), start(db, owner, {"image": own})

    def files(*generations: UUID) -> set[str]:
        rows = db.execute("select stored_files(%s) as path", [list(generations)]).fetchall()
        return {row["path"] for row in rows}

    def expires() -> Any:
        [row] = db.execute("select expires_at <= clock_timestamp() as over from uploads").fetchall()
        return row["over"]

    # Only once they are deleted is it certain that no other uses it.
    assert files(first, second) == set()
    assert expires() is None
    db.execute("delete from image_generations where id = %s", [first])
    assert expires() is None
    db.execute("select forget_uploads(array(select id from uploads))")
    assert expires() is None
    # With their generations, whoever deletes them.
    db.execute("delete from auth.users where id = %s", [owner])
    assert expires() is True
    assert refusal(db, people[1], {"image": own})
    db.execute("select forget_uploads(array(select id from uploads))")
    assert db.execute("select from uploads").fetchone() is None


def test_an_upload_is_kept_if_it_is_used_while_its_generation_is_deleted(
    db: Connection, database: str, people: list[UUID]
) -> None:
    owner = people[0]
    own = upload(db, owner)
    first = start(db, owner, {"image": own})
    delete = "delete from image_generations where id = %s"
    with connect(database) as other, ThreadPoolExecutor() as pool:
        with db.transaction():
            start(db, owner, {"image": own})
            files = other.execute("select stored_files(array[%s]::uuid[])", [first]).fetchall()
            assert files == []
            deleting = pool.submit(other.execute, delete, [first])
            waiting = "select from pg_locks where pid = %s and not granted"
            while db.execute(waiting, [other.info.backend_pid]).fetchone() is None:
                time.sleep(0.01)
        deleting.result()
    [row] = db.execute("select expires_at from uploads").fetchall()
    assert row["expires_at"] is None
    # The other way round it is expired before the start looks.
    db.execute("delete from generation_uploads")
    assert refusal(db, owner, {"image": own})


def test_an_upload_is_not_deleted_while_a_start_keeps_it(
    db: Connection, database: str, people: list[UUID]
) -> None:
    own = upload(db, people[0])
    db.execute("update uploads set expires_at = clock_timestamp() + interval '0.5 s'")
    with connect(database) as other:
        with db.transaction():
            start(db, people[0], {"image": own})
            time.sleep(0.6)
            assert (
                list(load("uploads").expired(other, after_time=None, after_id=None, limit=9)) == []
            )
        assert list(load("uploads").expired(other, after_time=None, after_id=None, limit=9)) == []


class Unsure:
    """A storage that stores a file and then does not answer."""

    def __init__(self) -> None:
        self.files: set[str] = set()
        self.deletes = False

    async def save(self, name: str, image: bytes, checked: CheckedImage | None = None) -> Any:
        self.files.add(f"{name}.png")
        raise StorageFailed("No answer.")

    def delete(self, path: str) -> bool:
        if not self.deletes:
            raise StorageFailed("No answer.")
        self.files.discard(path)
        return True


@pytest.mark.parametrize("deletes", [True, False])
async def test_a_file_that_was_stored_without_an_answer_is_deleted(
    db: Connection, database: str, deletes: bool
) -> None:
    storage, content = Unsure(), b64decode(PNG[22:])
    storage.deletes = deletes
    pool = await open_async_pool(database, application_name="darkroom worker")
    try:
        with pytest.raises(StorageFailed):
            await store_upload_async(
                pool, cast(Storage, storage), user_id=None, source="app", content=content
            )
        assert bool(storage.files) is not deletes
        storage.deletes = True
        db.execute("update uploads set expires_at = now()")
        await delete_expired_uploads(pool, cast(Storage, storage))
    finally:
        await pool.close()
    assert storage.files == set()
    assert db.execute("select from uploads").fetchone() is None


async def test_files_that_cannot_be_deleted_do_not_keep_the_others(
    db: Connection, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stuck(LocalStorage):
        stuck: ClassVar[set[str]] = set()

        def delete(self, path: str) -> bool:
            if path in self.stuck:
                raise StorageFailed("No answer.")
            return super().delete(path)

    monkeypatch.setattr("lib.generation.uploads.EXPIRED_AT_ONCE", 2)
    storage, content = Stuck(tmp_path, ""), b64decode(PNG[22:])
    pool = await open_async_pool(database, application_name="darkroom worker")
    try:
        for _ in range(5):
            await store_upload_async(pool, storage, user_id=None, source="app", content=content)
        db.execute("update uploads set expires_at = created_at - interval '1 hour'")
        rows = db.execute("select storage_path from uploads order by expires_at").fetchall()
        Stuck.stuck = {row["storage_path"] for row in rows[:3]}
        assert await delete_expired_uploads(pool, storage) == 2
    finally:
        await pool.close()
    left = db.execute("select storage_path from uploads").fetchall()
    assert {row["storage_path"] for row in left} == storage.stuck


def test_unused_uploads_are_limited(db: Connection, people: list[UUID]) -> None:
    owner, other = people

    def refused(user: UUID | None, size: int = 10) -> Any:
        with pytest.raises(psycopg.Error) as error:
            upload(db, user, size=size)
        assert error.value.sqlstate == "DR430"
        return json.loads(str(error.value.diag.message_detail))["retry_after_seconds"]

    for _ in range(100):
        upload(db, owner)
    assert 86_000 < refused(owner) <= 86_400
    for _ in range(10):
        upload(db, other, size=25 * 2**20)
    refused(other, 1)
    used = db.execute("select id from uploads where user_id = %s limit 1", [owner]).fetchone()
    assert used
    start(db, owner, {"image": f"upload:{used['id']}"})
    upload(db, owner)
    for _ in range(101):
        upload(db, None, "test")
    with pytest.raises(psycopg.Error) as unknown:
        upload(db, uuid4())
    assert unknown.value.sqlstate == "23503"
