"""From which addresses files are read: by https from public ones, as they were checked."""

import datetime
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from answering_server import Server, running
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from starlette.responses import RedirectResponse, Response

from lib.provider import ProviderError, files
from lib.provider.replicate.client import Replicate

TOKEN = "r8_secret"
NAME = "images.example"
IMAGE = Response(b"\x89PNG", media_type="image/png")
PRIVATE = [
    *("127.0.0.1", "localhost", "2130706433", "0x7f.1", "0.0.0.0", "[::1]", "[::]"),
    *("[::ffff:127.0.0.1]", "[::127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]"),
    *("10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "169.254.169.254", "224.0.0.1"),
    *("[fe80::1]", "[fd00::1]", "[fec0::1]", "[ff02::1]", "[fd00:ec2::254]"),
    *("017700000001", "127.1", "user:pass@127.0.0.1", "198.18.0.1", "240.0.0.1", "255.255.255.255"),
    # Metadata of clouds.
    *("100.100.100.200", "192.0.0.192", "168.63.129.16", "[::ffff:168.63.129.16]"),
    *("[::ffff:0:127.0.0.1]", "[2001::7f00:1]", "[2001:db8::1]", "[ff0e::1]"),
    *("[64:ff9b::a9fe:a9fe]", "[2002:a9fe:a9fe::]", "[64:ff9b:1::a9fe:a9fe]"),
]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of NAME, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, NAME)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "server.pem"
    pem, no_password = serialization.Encoding.PEM, serialization.NoEncryption()
    form = serialization.PrivateFormat.PKCS8
    file.write_bytes(key.private_bytes(pem, form, no_password) + made.public_bytes(pem))
    return file


@pytest.fixture(scope="module")
def secure_server(certificate: Path) -> Iterator[Server]:
    with running(ssl_certfile=certificate) as server:
        yield server


@pytest.fixture
async def connect_secure(certificate: Path) -> AsyncIterator[Callable[[str], Replicate]]:
    """Makes clients that trust the certificate."""
    made = []
    trusting = ssl.create_default_context(cafile=str(certificate))

    def connect(base_url: str) -> Replicate:
        transport = httpx.AsyncHTTPTransport(verify=trusting)
        made.append(Replicate(TOKEN, base_url, transport=transport, max_wait=0))
        return made[-1]

    yield connect
    for each in made:
        await each.aclose()


@pytest.fixture
def lookups(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[list[str]]]:
    """The addresses of names, one list for each lookup; 127.0.0.1 counts as public."""
    answers: dict[str, list[list[str]]] = {}
    truly_public = files.is_public

    async def addresses(url: httpx.URL) -> list[str]:
        return answers[url.host].pop(0)

    monkeypatch.setattr(files, "_addresses", addresses)
    monkeypatch.setattr(files, "is_public", lambda a: a == "127.0.0.1" or truly_public(a))
    return answers


async def refusal(replicate: Replicate, url: str) -> ProviderError:
    with pytest.raises(ProviderError) as error:
        await replicate.download(url)
    return error.value


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("host", PRIVATE)
async def test_private_networks_are_not_read(
    serve: Any, connect: Any, host: str, scheme: str
) -> None:
    error = await refusal(connect(TOKEN, "https://api.example"), f"{scheme}://{host}:9/1.png")
    assert (error.code, error.permanent) == ("image_not_found", False)
    assert "private network" in str(error)
    # Nor from the API's own server, which may be in one.
    api = serve(RedirectResponse(f"{scheme}://{host}:9/1.png"))
    error = await refusal(connect(TOKEN, api.base_url), f"{api.base_url}/1.png")
    assert "private network" in str(error)


async def test_other_servers_are_read_by_https_alone(serve: Any, connect: Any) -> None:
    error = await refusal(connect(TOKEN, "https://api.example"), "http://8.8.8.8/1.png")
    assert (error.code, str(error)) == (
        "image_not_found",
        "The image address, at 8.8.8.8, does not use https.",
    )
    api = serve(RedirectResponse("http://8.8.8.8/1.png"))
    assert "does not use https" in str(
        await refusal(connect(TOKEN, api.base_url), f"{api.base_url}/1.png")
    )


