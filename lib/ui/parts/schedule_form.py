"""The form by which the queue gets its schedule."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

import streamlit as st

from lib.checks.cron_jobs import KEY_NAME, store_key
from lib.checks.workers_and_cron import cron_job_name
from lib.formats import escaped
from lib.ops.cron.actions import schedule_process_jobs
from lib.ops.cron.schedule import EVERY_MINUTE, ScheduleError, check, in_words, next_runs
from lib.roles import Role
from lib.ui.confirm import Action
from lib.ui.dashboard import actor, moment, pool, read_once, who

SCHEDULES = (EVERY_MINUTE, "*/2 * * * *", "*/5 * * * *", "*/15 * * * *", "0 * * * *")
IN_SECONDS = ("10 seconds", "30 seconds")
"""For pg_cron 1.5 and later."""
LONGEST_SECONDS = 3_600


@dataclass(frozen=True, slots=True)
class Asked:
    """What schedule_process_jobs is to be called with."""

    schedule: str
    url: str
    key_name: str
    timeout_seconds: int


def schedule_input(label: str, there: Mapping[str, Any], first: str, key: str) -> str | None:
    """A field for a schedule, with what it means; None while it holds none that is right.

    `first` stands in it at first.
    """
    offered = dict.fromkeys([first, *(IN_SECONDS if there["seconds"] else ()), *SCHEDULES])
    chosen = str(
        st.selectbox(
            label,
            list(offered),
            accept_new_options=True,
            key=key,
            help="Choose one, or write your own: minute, hour, day of the month, month, weekday."
            f" Times are those of {there['time_zone']}.",
            width=320,
        )
        or ""
    )
    try:
        check(chosen, supports_seconds=there["seconds"])
    except ScheduleError as error:
        st.error("This schedule would not do what it says.", icon=":material/error:")
        st.text(str(error))
        return None
    following = next_runs(chosen, datetime.now(UTC), ZoneInfo(there["time_zone"]), 3)
    st.caption(f"{in_words(chosen)}. Next: {', '.join(moment(at) for at in following)}.")
    return chosen


def schedule_form(
    there: Mapping[str, Any], jobs: Sequence[Mapping[str, Any]], url: str
) -> Asked | None:
    """Draws the form; what it holds when it is sent, else None. `url` is that of process-jobs."""
    waking = [job for job in jobs if job["wakes_queue"]]
    first = waking[0]["schedule"] if waking and len(waking[0]["schedule"].split()) == 5 else ""
    schedule = schedule_input("Schedule", there, first or EVERY_MINUTE, "wake schedule")
    left, middle, right = st.columns([3, 2, 1])
    address = left.text_input("Address of process-jobs", url, key="wake url")
    key_name = middle.text_input(
        "Name of the key",
        KEY_NAME,
        key="wake key",
        help="Of the Vault secret, or of the setting app.settings.<name>, that holds the secret"
        " key. The key itself is written nowhere else.",
    )
    seconds = right.number_input(
        "Time limit, s",
        1,
        LONGEST_SECONDS,
        there["call_seconds"],
        key="wake limit",
        help="How long pg_net waits for the answer.",
    )
    readable = bool(key_name) and read_once("cron", "secret_readable", name=key_name)
    if not readable:
        st.warning("There is no key of that name yet. Store it first:", icon=":material/key:")
        st.code(store_key(there, key_name or KEY_NAME), language="sql", wrap_lines=True)
    if not there["pg_net"]:
        st.warning("pg_net is not installed, and pg_cron needs it to call a function:")
        st.code("create extension pg_net;", language="sql")
    button = "Replace the schedule" if waking else "Schedule process-jobs"
    possible = bool(schedule and address and readable and there["pg_net"])
    kind: Literal["primary", "secondary"] = "secondary" if waking else "primary"
    if st.button(button, type=kind, disabled=not possible) and schedule:
        return Asked(schedule, address, key_name, int(seconds))
    return None


def scheduling(asked: Asked, waking: Sequence[Mapping[str, Any]]) -> Action:
    """The action that does what the form held, in place of the jobs that wake the queue now."""
    replaced = " and ".join(
        f"{escaped(cron_job_name(job))} ({escaped(job['schedule'])})" for job in waking
    )

    def run() -> str:
        schedule_process_jobs(pool(), actor(), **asdict(asked))
        return f"process-jobs is called: {in_words(asked.schedule).lower()}."

    return Action(
        title="Schedule process-jobs",
        effect=f"pg_cron calls process-jobs from now on: {in_words(asked.schedule).lower()}."
        + (f" It replaces {replaced}." if waking else ""),
        button="Schedule",
        run=run,
        needs=Role.ADMIN,
        statement=read_once("cron", "schedule_statement", actor=who(), **asdict(asked)),
    )
