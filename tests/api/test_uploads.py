"""Uploading input images over HTTP: what is taken, whose they are, and what becomes of them."""

import asyncio
import json
import struct
import time
import zlib
from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any
from uuid import UUID, uuid4

import httpx
import jwt
import pytest
from PIL import Image

from lib.database import open_async_pool
from lib.generation.uploads import MAX_UPLOAD_BYTES, delete_expired_uploads
from lib.resources import image_storage

EDIT = {"prompt": "At night", "model_id": "qwen/qwen-image-edit"}
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"/>'


def picture(form: str = "PNG", size: tuple[int, int] = (600, 300)) -> bytes:
    file = BytesIO()
    Image.new("RGB", size, "teal").save(file, form)
    return file.getvalue()


def bomb() -> bytes:
    """A PNG of a few kilobytes that says it has 40,000 x 40,000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        sum = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", sum)

    head = struct.pack(">IIBBBBB", 40_000, 40_000, 8, 0, 0, 0, 0)
    data = zlib.compress(bytes(1_000_000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


@pytest.fixture
def people(db, served) -> list[tuple[UUID, dict[str, str]]]:
    """Two users and the headers of their requests."""
    rows = db.execute(
        "insert into auth.users (id) values (gen_random_uuid()), (gen_random_uuid()) returning id"
    ).fetchall()

    def token(id: UUID) -> str:
        claims = {"sub": str(id), "aud": "authenticated", "exp": time.time() + 60}
        return jwt.encode(claims, served.keys.jwt_secret)

    return [(row["id"], {"Authorization": f"Bearer {token(row['id'])}"}) for row in rows]


def in_chunks(content: bytes) -> Iterator[bytes]:
    """Sent without a Content-Length."""
    for start in range(0, len(content), 2**20):
        yield content[start : start + 2**20]


def test_an_upload_is_its_owners_alone(call, db, served, people):
    (owner, own), (_, others) = people
    answer = call("uploads", content=picture(), headers=own | {"Content-Type": "image/png"})
    body = answer.json()
    assert answer.status_code == 200, answer.text
    reference, expires = body["upload"], datetime.fromisoformat(body["expires_at"])
    assert body | {"upload": "", "expires_at": ""} == {
        **{"success": True, "upload": "", "expires_at": ""},
        **{"content_type": "image/png", "width": 600, "height": 300, "bytes": len(picture())},
    }
    assert timedelta(hours=23) < expires - datetime.now(UTC) < timedelta(hours=25)

    # Beside the folder that is served, and under the user's name.
    [row] = db.execute("select * from uploads").fetchall()
    assert (row["user_id"], row["source"]) == (owner, "app")
    storage = image_storage(served.settings)
    assert storage.read(row["storage_path"]) == picture()
    assert list(served.settings.images.rglob("*.png")) == []
    with pytest.raises(FileNotFoundError):
        storage.url_for(row["storage_path"])

    address = f"{served.url}/functions/v1/uploads/{reference}"
    secret = {"apikey": served.keys.secret}
    shown = {name: get(address, headers) for name, headers in (("own", own), ("all", secret))}
    for found in shown.values():
        assert (found.status_code, found.content) == (200, picture())
        assert found.headers["content-type"] == "image/png"
        assert found.headers["x-content-type-options"] == "nosniff"
    small = Image.open(BytesIO(get(f"{address}?thumbnail", own).content))
    assert (small.format, small.size) == ("WEBP", (512, 256))
    anonymous = {"apikey": served.keys.publishable}
    for headers in (others, anonymous):
        assert get(address, headers).status_code == 404
    assert get(address, {}).status_code == 401

    refused = {
        name: call("start-generation", EDIT | {"image": name}, headers=others)
        for name in (reference, f"upload:{uuid4()}")
    }
    words = {answer.json()["error"]["message"].replace(n, "") for n, answer in refused.items()}
    assert {answer.status_code for answer in refused.values()} == {422}
    assert len(words) == 1
    started = call("start-generation", EDIT | {"image": reference}, headers=own)
    assert started.status_code == 200, started.text
    call("process-jobs")
    row = db.execute("select * from image_generations").fetchone()
    assert (row["status"], row["error_message"]) == ("completed", None)
    assert row["parameters"]["image"] == reference


def get(address: str, headers: dict[str, str]) -> Any:
    return httpx.get(address, headers=headers)


@pytest.mark.slow
def test_what_is_not_an_image_that_models_read_is_refused(call, db, served, subtests):
    large = picture("JPEG") + bytes(MAX_UPLOAD_BYTES + 1 - len(picture("JPEG")))
    html = picture("GIF")[:6] + b"<script>alert(1)</script>"
    for name, content, status, code in [
        ("svg", SVG, 422, "invalid_field"),
        ("svg behind a byte order mark", b"\xef\xbb\xbf \n" + SVG, 422, "invalid_field"),
        ("avif", picture("AVIF"), 422, "invalid_field"),
        ("bomb", bomb(), 422, "invalid_field"),
        ("text", b"hello", 422, "invalid_field"),
        ("script with the start of a GIF", html, 422, "invalid_field"),
        ("cut off", picture("JPEG")[:200], 422, "invalid_field"),
        ("empty", b"", 400, "malformed"),
        ("25 MB and a byte", large, 413, "too_large"),
        ("25 MB and a byte without a length", in_chunks(large), 413, "too_large"),
        ("far too large", in_chunks(bytes(27 * 2**20)), 413, "too_large"),
    ]:
        with subtests.test(name):
            answer = call("uploads", content=content)
            assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
            assert "Traceback" not in answer.text
    two = [("file", ("a.png", picture())), ("file", ("b.png", picture()))]
    assert call("uploads", files=two).status_code == 400
    # httpx makes multipart/form-data of a file; without one it is a form.
    assert call("uploads", data={"a": "b"}).status_code == 422
    broken = {"apikey": served.keys.secret, "Content-Type": "multipart/form-data; boundary=x"}
    assert call("uploads", content=b"--y\r\n", headers=broken).status_code == 400
    assert db.execute("select from uploads").fetchone() is None
    assert not any(path.is_file() for path in (served.settings.data / "uploads").rglob("*"))

    # An image with something behind it is served as the image that it is.
    answer = call("uploads", files={"file": ("x.html", picture() + b"<script>", "text/html")})
    address = f"{served.url}/functions/v1/uploads/{answer.json()['upload']}"
    found = get(address, {"apikey": served.keys.secret})
    assert found.headers["content-type"] == "image/png"
    assert "sandbox" in found.headers["content-security-policy"]
    whole = picture("JPEG") + bytes(MAX_UPLOAD_BYTES - len(picture("JPEG")))
    assert call("uploads", content=in_chunks(whole)).status_code == 200


def test_who_may_upload_and_for_whom(call, db, served, people):
    (owner, own), _ = people
    secret, anonymous = {"apikey": served.keys.secret}, {"apikey": served.keys.publishable}
    image = picture()
    assert call("uploads", content=image, headers={}).status_code == 401
    assert call("uploads", content=image, headers=anonymous).status_code == 200
    for query, headers, status in [
        (f"?user_id={owner}", secret, 200),
        (f"?user_id={owner}", own, 403),
        (f"?user_id={uuid4()}", secret, 422),
        ("?user_id=me", secret, 422),
    ]:
        assert call(f"uploads{query}", content=image, headers=headers).status_code == status
    users = db.execute("select user_id from uploads order by created_at").fetchall()
    assert [row["user_id"] for row in users] == [None, owner]
    preflight = {"Origin": "https://app.example", "Access-Control-Request-Method": "POST"}
    for path, method in [("uploads", "POST"), ("uploads/x", "GET")]:
        asked = preflight | {"Access-Control-Request-Method": method}
        allowed = httpx.options(f"{served.url}/functions/v1/{path}", headers=asked)
        assert (allowed.status_code, allowed.headers["access-control-allow-origin"]) == (200, "*")

    db.execute("update uploads set bytes = 250 * 1024 * 1024 where user_id is null")
    full = call("uploads", content=image, headers=anonymous)
    assert (full.status_code, full.json()["error"]["code"]) == (429, "upload_limit_reached")
    assert 80_000 < int(full.headers["Retry-After"]) <= 86_400
    assert "250 MB" in full.json()["error"]["message"]


async def test_expired_uploads_are_deleted(call, db, served, database):
    reference = call("uploads", content=picture()).json()["upload"]
    kept = call("uploads", content=picture()).json()["upload"]
    asked = EDIT | {"image": kept}
    job = call("start-generation", asked).json()
    db.execute("update uploads set expires_at = now() where id = %s", [UUID(reference[7:])])
    folder = served.settings.data / "uploads" / "anonymous"
    assert len(list(folder.iterdir())) == 4
    pool = await open_async_pool(database, application_name="darkroom worker")
    storage = image_storage(served.settings)
    try:
        assert await delete_expired_uploads(pool, storage) == 1
        assert {path.name.split(".")[0] for path in folder.iterdir()} == {kept[7:]}
        db.execute("delete from image_generations where id = %s", [job["generation_id"]])
        assert await delete_expired_uploads(pool, storage) == 1
    finally:
        await pool.close()
    assert not folder.exists()
    assert db.execute("select from uploads").fetchone() is None


def test_data_uris_that_would_take_long_to_decode_are_refused(call, db):
    # One bit for each pixel: less than a kilobyte.
    file = BytesIO()
    Image.new("1", (4001, 4000)).save(file, "PNG")
    large = f"data:image/png;base64,{b64encode(file.getvalue()).decode()}"
    small = f"data:image/png;base64,{b64encode(picture(size=(8, 8))).decode()}"
    for given, words in [
        ({"image": large}, "more than 16 megapixels"),
        ({"nothing_of_the_model": [small] * 21}, "the limit of 20 data URIs"),
    ]:
        answer = call("start-generation", EDIT | given)
        assert answer.status_code == 422
        [problem] = answer.json()["error"]["problems"]
        assert words in problem["problem"]
    assert db.execute("select from job_queue").fetchone() is None


def test_data_uris_are_decoded_before_anything_starts(call, db):
    small = b64encode(picture(size=(8, 8))).decode()
    whole = f"data:image/png;base64,{small}"
    cut = f"data:image/png;base64,{small[: len(small) // 8 * 4]}"
    assert call("start-generation", EDIT | {"image": whole}).status_code == 200
    answer = call("start-generation", EDIT | {"image": cut})
    assert answer.status_code == 422
    [problem] = answer.json()["error"]["problems"]
    assert problem["field"] == "image"
    assert "is not an image" in problem["problem"]
    listed = {"prompt": "A fox", "model_id": "google/nano-banana", "images": [whole, [whole]]}
    assert call("start-generation", listed).status_code == 422
    deep = json.dumps(listed | {"images": {"a": [whole]}})
    assert call("start-generation", content=deep).status_code == 422
    call("process-jobs")
    rows = db.execute("select status, input ->> 'image' as image from predictions").fetchall()
    assert [row["status"] for row in rows] == ["succeeded"]
    assert rows[0]["image"].startswith("data:image/png;sha256,")


async def test_an_upload_that_expires_while_a_generation_starts_is_kept(call, db, served, database):
    reference = call("uploads", content=picture()).json()["upload"]
    db.execute("update uploads set expires_at = clock_timestamp() + interval '0.3 seconds'")
    pool = await open_async_pool(database, application_name="darkroom worker")
    try:
        with db.transaction():
            db.execute(
                "select start_generation(null, 'At night', %s, %s)",
                [EDIT["model_id"], json.dumps({"image": reference})],
            )
            db.execute("select pg_sleep(0.4)")
            async with asyncio.timeout(10):
                assert await delete_expired_uploads(pool, image_storage(served.settings)) == 0
    finally:
        await pool.close()
    assert len(list((served.settings.data / "uploads" / "anonymous").iterdir())) == 2


def test_more_bodies_than_a_server_takes_are_refused_and_come_through_later(call, monkeypatch):
    monkeypatch.setattr("lib.api.uploads.MAX_RECEIVED", 0)
    busy = call("uploads", content=picture())
    assert (busy.status_code, busy.json()["error"]["code"]) == (503, "too_many_uploads")
    assert busy.headers["Retry-After"] == "5"
    monkeypatch.setattr("lib.api.uploads.MAX_RECEIVED", 1)
    assert [call("uploads", content=picture()).status_code for _ in range(2)] == [200, 200]


def test_uploads_have_at_most_50_megapixels(call):
    # One bit for each pixel: a few kilobytes.
    file = BytesIO()
    Image.new("1", (10_000, 5_001)).save(file, "PNG")
    answer = call("uploads", content=file.getvalue())
    assert answer.status_code == 422
    assert answer.json()["error"]["message"] == "file: The image has more than 50 megapixels."
