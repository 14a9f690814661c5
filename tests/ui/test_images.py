"""Addresses of images, where another service stores and serves them."""

import pytest

from lib.settings import parse
from lib.ui import images


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        ("/images/a.png", "http://functions.example/images/a.png"),
        ("http://127.0.0.1:8614/images/a.png", "http://127.0.0.1:8614/images/a.png"),
    ],
)
def test_an_image_of_another_service_is_found_there(monkeypatch, stored, shown):
    settings = parse({"DARKROOM_FUNCTIONS_URL": "http://functions.example"})
    monkeypatch.setattr(images, "settings", lambda: settings)
    assert images.image_source({"storage_path": "a.png", "image_url": stored}) == shown
