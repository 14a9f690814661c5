"""Stored images over HTTP: what browsers may do with them."""

import httpx
from starlette.applications import Starlette
from starlette.middleware import Middleware

from lib.api.images import image_route
from lib.api.security_headers import SecurityHeaders


async def test_images_are_kept_for_a_minute_and_run_no_scripts(tmp_path):
    folder = tmp_path / "user" / "generation"
    folder.mkdir(parents=True)
    (folder / "0.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    app = Starlette(routes=[image_route(tmp_path)], middleware=[Middleware(SecurityHeaders)])
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://app/images") as client:
        found = await client.get("/user/generation/0.svg")
        known = {"If-None-Match": found.headers["etag"]}
        again = await client.get("/user/generation/0.svg", headers=known)
        missing = await client.get("/user/generation/1.svg")
    assert (found.status_code, again.status_code, missing.status_code) == (200, 304, 404)
    assert found.headers["content-type"].startswith("image/svg+xml")
    assert found.headers["x-content-type-options"] == "nosniff"
    for answer in (found, again):
        policy = answer.headers["content-security-policy"].split("; ")
        assert {"default-src 'none'", "sandbox", "frame-ancestors 'self'"} <= set(policy)
        assert answer.headers["cache-control"] == "private, max-age=60"
