"""Which role somebody has, by whole address or by a claim."""

import pytest

from lib.api.loopback import is_local_request, is_loopback
from lib.roles import Role
from lib.ui.access.gate import providers
from lib.ui.access.roles import role_of

LISTS = {
    "DARKROOM_ADMINS": "ann@studio.example",
    "DARKROOM_OPERATORS": " Ben@Studio.example,cleo@studio.example , ann@studio.example",
    "DARKROOM_VIEWERS": "dan@studio.example,",
    "DARKROOM_ROLE_CLAIM": "groups",
    "DARKROOM_ADMIN_GROUPS": "owners",
    "DARKROOM_OPERATOR_GROUPS": "night shift,day shift",
}


@pytest.mark.parametrize(
    ("address", "role"),
    [
        ("ann@studio.example", Role.ADMIN),
        ("ben@studio.example", Role.OPERATOR),
        ("CLEO@studio.example", Role.OPERATOR),
        ("dan@studio.example", Role.VIEWER),
        ("eve@studio.example", None),
        ("xann@studio.example", None),
        ("ann@studio.example.evil.example", None),
        ("ann@studio", None),
        ("ann@studio.example ", None),
        ("ann@studio.example,ben@studio.example", None),
        ("*", None),
        ("", None),
        # The Kelvin sign and the long s, which case folding takes for k and s.
        ("ann@\u017ftudio.example", None),
        (["ann@studio.example"], None),
        (None, None),
    ],
)
def test_whole_addresses_count(address, role) -> None:
    assert role_of({"email": address, "email_verified": True}, LISTS) is role


@pytest.mark.parametrize("verified", [False, "false", None, 1, "yes"])
def test_an_address_that_is_not_verified_never_counts(verified) -> None:
    claims = {"email": "ann@studio.example", "email_verified": verified}
    assert role_of(claims, LISTS) is None
    assert role_of({"email": "ann@studio.example"}, LISTS) is None
    said = LISTS | {"DARKROOM_ROLE_CLAIM": "email", "DARKROOM_ADMIN_GROUPS": "ann@studio.example"}
    assert role_of(claims, said) is None


@pytest.mark.parametrize(
    ("groups", "role"),
    [
        ("owners", Role.ADMIN),
        (["staff", "night shift"], Role.OPERATOR),
        (["day shift", "owners"], Role.ADMIN),
        (["Owners", "owner", "owners2", "night shift,day shift", ""], None),
        ([["owners"], {"owners": 1}, True, None], None),
        ({"owners": True}, None),
        (None, None),
    ],
)
def test_whole_values_of_the_claim_count(groups, role) -> None:
    assert role_of({"sub": "7", "groups": groups}, LISTS) is role


def test_nobody_has_a_role_where_none_is_given() -> None:
    claims = {"email": "ann@studio.example", "email_verified": True, "groups": ["", "owners"]}
    assert role_of(claims, {}) is None
    assert role_of({"email": "", "email_verified": True}, {"DARKROOM_ADMINS": ""}) is None


@pytest.mark.parametrize(
    ("host", "here"),
    [
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("::ffff:10.0.0.7", False),
        ("10.0.0.7", False),
        ("127.0.0.1.evil.example", False),
        ("localhost.evil.example", False),
        ("", False),
        (None, False),
    ],
)
def test_what_is_this_computer(host, here) -> None:
    assert is_loopback(host) is here


@pytest.mark.parametrize(
    ("peer", "headers", "here"),
    [
        # HTTP/1.0 needs no Host, and a proxy may leave it out.
        ("127.0.0.1", {}, False),
        ("127.0.0.1", {"host": ""}, False),
        ("127.0.0.1", {"host": "localhost:8501"}, True),
        ("127.0.0.1", {"host": "LOCALHOST:8501"}, True),
        ("127.0.0.1", {"host": "localhost.:8501"}, False),
        ("127.0.0.1", {"host": "localhost:8501@darkroom.example"}, False),
        ("127.0.0.1", {"host": "0.0.0.0:8501"}, False),
        ("127.0.0.1", {"host": "2130706433"}, False),
        ("::1", {"host": "[::1]:8501"}, True),
        ("::1", {"host": "[::1"}, False),
        ("::1", {"host": "[::2]:8501"}, False),
        ("10.0.0.7", {"host": "localhost"}, False),
        (None, {"host": "localhost"}, False),
        ("127.0.0.1", {"host": "darkroom.example"}, False),
        ("127.0.0.1", {"host": "127.0.0.1:8501", "x-forwarded-for": "127.0.0.1"}, False),
        ("127.0.0.1", {"host": "127.0.0.1:8501", "forwarded": "for=10.0.0.7"}, False),
        ("127.0.0.1", {"host": "127.0.0.1:8501", "X_Forwarded_For": "10.0.0.7"}, False),
        # What proxies for sign-in and edges of clouds add.
        ("127.0.0.1", {"host": "127.0.0.1:8501", "x-auth-request-email": "a"}, False),
        ("127.0.0.1", {"host": "127.0.0.1:8501", "CloudFront-Viewer-Address": "a"}, False),
        ("127.0.0.1", {"host": "127.0.0.1:8501", "Remote-User": "a"}, False),
        ("127.0.0.1", {"host": "127.0.0.1:8501", "X-Scheme": "https"}, False),
    ],
)
def test_who_asks_from_here(peer, headers, here) -> None:
    assert is_local_request(peer, headers) is here


def test_what_a_provider_lacks_is_said() -> None:
    own = {"client_id": "a", "client_secret": "b", "server_metadata_url": "c"}
    shared = {"redirect_uri": "d", "cookie_secret": "e", "client_kwargs": {"prompt": "login"}}
    assert providers(shared | own) == {None: []}
    assert providers({"client_id": "a", "redirect_uri": "d"}) == {
        None: ["cookie_secret", "client_secret", "server_metadata_url"]
    }
    assert providers(shared | {"studio": own, "other": {"client_id": "a"}}) == {
        "studio": [],
        "other": ["client_secret", "server_metadata_url"],
    }
