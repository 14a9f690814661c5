"""What pages read of input images, and of the images that were made from them."""

import json
from datetime import timedelta
from uuid import UUID

import pytest

from lib.database import load
from lib.database.pool import Connection
from lib.ui.parts.input_images import source_images

USER, UPLOAD = UUID(int=5), UUID("0b6f5c3e-0000-4000-8000-000000000001")
DEV, EDITOR = "black-forest-labs/flux-dev", "black-forest-labs/flux-2-pro"
MASKED, MASK = "stability-ai/sdxl", UUID("0b6f5c3e-0000-4000-8000-000000000002")
REFERENCE = f"upload:{UPLOAD}"


@pytest.fixture
def made(db: Connection) -> Connection:
    """Completed generations of a user: two from an uploaded image, one without."""
    db.execute("insert into auth.users (id, email) values (%s, 'ann@studio.example')", [USER])
    db.execute(
        "insert into uploads (id, user_id, storage_path, thumbnail_path, content_type, width,"
        " height, bytes)"
        " values (%s, %s, 'uploads/a.png', 'uploads/a.webp', 'image/png', 96, 64, 214)",
        [UPLOAD, USER],
    )
    for model, parameters in (
        (DEV, f'{{"image": "{REFERENCE}"}}'),
        (EDITOR, f'{{"input_images": ["https://studio.example/b.png", "{REFERENCE}"]}}'),
        (EDITOR, '{"aspect_ratio": "1:1"}'),
    ):
        db.execute("select start_generation(%s, 'fox', %s, %s::jsonb)", [USER, model, parameters])
    db.execute(
        "update image_generations set status = 'completed', started_at = now() - interval '2 s',"
        " completed_at = now(), storage_path = 'first.webp', image_url = '/images/first.webp'"
    )
    db.execute(
        "insert into outputs (generation_id, index, url, storage_path, media_type, bytes)"
        " select g.id, n, '/images/' || n, n || '.webp', 'image/webp', 10"
        " from image_generations g cross join generate_series(0, 5) n where g.model_id = %s",
        [DEV],
    )
    return db


def test_the_images_of_a_user_name_their_input(made: Connection) -> None:
    [row] = load("inputs").uploads(made, ids=[UPLOAD, USER])
    assert (row["thumbnail_path"], row["width"], row["bytes"]) == ("uploads/a.webp", 96, 214)
    week = {"start": None, "length": timedelta(days=7)}
    rows = load("users").generations(made, user_id=USER, text="", most=24, **week)
    assert sorted((row["model_id"], row["input"] or "", row["images"]) for row in rows) == [
        (EDITOR, "", 1),
        (EDITOR, REFERENCE, 1),
        (DEV, REFERENCE, 6),
    ]


def test_the_images_of_a_model_are_beside_their_inputs(made: Connection) -> None:
    [row] = load("models").images(made, model=DEV)
    assert (row["input"], row["images"], row["run_seconds"]) == (REFERENCE, 6, pytest.approx(2))
    assert [image["storage_path"] for image in row["outputs"]] == [f"{n}.webp" for n in range(4)]
    rows = load("models").images(made, model=EDITOR)
    assert sorted(row["input"] or "" for row in rows) == ["", REFERENCE]
    assert [image["storage_path"] for row in rows for image in row["outputs"]] == ["first.webp"] * 2


def test_a_mask_is_not_what_an_image_was_made_from(made: Connection) -> None:
    made.execute(
        "insert into uploads (id, user_id, storage_path, content_type, width, height, bytes)"
        " values (%s, %s, 'uploads/m.png', 'image/png', 96, 64, 9)",
        [MASK, USER],
    )
    # Keys of jsonb are in the order of their length.
    parameters = {"mask": f"upload:{MASK}", "image": REFERENCE}
    made.execute(
        "select start_generation(%s, 'fox', %s, %s)", [USER, MASKED, json.dumps(parameters)]
    )
    made.execute("update image_generations set status = 'completed', storage_path = 'a.webp'")
    assert [row["input"] for row in load("models").images(made, model=MASKED)] == [REFERENCE]
    week = {"start": None, "length": timedelta(days=7)}
    rows = load("users").generations(made, user_id=USER, text="", most=24, **week)
    assert [row["input"] for row in rows if row["model_id"] == MASKED] == [REFERENCE]
    assert source_images(parameters) == [REFERENCE]


def test_the_images_of_a_model_are_found_without_reading_the_history(db: Connection) -> None:
    db.execute(
        "insert into image_generations (prompt, model_id, created_at)"
        " select 'fox', 'm', now() - n * interval '1 minute' from generate_series(1, 12000) n"
    )
    db.execute("analyze image_generations")
    query = f"explain {load('models').images.sql}".encode()
    plan = "\n".join(row["QUERY PLAN"] for row in db.execute(query, {"model": "m"}).fetchall())
    assert "Seq Scan on image_generations" not in plan
    assert "image_generations_created_idx" in plan
