"""What of an address is shown: never a part that lets somebody send."""

import pytest

from lib.ops.alerts.channels import ChannelError, redacted

SECRETS = ("s3cret", "TokenA", "TokenB", "TokenC", "integrationkey")
ADDRESSES = {
    "json://user:s3cret@hooks.example/s3cret?x=s3cret": "json://hooks.example",
    "jsons://hooks.example:8443/s3cret": "jsons://hooks.example",
    "mailtos://user:s3cret@mail.example?to=me@mail.example": "mailtos://mail.example",
    "slack://TokenA0000/TokenB0000/TokenC000000000000000000/#alerts": "slack://…",
    "https://hooks.slack.com/services/T1JJ3T3L2/A1BRTD4JD/TokenC00000000000000000": "slack://…",
    "discord://4174216298/s3cretJHMHI8qBe7bk2ZwO5U711o3dV_js": "discord://…",
    "tgram://123456789:s3cret_ghijklmnopqrstuvwxyzABCDEFGHI/12315544/": "tgram://…",
    "ntfy://s3cret": "ntfy://…",
}


@pytest.mark.parametrize("url", ADDRESSES)
def test_only_scheme_and_host_are_shown(url):
    assert redacted(url) == ADDRESSES[url]


@pytest.mark.parametrize(
    "url", ["", "s3cret", "https://hooks.example/s3cret", "file:///s3cret", "json://", "jsons://"]
)
def test_what_is_no_address_is_refused_and_not_quoted(url):
    with pytest.raises(ChannelError) as refused:
        redacted(url)
    assert not url or "s3cret" not in str(refused.value)
