"""Who is told, as the page Alerts shows it: never an address, only what of it is no secret."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from lib.access import Role
from lib.alerts.actions import remove_channel, set_channel, try_channel
from lib.alerts.forms import TOLD_OF, channel_form
from lib.confirm import Action, ask, plural
from lib.dashboard import actor, moment, pool, read
from lib.formats import escaped


def channel_list() -> None:
    """Draws every channel with its actions, and the form for another."""
    st.header("Who is told?")
    for channel in read("alerts", "channels"):
        _one_channel(channel)
    channel_form()


def _one_channel(channel: Mapping[str, Any]) -> None:
    name, key = escaped(channel["name"]), str(channel["id"])
    with st.container(border=True, gap="xsmall"):
        with st.container(horizontal=True, vertical_alignment="center"):
            off = "" if channel["enabled"] else " :gray-badge[Off]"
            st.markdown(
                f"**{name}**{off} {escaped(channel['shown'])}, told of"
                f" {TOLD_OF[channel['least_severity']]}",
                width="stretch",
            )
            if st.button("Send a test", key=f"test {key}", icon=":material/send:"):
                ask(trying(channel))
            if st.button("Switch off" if channel["enabled"] else "Switch on", key=f"switch {key}"):
                ask(switching(channel))
            if st.button("Remove", key=f"remove {key}"):
                ask(removing(channel))
        st.caption(_last_message(channel))


def _last_message(channel: Mapping[str, Any]) -> str:
    if not channel["last_at"]:
        return "Nothing was sent to it so far."
    words = f"The last message ({channel['last_kind']}) of {moment(channel['last_at'])}"
    error = channel["last_error"]
    return f"{words} failed: {escaped(error)}" if error else f"{words} arrived."


def trying(channel: Mapping[str, Any]) -> Action:
    """Asks before a test message is sent."""
    name = escaped(channel["name"])

    def run() -> str:
        error = try_channel(pool(), actor(), channel["id"])
        return f"The test did not reach {name}: {escaped(error)}" if error else f"{name} has it."

    return Action("Send a test", f"Sends a message to {name} that says it is a test.", "Send", run)


def switching(channel: Mapping[str, Any]) -> Action:
    """Asks before a channel is switched off or on."""
    name, on = escaped(channel["name"]), not channel["enabled"]
    effect = (
        f"{name} is told again, also of what fires already." if on
        else f"{name} is told of nothing until it is switched on again."
    )  # fmt: skip

    def run() -> str:
        set_channel(
            pool(), actor(), channel["id"], enabled=on, least_severity=channel["least_severity"]
        )
        return effect

    word = "Switch on" if on else "Switch off"
    return Action(f"{word} a channel", effect, word, run, needs=Role.ADMIN)


def removing(channel: Mapping[str, Any]) -> Action:
    """Asks before a channel is deleted."""
    name = escaped(channel["name"])

    def run() -> str:
        gone = remove_channel(pool(), actor(), channel["id"])
        return f"{name} is removed." if gone else f"{name} was gone already."

    return Action(
        "Remove a channel",
        f"Deletes {name} with its address, and {plural(channel['waiting'], 'message')} that it has"
        " not got yet.",
        "Remove",
        run,
        needs=Role.ADMIN,
    )
