"""A test run, running or finished: its progress, actions and problems."""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import streamlit as st

from lib.checks.job_state import job_state
from lib.formats import duration, escaped, plural
from lib.ops.test_runs.phases import LIVE, PHASES, mean, overdue, phase
from lib.ui.confirm import ask
from lib.ui.dashboard import format_time, read
from lib.ui.images import archive
from lib.ui.parts import job_dialogs
from lib.ui.parts.input_images import references_of, show_input_images
from lib.ui.parts.test_run_gallery import show_gallery
from lib.ui.parts.test_run_list import delete_action
from lib.ui.parts.test_run_load import show_load_test

Row = Mapping[str, Any]
STARTING_SECONDS = 10
"""Grace period before jobs that were not started are reported."""
DUE_GRACE_SECONDS = 3
"""A job that stays pending for longer than this gets an explanation."""


def is_live(run: Row, jobs: Sequence[Row]) -> bool:
    """Whether the run has jobs that are pending, running or not yet started."""
    missing = run["started"] < run["jobs"] and run["age_seconds"] < STARTING_SECONDS
    return missing or any(job["status"] in LIVE for job in jobs)


def is_load_test(run: Row) -> bool:
    """Whether the run was submitted as a load test."""
    return bool(run["settings"].get("load_test"))


def show_run(run: Row, jobs: Sequence[Row], usual: Mapping[str, float]) -> None:
    """Draw a run from the queries `run` and `jobs` of queries/generate.sql.

    `usual` is the median run time of each model, in seconds.
    """
    names = {row["id"]: row["display_name"] for row in read("generate", "models")}
    st.header("This run")
    if run["prompt"]:
        st.text(run["prompt"])
    if images := _input_images(run):
        show_input_images(images, "Input image")
    if is_load_test(run):
        st.text(_phase_counts(jobs))
        _buttons(run, jobs)
        _notices(jobs, names)
        _problems(run, jobs, usual)
        show_load_test(run, jobs, names, usual)
    else:
        ended = sum(job["status"] not in LIVE for job in jobs)
        if is_live(run, jobs):
            st.progress(ended / run["jobs"], _progress(run, jobs))
        else:
            st.caption(_progress(run, jobs))
        _notices(jobs, names)
        _problems(run, jobs, usual)
        show_gallery(jobs, names, usual)
        _buttons(run, jobs)
    at = format_time(run["created_at"], seconds=True)
    st.text(f"Started {at} by {run['actor']}")


def _input_images(run: Row) -> list[str]:
    """References of the images that the models were given, each once."""
    found: dict[str, None] = {}
    for values in (run["settings"].get("parameters") or {}).values():
        for references in references_of(values).values():
            found |= dict.fromkeys(references)
    return list(found)


def _progress(run: Row, jobs: Sequence[Row]) -> str:
    """One line: what is done, and how long it took so far."""
    done = [job for job in jobs if job["status"] == "completed"]
    parts = [f"{len(done)} of {run['jobs']} completed"]
    for status in ("failed", "cancelled"):
        if count := sum(job["status"] == status for job in jobs):
            parts.append(f"{count} {status}")
    if waits := [job["wait_seconds"] for job in jobs]:
        parts.append(f"mean wait {duration(mean(waits))}")
    for model in dict.fromkeys(job["model_id"] for job in done):
        runs = [job["run_seconds"] for job in done if job["model_id"] == model]
        parts.append(f"{escaped(model.rpartition('/')[2])} {duration(mean(runs))}")
    return " · ".join(parts)


def _phase_counts(jobs: Sequence[Row]) -> str:
    """Number of jobs in each phase, such as "1 pending, 3 completed, 4 in total"."""
    found = Counter(map(phase, jobs))
    summary = [f"{found[name]:,} {name.lower()}" for name in PHASES if found[name]]
    return f"{', '.join(summary)}, {len(jobs):,} in total" if summary else "No jobs started yet"


def _buttons(run: Row, jobs: Sequence[Row]) -> None:
    live = [job["job_id"] for job in jobs if job["status"] in LIVE]
    with st.container(horizontal=True):
        if st.button("Run again", icon=":material/replay:"):
            st.session_state["again"] = run["settings"]
            st.rerun()
        if st.button("Edit settings", icon=":material/edit:"):
            st.session_state["refill"] = run["settings"]
            st.rerun()
        if len(live) > 1 and st.button(
            f"Cancel {plural(len(live))}", key="cancel run", icon=":material/cancel:"
        ):
            ask(job_dialogs.cancel(live))
        done = [job for job in jobs if job["status"] == "completed"]
        images = sum(max(len(job["outputs"]), 1) for job in done)
        if len(done) > 1 and not is_load_test(run):
            st.download_button(
                f"Download {images} images",
                partial(archive, done),
                f"run-{str(run['id'])[:8]}.zip",
                "application/zip",
                icon=":material/download:",
                on_click="ignore",
                key="all images",
            )
        if st.button("Delete run", icon=":material/delete:"):
            ask(delete_action([run["id"]], len(jobs), len(live)))


def _notices(jobs: Sequence[Row], names: Mapping[str, str]) -> None:
    """What of the request was ignored or changed, such as the size, once per model."""
    found = dict.fromkeys(
        escaped(f"{names.get(job['model_id'], job['model_id'])}: {notice}")
        for job in jobs
        for notice in job["notices"] or ()
    )
    if found:
        st.info("\n\n".join(found), icon=":material/info:")


def _problems(run: Row, jobs: Sequence[Row], usual: Mapping[str, float]) -> None:
    if run["started"] < run["jobs"] and run["age_seconds"] > STARTING_SECONDS:
        st.warning(
            f"Only {run['started']:,} of {plural(run['jobs'])} started: the others were rejected,"
            f" or the app stopped. *Run again* starts all {run['jobs']:,} again.",
            icon=":material/warning:",
        )
    waiting = [
        job
        for job in jobs
        if job["status"] == "queued"
        and (job["wait_seconds"] > DUE_GRACE_SECONDS or job["attempts"])
    ]
    if waiting and (first := read("job", "job", id=waiting[0]["job_id"])):
        found = job_state(first)
        if found.level in ("held", "act"):
            # May quote errors and names.
            which = f"**Job {waiting[0]['place']}.** " if len(jobs) > 1 else ""
            st.warning(which + escaped(found.sentence), icon=":material/pause_circle:")
    late = sum(overdue(job, usual.get(job["model_id"])) for job in jobs)
    if late:
        st.warning(
            f"{plural(late)} running for more than three times as long as usual.",
            icon=":material/hourglass_top:",
        )
