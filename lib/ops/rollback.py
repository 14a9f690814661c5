"""Rollback from the queue to the synchronous path, and the way back: step by step.

An open rollback records what it stops, so that it can be restored. No step deletes anything; steps
can be repeated, skipped or reordered. All functions raise DatabaseUnavailable while the database is
unreachable, and QueryError DR409 if the rollback has ended.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from lib.database import Pool, load, translated
from lib.formats import plural
from lib.ops.action_texts import BACK, CANCELLED, cancel_effect, outcome
from lib.queue.operator_actions import pause_queue, resume_queue
from lib.roles import Role

State = Mapping[str, Any]
"""The row of the query `state` of queries/rollback.sql."""
Progress = Callable[[float], object]
"""Callback with the completed share, up to 1."""
StepStatus = Literal["done", "open", "unneeded"]
MAX_COUNTED = 100_000
"""The query counts cancelled jobs only up to this limit."""


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a rollback.

    `situation` describes the current situation, `effect` what the step will do and to how many
    jobs. `run` performs it on behalf of an actor and returns a report. `needs` is the required
    role, `decline` the label of the button that cancels.
    """

    name: str
    title: str
    status: Callable[[State], StepStatus]
    situation: Callable[[State], str]
    effect: Callable[[State], str]
    button: str
    run: Callable[[Pool, str, State, Progress], str]
    needs: Role = Role.OPERATOR
    decline: str = "Cancel"


def start(pool: Pool, actor: str, reason: str) -> None:
    """Open a rollback without stopping anything. Raises QueryError DR409 if one is open."""
    _call(pool, "start", actor=actor, reason=reason)


def record_notice(pool: Pool, actor: str, rollback: UUID, who: str, message: str) -> None:
    """Record who was notified, and with which message."""
    _call(pool, "note_told", actor=actor, rollback=rollback, who=who, message=message)


def end(pool: Pool, actor: str, rollback: UUID) -> None:
    """Close a rollback; whatever is still stopped stays stopped."""
    _call(pool, "end", actor=actor, rollback=rollback)


def _call(pool: Pool, query: str, **parameters: Any) -> Any:
    with translated(), pool.connection() as connection:
        return getattr(load("rollback"), query)(connection, **parameters)


def _pause(pool: Pool, actor: str, state: State, _: Progress) -> str:
    pause_queue(pool, actor, reason=f"Rollback: {state['reason']}")
    return "Queue paused."


def _resume(pool: Pool, actor: str, state: State, _: Progress) -> str:
    resume_queue(pool, actor)
    return "Queue resumed."


def _to_synchronous(pool: Pool, actor: str, state: State, _: Progress) -> str:
    before = _call(pool, "to_synchronous", actor=actor, rollback=state["id"])
    return f"All users are on the synchronous path; {before}% were on the queue."


def _restore(pool: Pool, actor: str, state: State, _: Progress) -> str:
    after = _call(pool, "restore_rollout", actor=actor, rollback=state["id"])
    return f"{after}% of users will use the queue, starting with their next request."


def _stop_cron(pool: Pool, actor: str, state: State, _: Progress) -> str:
    count = _call(pool, "stop_cron", actor=actor, rollback=state["id"])
    return f"{plural(count, 'cron job')} paused."


def _restart_cron(pool: Pool, actor: str, state: State, _: Progress) -> str:
    count = _call(pool, "restart_cron", actor=actor, rollback=state["id"])
    return f"{plural(count, 'cron job')} running again."


def _cancel(
    status: Literal["pending", "processing"], count: Literal["waiting", "running"]
) -> Callable[[Pool, str, State, Progress], str]:
    def run(pool: Pool, actor: str, state: State, progress: Progress) -> str:
        done = 0
        parameters = {
            "actor": actor,
            "rollback": state["id"],
            "status": status,
            "until": state["now"],
        }
        while some := _call(pool, "cancel", **parameters):
            done += some
            progress(min(done / max(state[count], 1), 1.0))
        return outcome(CANCELLED, done)

    return run


def _put_back(pool: Pool, actor: str, state: State, progress: Progress) -> str:
    looked_at = put_back = 0
    while (some := _call(pool, "put_back", actor=actor, rollback=state["id"]))["looked_at"]:
        looked_at += some["looked_at"]
        put_back += some["put_back"]
        progress(min(looked_at / max(state["to_settle"], 1), 1.0))
    return outcome(BACK, put_back, looked_at)


