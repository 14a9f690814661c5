"""The files of an output: where they may be, and what their servers may answer."""

import asyncio
import base64

import pytest
from starlette.responses import PlainTextResponse, RedirectResponse, Response, StreamingResponse

from lib.provider import ProviderError, files

TOKEN = "r8_secret"
IMAGE = Response(b"\x89PNG", media_type="image/png")


async def refusal(replicate, url: str, **options) -> ProviderError:
    with pytest.raises(ProviderError) as error:
        await replicate.download(url, **options)
    return error.value


@pytest.mark.parametrize("url", ["file:///etc/passwd", "x", "//[", "", "http://", "ftp://a/1.png"])
async def test_only_the_web_is_read(connect, url):
    assert (await refusal(connect(TOKEN, "http://127.0.0.1:1"), url)).code == "image_not_found"


@pytest.mark.parametrize("host", ["nobody.invalid", f"{'a' * 70}.invalid"])
async def test_a_name_that_nobody_has_is_unreachable(connect, host):
    replicate = connect(TOKEN, "https://api.example", max_wait=0)
    assert (await refusal(replicate, f"https://{host}/1.png")).code == "image_unreachable"


@pytest.mark.parametrize(
    ("url", "content"),
    [
        ("data:image/png;base64,iVBORw==", b"\x89PNG"),
        ("DATA:image/png;charset=binary;BASE64,iVBORw%3D%3D", b"\x89PNG"),
        ("data:,%89PNG", b"\x89PNG"),
        ("data:", b""),
        (f"data:;base64,{base64.b64encode(bytes(1_000_000)).decode()}", bytes(1_000_000)),
    ],
)
async def test_a_data_url_is_its_own_content(connect, url, content):
    assert await connect(TOKEN, "http://127.0.0.1:1").download(url) == content


async def test_a_broken_data_url_is_not_an_image(connect):
    error = await refusal(connect(TOKEN, "http://127.0.0.1:1"), "data:image/png;base64,eA")
    assert (error.code, error.permanent) == ("not_an_image", True)


async def test_the_declared_type_does_not_matter(serve, connect):
    server = serve(PlainTextResponse(b"\x89PNG"), Response(b"\x89PNG"))
    replicate = connect(TOKEN, server.base_url)
    for _ in range(2):
        assert await replicate.download(f"{server.base_url}/1.png") == b"\x89PNG"


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 410, 422, 304])
async def test_a_refusal_is_about_the_file(serve, connect, status):
    server = serve(Response(status_code=status))
    error = await refusal(connect(TOKEN, server.base_url), f"{server.base_url}/1.png")
    assert (error.code, error.status, error.permanent) == ("image_not_found", status, False)
    assert str(error) == f"The image server, 127.0.0.1, returned HTTP {status}."
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503])
async def test_a_server_that_is_busy_is_asked_again(serve, connect, status):
    busy = Response(status_code=status, headers={"retry-after": "0.01"})
    server = serve(busy, IMAGE)
    replicate = connect(TOKEN, server.base_url)
    assert await replicate.download(f"{server.base_url}/1.png") == IMAGE.body
    server.prepare(Response(status_code=status, headers={"retry-after": "86400"}))
    error = await refusal(replicate, f"{server.base_url}/1.png")
    # No longer than the provider keeps the file.
    assert (error.code, error.retry_after) == ("image_unreachable", 300)
    assert not error.permanent


async def test_a_cut_off_download_is_repeated(serve, connect):
    cut = Response(IMAGE.body, headers={"content-length": "5"})
    server = serve(cut, IMAGE)
    replicate = connect(TOKEN, server.base_url)
    assert await replicate.download(f"{server.base_url}/1.png") == IMAGE.body
    assert len(server.requests) == 2


async def test_only_so_much_is_downloaded(serve, connect, monkeypatch):
    server = serve(IMAGE)
    replicate = connect(TOKEN, server.base_url)
    monkeypatch.setattr(files, "MAX_FILE_BYTES", 3)
    error = await refusal(replicate, f"{server.base_url}/1.png")
    assert (error.code, error.permanent) == ("too_large", True)


async def test_a_download_has_a_deadline(serve, connect):
    async def drip():
        while True:
            yield b"."
            await asyncio.sleep(0.05)

    server = serve(StreamingResponse(drip()))
    error = await refusal(connect(TOKEN, server.base_url), f"{server.base_url}/1.png", deadline=0.2)
    assert (error.code, error.permanent) == ("image_unreachable", False)
    assert str(error) == "The image did not arrive within 0.2 s."


async def test_redirects_end(serve, connect):
    server = serve(RedirectResponse("/again"))
    error = await refusal(connect(TOKEN, server.base_url), f"{server.base_url}/1.png")
    assert error.code == "image_not_found"
    assert len(server.requests) == files.MAX_REDIRECTS + 1
