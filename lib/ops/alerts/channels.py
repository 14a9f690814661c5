"""Delivery through Apprise. Addresses are secrets: never log or quote one here."""

import logging
import re

from apprise import Apprise, AppriseAsset, AppriseResultStatus, NotifyBase, NotifyFormat

from lib.ops.alerts.messages import Message

HOST_SCHEMES = ("json", "xml", "form", "mailto", "gotify", "apprise")
"""Schemes (also with a trailing s) whose host part is safe to show; elsewhere it is a token."""
TIMEOUT_SECONDS = 20
# Below WARNING, Apprise and urllib3 log full addresses, including tokens. Errors are taken from
# Apprise's result instead, and only their HTTP status.
for _verbose_logger in ("apprise", "urllib3"):
    logging.getLogger(_verbose_logger).setLevel(logging.WARNING)
logging.getLogger("apprise").propagate = False
logging.getLogger("apprise").addHandler(logging.NullHandler())


class ChannelError(Exception):
    """Invalid address. The message gives valid examples and does not quote the address."""


def redacted(url: str) -> str:
    """The public part of an address: its scheme, and its host unless that is a token.

    Raises ChannelError for an address that Apprise does not accept.
    """
    service = _service(url)
    if service is None:
        raise ChannelError(
            "Apprise does not accept this URL. Examples: jsons://host/path for a webhook,"
            " mailtos://user:password@host?to=address for e-mail, slack://token/token/token for"
            " Slack. For others, see github.com/caronc/apprise/wiki."
        )
    scheme = str(service.schema)
    return (
        f"{scheme}://{service.host}"
        if scheme.removesuffix("s") in HOST_SCHEMES
        else f"{scheme}://…"
    )


def send(url: str, message: Message) -> str | None:
    """Send a message. Returns an error message without the address, or None if it was delivered.

    Blocks for up to TIMEOUT_SECONDS.
    """
    service = _service(url)
    if service is None:
        return "Apprise does not accept this URL."
    apprise = Apprise(asset=_asset())
    apprise.add(service)
    result = apprise.notify(
        title=message.title,
        body=message.body,
        notify_type=message.kind,
        # Job data must not be interpreted as Markdown or HTML.
        body_format=NotifyFormat.TEXT,
        interpret_escapes=False,
    )
    if result:
        return None
    if result.status == AppriseResultStatus.TIMEOUT:
        return f"The receiver did not respond within {TIMEOUT_SECONDS} s."
    log = " ".join(
        entry.message for attempts in result for attempt in attempts for entry in attempt.logs
    )
    if status := re.search(r"\berror=(\d{3})\b", log):
        return f"The receiver rejected the message: HTTP {status[1]}."
    return "The receiver was unreachable or rejected the message."


def _service(url: str) -> NotifyBase | None:
    return Apprise.instantiate(url, asset=_asset())


def _asset() -> AppriseAsset:
    return AppriseAsset(
        app_id="Darkroom",
        app_desc="Darkroom alerts",
        app_url="",
        image_url_mask="",
        image_url_logo="",
        service_timeout=TIMEOUT_SECONDS,
        allow_templates=False,
    )