def _paused(state: State) -> str:
    if state["paused_at"] is None:
        return f"The queue is not paused. {plural(state['waiting'])} pending."
    arrived = f"; {plural(state['arrived'])} arrived since" if state["arrived"] else ""
    return f"Paused by {state['paused_by']}{arrived}. {plural(state['running'])} running."


def _rollout(state: State) -> str:
    return f"{state['percentage']}% of users are on the queue."


def _cron_jobs(state: State) -> str:
    if not state["cron_active"] and not state["cron_stopped"]:
        return "No cron job calls process-jobs."
    return (
        f"{plural(state['cron_active'], 'cron job')} calling process-jobs,"
        f" {state['cron_stopped']} paused by this rollback."
    )


def _to_put_back(state: State) -> str:
    more = "more than " if state["to_settle"] > MAX_COUNTED else ""
    return f"{more}{plural(min(state['to_settle'], MAX_COUNTED))}"


ROLLBACK_STEPS = (
    Step(
        "pause",
        "Pause queue",
        lambda state: "done" if state["paused_at"] else "open",
        _paused,
        lambda state: (
            f"Workers stop claiming jobs; pending jobs ({state['waiting']:,}) stay pending."
            " Running jobs are not affected."
        ),
        "Pause queue",
        _pause,
    ),
    Step(
        "synchronous",
        "Move all users to the synchronous path",
        lambda state: "open" if state["percentage"] else "done",
        _rollout,
        lambda state: (
            f"Moves the {state['percentage']}% of users on the queue to the synchronous path,"
            " starting with their next request. The percentage is kept for later."
        ),
        "Move all users",
        _to_synchronous,
    ),
    Step(
        "stop-cron",
        "Pause schedules",
        lambda state: (
            "open" if state["cron_active"] else "done" if state["cron_stopped"] else "unneeded"
        ),
        _cron_jobs,
        lambda state: (
            f"Pauses {plural(state['cron_active'], 'cron job')} whose calls to process-jobs do"
            f" nothing while the queue is paused."
        ),
        "Pause schedules",
        _stop_cron,
        Role.ADMIN,
    ),
    Step(
        "cancel-waiting",
        "Cancel pending jobs",
        lambda state: "open" if state["waiting"] else "done",
        lambda state: f"{plural(state['waiting'])} pending.",
        lambda state: (
            f"{cancel_effect(state['waiting'], 'pending')} This rollback can put them back later."
        ),
        "Cancel pending jobs",
        _cancel("pending", "waiting"),
        decline="Keep jobs",
    ),
    Step(
        "cancel-running",
        "Cancel running jobs",
        lambda state: "open" if state["running"] else "done",
        lambda state: f"{plural(state['running'])} running.",
        lambda state: (
            f"{cancel_effect(state['running'], 'running')} If you wait instead, most finish within"
            " a minute."
        ),
        "Cancel running jobs",
        _cancel("processing", "running"),
        decline="Keep jobs",
    ),
)
"""Steps from the queue to the synchronous path, in order."""

RESUME_STEPS = (
    Step(
        "resume",
        "Resume queue",
        lambda state: "open" if state["paused_at"] else "done",
        _paused,
        lambda state: (
            f"Workers claim jobs again ({plural(state['waiting'])} pending). Pauses of individual"
            " job types remain."
        ),
        "Resume queue",
        _resume,
    ),
    Step(
        "restart-cron",
        "Resume schedules",
        lambda state: (
            "open" if state["cron_stopped"] else "done" if state["cron_active"] else "unneeded"
        ),
        _cron_jobs,
        lambda state: (
            f"Resumes {plural(state['cron_stopped'], 'cron job')} that this rollback paused."
        ),
        "Resume schedules",
        _restart_cron,
        Role.ADMIN,
    ),
    Step(
        "put-back",
        "Put cancelled jobs back",
        lambda state: "open" if state["to_settle"] else "unneeded",
        lambda state: (
            f"{_to_put_back(state)} cancelled by this rollback and not put back.".capitalize()
        ),
        lambda state: (
            f"Puts {_to_put_back(state)} cancelled by this rollback back on the queue, except"
            " those that have since been retried or purged, or whose generation has another pending"
            " or running job. Skip this step if users got their images another way."
        ),
        "Put jobs back",
        _put_back,
    ),
    Step(
        "restore",
        "Move users back to the queue",
        lambda state: "open" if state["percentage"] < (state["rollout_before"] or 0) else "done",
        _rollout,
        lambda state: (
            f"Puts {state['rollout_before']}% of users on the queue, as before the rollback; now"
            f" {state['percentage']}%."
        ),
        "Restore percentage",
        _restore,
    ),
)
"""Steps back to the queue, in order."""
