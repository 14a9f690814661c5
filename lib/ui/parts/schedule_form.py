"""Form that schedules process-jobs with pg_cron."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import streamlit as st

from lib.checks.cron_jobs import store_key
from lib.checks.workers_and_cron import cron_job_name
from lib.formats import escaped, zone
from lib.ops.cron.actions import schedule_process_jobs
from lib.ops.cron.schedule import EVERY_MINUTE, ScheduleError, check, in_words, next_runs
from lib.roles import Role
from lib.ui.confirm import Action
from lib.ui.dashboard import actor, current_user, format_time, pool, read_once

SCHEDULES = (EVERY_MINUTE, "*/2 * * * *", "*/5 * * * *", "*/15 * * * *", "0 * * * *")
SECOND_SCHEDULES = ("10 seconds", "30 seconds")
"""Require pg_cron 1.5 or later."""
MAX_TIMEOUT_SECONDS = 3_600


@dataclass(frozen=True, slots=True)
class ScheduleRequest:
    """Arguments for schedule_process_jobs."""

    schedule: str
    url: str
    key_name: str
    timeout_seconds: int


def schedule_input(label: str, env: Mapping[str, Any], first: str, key: str) -> str | None:
    """A schedule field with its meaning and next runs; None while the schedule is invalid.

    `first` is the initial value.
    """
    offered = dict.fromkeys([first, *(SECOND_SCHEDULES if env["seconds"] else ()), *SCHEDULES])
    chosen = str(
        st.selectbox(
            label,
            list(offered),
            accept_new_options=True,
            key=key,
            help="Choose one or enter your own: minute, hour, day of the month, month, weekday."
            f" Times are in {env['time_zone']}.",
            width=320,
        )
        or ""
    )
    try:
        check(chosen, supports_seconds=env["seconds"])
    except ScheduleError as error:
        st.error("Invalid schedule.", icon=":material/error:")
        st.text(str(error))
        return None
    next_times = next_runs(chosen, datetime.now(UTC), zone(env["time_zone"]), 3)
    st.caption(f"{in_words(chosen)}. Next: {', '.join(format_time(at) for at in next_times)}.")
    return chosen


def schedule_form(
    env: Mapping[str, Any], jobs: Sequence[Mapping[str, Any]], url: str
) -> ScheduleRequest | None:
    """Draw the form; its values once submitted, else None. `url` is that of process-jobs."""
    wake_jobs = [job for job in jobs if job["wakes_queue"]]
    first = (
        wake_jobs[0]["schedule"] if wake_jobs and len(wake_jobs[0]["schedule"].split()) == 5 else ""
    )
    schedule = schedule_input("Schedule", env, first or EVERY_MINUTE, "wake schedule")
    left, middle, right = st.columns([3, 2, 1])
    function_url = left.text_input("URL of process-jobs", url, key="wake url")
    key_name = middle.text_input(
        "Key name",
        env["key_name"],
        key="wake key",
        help="Name of the Vault secret, or of the setting app.settings.<name>, that holds the"
        " secret key. The key itself is stored nowhere else.",
    )
    seconds = right.number_input(
        "Timeout (s)",
        1,
        MAX_TIMEOUT_SECONDS,
        env["call_seconds"],
        key="wake limit",
        help="How long pg_net waits for the response; meanwhile it sends no other request."
        " Darkroom responds within 5 s. The project's own functions may take longer.",
    )
    readable = bool(key_name) and read_once("cron", "secret_readable", name=key_name)
    if not readable:
        st.warning("No key with this name yet. Store it first:", icon=":material/key:")
        st.code(store_key(env, key_name or env["key_name"]), language="sql", wrap_lines=True)
    if not env["pg_net"]:
        st.warning("pg_net is not installed, and pg_cron needs it to call a function:")
        st.code("create extension pg_net;", language="sql")
    possible = bool(schedule and function_url and readable and env["pg_net"])
    kind: Literal["primary", "secondary"] = "secondary" if wake_jobs else "primary"
    if (
        st.button(schedule_label(wake_jobs), key="schedule", type=kind, disabled=not possible)
        and schedule
    ):
        return ScheduleRequest(schedule, function_url, key_name, int(seconds))
    return None


def schedule_label(wake_jobs: Sequence[Mapping[str, Any]]) -> str:
    """Label of the button and dialog; `wake_jobs` are the cron jobs that would be replaced."""
    return "Replace schedule" if wake_jobs else "Schedule process-jobs"


def schedule_action(request: ScheduleRequest, wake_jobs: Sequence[Mapping[str, Any]]) -> Action:
    """Schedule process-jobs, replacing `wake_jobs`: the cron jobs that already wake the queue."""
    replaced = " and ".join(
        f"{escaped(cron_job_name(job))} ({escaped(job['schedule'])})" for job in wake_jobs
    )

    def run() -> str:
        schedule_process_jobs(pool(), actor(), **asdict(request))
        return f"process-jobs scheduled: {in_words(request.schedule).lower()}."

    label = schedule_label(wake_jobs)
    return Action(
        title=label,
        effect=f"pg_cron calls process-jobs {in_words(request.schedule).lower()}."
        + (f" This replaces {replaced}." if wake_jobs else ""),
        button=label,
        run=run,
        needs=Role.ADMIN,
        statement=read_once("cron", "schedule_statement", actor=current_user(), **asdict(request)),
    )
