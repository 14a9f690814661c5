"""What a browser said to the app, said again in somebody else's session."""

from collections.abc import Sequence

from playwright.sync_api import BrowserContext, Page
from running_app import App
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import connect

SECONDS = 20
ENDED = {
    ForwardMsg.ScriptFinishedStatus.FINISHED_SUCCESSFULLY,
    ForwardMsg.ScriptFinishedStatus.FINISHED_FRAGMENT_RUN_SUCCESSFULLY,
    ForwardMsg.ScriptFinishedStatus.FINISHED_WITH_COMPILE_ERROR,
}


def recorded(page: Page) -> list[bytes]:
    """Fills with what the page says from now on that makes the app run its script."""
    said: list[bytes] = []

    def note(frame: str | bytes) -> None:
        assert isinstance(frame, bytes)
        if BackMsg.FromString(frame).WhichOneof("type") == "rerun_script":
            said.append(frame)

    page.on("websocket", lambda socket: socket.on("framesent", note))
    return said


def whole(frames: Sequence[bytes]) -> list[bytes]:
    """The same, but each runs the whole page instead of the part that it was about."""
    messages = [BackMsg.FromString(frame) for frame in frames]
    for message in messages:
        message.rerun_script.ClearField("fragment_id")
    return [message.SerializeToString() for message in messages]


def replay(app: App, of: BrowserContext, frames: Sequence[bytes]) -> bytes:
    """Says the frames one after the other in a new session of who is signed in there.

    Returns all that the app answered, until it had done with all of them.
    """
    cookies = {cookie["name"]: cookie["value"] for cookie in of.cookies(app.url)}
    answers = b""
    with connect(
        f"{app.url.replace('http', 'ws', 1)}/_stcore/stream",
        additional_headers={"Cookie": "; ".join(f"{n}={value}" for n, value in cookies.items())},
        origin=app.url,
        subprotocols=["streamlit", cookies["_streamlit_xsrf"]],
        max_size=None,
    ) as socket:
        # The first one again at the end: the app takes them in their order.
        for frame in [*frames, frames[0]]:
            socket.send(frame)
            part = BackMsg.FromString(frame).rerun_script.fragment_id
            if part.encode() not in answers:
                continue  # The session has no such part of the page: nothing is run.
            while not ended(answer := socket.recv(SECONDS)):
                answers += answer
            answers += answer
    return answers


def ended(answer: bytes) -> bool:
    message = ForwardMsg.FromString(answer)
    return message.WhichOneof("type") == "script_finished" and message.script_finished in ENDED