async def test_the_address_that_was_checked_is_the_one_that_is_read(
    secure_server: Server, connect_secure: Any, lookups: dict[str, list[list[str]]]
) -> None:
    """A name that leads elsewhere a moment later is not looked up again."""
    port = secure_server.base_url.rpartition(":")[2]
    secure_server.prepare(IMAGE)
    lookups[NAME] = [["127.0.0.1"]]
    replicate = connect_secure("https://api.example")
    assert await replicate.download(f"https://{NAME}:{port}/1.png?a=b") == IMAGE.body
    [request] = secure_server.requests
    assert request.headers["host"] == f"{NAME}:{port}"
    assert str(request.url.path) == "/1.png"
    # The token goes to the API alone.
    assert "authorization" not in request.headers


async def test_each_hop_is_checked(
    secure_server: Server, connect_secure: Any, lookups: dict[str, list[list[str]]]
) -> None:
    port = secure_server.base_url.rpartition(":")[2]
    start = f"https://{NAME}:{port}/1.png"
    replicate = connect_secure("https://api.example")
    for target, addresses, said in (
        ("https://inside.example/2.png", [["169.254.169.254"]], "private network"),
        (f"http://{NAME}/2.png", [["127.0.0.1"]], "does not use https"),
        # Of several addresses none may be private.
        ("https://both.example/2.png", [["8.8.8.8", "10.0.0.1"]], "private network"),
    ):
        secure_server.prepare(RedirectResponse(target))
        lookups[NAME] = [["127.0.0.1"]]
        lookups.setdefault(httpx.URL(target).host, []).extend(addresses)
        assert said in str(await refusal(replicate, start))
    # One that is relative is read at the same name, after another look.
    secure_server.prepare(RedirectResponse("/2.png"), IMAGE)
    lookups[NAME] = [["127.0.0.1"], ["127.0.0.1"]]
    assert await replicate.download(start) == IMAGE.body
    assert [str(request.url.path) for request in secure_server.requests] == ["/1.png", "/2.png"]
    lookups[NAME] = [["127.0.0.1"], ["192.168.0.1"]]
    secure_server.prepare(RedirectResponse("/2.png"), IMAGE)
    assert "private network" in str(await refusal(replicate, start))
    assert len(secure_server.requests) == 1


async def test_a_certificate_is_of_the_name_and_not_of_the_address(
    secure_server: Server, connect_secure: Any, lookups: dict[str, list[list[str]]]
) -> None:
    port = secure_server.base_url.rpartition(":")[2]
    secure_server.prepare(IMAGE)
    lookups["other.example"] = [["127.0.0.1"]]
    error = await refusal(
        connect_secure("https://api.example"), f"https://other.example:{port}/1.png"
    )
    assert error.code == "image_unreachable"
    assert secure_server.requests == []


async def test_the_token_goes_to_the_api_alone(
    serve: Any, secure_server: Server, connect_secure: Any, lookups: dict[str, list[list[str]]]
) -> None:
    port = secure_server.base_url.rpartition(":")[2]
    secure_server.prepare(IMAGE)
    api = serve(IMAGE, RedirectResponse(f"https://{NAME}:{port}/2.png"))
    replicate = connect_secure(api.base_url)
    lookups[NAME] = [["127.0.0.1"]]
    await replicate.download(f"{api.base_url}/1.png")
    await replicate.download(f"{api.base_url}/2.png")
    assert [r.headers.get("authorization") for r in api.requests] == [f"Bearer {TOKEN}"] * 2
    assert [r.headers.get("authorization") for r in secure_server.requests] == [None]


async def test_an_address_that_does_not_answer_is_followed_by_the_next(
    secure_server: Server,
    connect_secure: Any,
    lookups: dict[str, list[list[str]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(files, "is_public", lambda address: address.startswith("127."))
    port = secure_server.base_url.rpartition(":")[2]
    secure_server.prepare(IMAGE)
    lookups[NAME] = [["127.0.0.9", "127.0.0.1"]]
    replicate = connect_secure("https://api.example")
    assert await replicate.download(f"https://{NAME}:{port}/1.png") == IMAGE.body
