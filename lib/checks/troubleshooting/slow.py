"""Symptom: performance declines."""

from functools import partial

from lib.checks.check import Check, Finding, Repair
from lib.checks.expected_schema import differences
from lib.checks.regression import Period, slower
from lib.checks.troubleshooting.indexes import restore
from lib.checks.troubleshooting.symptom import Facts, Symptom
from lib.database import Pool, load, translated
from lib.formats import duration, plural
from lib.ops.maintenance.space import run_in_background, vacuum_due
from lib.resources import database_url
from lib.roles import Role
from lib.settings import settings

BEHIND_SECONDS = 900.0
"""The rollup waits up to ten minutes for open transactions, so a shorter lag is normal."""
LIVE_TABLES = ("job_queue", "image_generations", "job_leases")
MAX_FOLDS = 60


def missing_indexes(facts: Facts) -> list[Finding]:
    """Missing or invalid indexes, which cause full table scans."""
    return [
        Finding(
            "critical",
            "Without it, the database reads the whole table, which gets slower as history grows.",
            cause=f"Index {index.name} is missing or invalid.",
            repair=Repair(
                f"Build {index.name}",
                f"Builds {index.name} while the queue keeps running (CREATE INDEX CONCURRENTLY)."
                " With millions of jobs this takes minutes.",
                partial(restore, index.name),
                needs=Role.ADMIN,
            ),
        )
        for index in differences(facts["indexes"], "index")
    ]


def dead_rows(facts: Facts) -> list[Finding]:
    """Tables where vacuum does not keep up."""
    return [
        Finding(
            "warning",
            f"{table['dead']:,} dead and {table['live']:,} live rows; autovacuum should have"
            f" started at {table['due_at']:,} dead rows.",
            cause=f"Vacuum is not keeping up with {table['name']}.",
            repair=Repair(
                f"Vacuum {table['name']}",
                f"Frees the space of deleted rows of {table['name']} while the queue keeps"
                " running.",
                partial(_vacuum, table["name"]),
            ),
            todo="If the number does not fall, an open transaction is holding vacuum back.",
            page="maintenance",
            filters={"view": "Space"},
        )
        for table in facts["tables"]
        if table["name"] in LIVE_TABLES and vacuum_due(table)
    ]


def _vacuum(name: str, _pool: Pool, actor: str) -> str:
    run_in_background(database_url(settings()), actor, "space", "vacuum", name, lambda: None)
    return f"Vacuum of {name} started."


def open_transactions(facts: Facts) -> list[Finding]:
    """Long transactions that hold back vacuum and the rollup."""
    found = []
    for session in facts["long_transactions"]:
        idle = session["idle_seconds"]
        doing = f"idle for {duration(idle)}" if idle is not None else "working"
        who = f"{session['program'] or 'an unnamed program'} as {session['user']}"
        found.append(
            Finding(
                "warning",
                f"Session {session['pid']}, {who}, {doing}. While the transaction is open,"
                " vacuum cannot remove rows deleted since it began, and the rollup cannot add jobs"
                " that ended since then.",
                cause=f"A transaction has been open for {duration(session['seconds'])}.",
                repair=Repair(
                    f"End session {session['pid']}",
                    f"Ends the connection of {who}. Its open transaction is rolled back.",
                    partial(_end_session, session["pid"]),
                    needs=Role.ADMIN,
                ),
            )
        )
    return found


def _end_session(pid: int, pool: Pool, actor: str) -> str:
    with translated(), pool.connection() as connection:
        ended = load("troubleshooting").end_session(connection, actor=actor, pid=pid)
    return "Session ended." if ended else "Its transaction had already ended."


def rollup_behind(facts: Facts) -> list[Finding]:
    """The rollup lags behind, so pages read jobs row by row."""
    behind = facts["slow"]["behind_seconds"]
    if behind is None or behind <= BEHIND_SECONDS:
        return []
    return [
        Finding(
            "warning",
            f"The oldest job not yet in the rollup ended {duration(behind)} ago.",
            cause="Pages are slow because the rollup is behind.",
            repair=Repair(
                "Update rollup",
                "Adds ended jobs to the rollup, for up to a minute. Jobs are not affected.",
                _fold,
            ),
            todo="Workers update the rollup every few seconds: check that one is alive and that no"
            " transaction stays open.",
        )
    ]


def _fold(pool: Pool, _actor: str) -> str:
    for _ in range(MAX_FOLDS):
        with translated(), pool.connection() as connection:
            if not load("rollup").refresh_rollup(connection, every_seconds=0):
                return "Rollup updated."
    return "Rollup partly updated. Press the button again to continue."


def backlog(facts: Facts) -> list[Finding]:
    """More jobs arrive than finish."""
    now = facts["slow"]
    if not now["due"] or now["oldest_due_seconds"] <= facts["limits"]["oldest_due_seconds"]:
        return []
    if now["ended"] > now["arrived"]:
        return []
    return [
        Finding(
            "critical",
            f"{plural(now['arrived'])} arrived and {now['ended']:,} ended in the last hour;"
            f" {now['due']:,} due, the oldest for {duration(now['oldest_due_seconds'])}.",
            cause="More jobs arrive than workers finish.",
            jobs=now["due"],
            todo="Start more workers. Throughput shows how many slots are needed.",
            page="throughput",
        )
    ]


def slow_models(facts: Facts) -> list[Finding]:
    """Models that are slower than in the week before."""
    found = []
    for row in facts["model_speeds"]:
        now = Period(row["completed"], row["failed"], row["run_p50"])
        before = Period(row["before_completed"], row["before_failed"], row["before_p50"])
        if slower(now, before):
            found.append(
                Finding(
                    "warning",
                    f"p50 run time is {duration(now.run_p50)} in the last 6 h, up from"
                    f" {duration(before.run_p50)} in the week before.",
                    cause=f"Model {row['model_id']} has become slower.",
                    jobs=row["completed"],
                    todo="Check the model's page at the provider, or use another model for now.",
                    page="models",
                    filters={"model": row["model_id"]},
                )
            )
    return found


SLOW = Symptom(
    "slow",
    "Slow jobs or pages",
    [
        ("troubleshooting", "limits"),
        ("troubleshooting", "slow"),
        ("troubleshooting", "model_speeds"),
        ("schema", "indexes"),
        ("troubleshooting", "long_transactions"),
        ("maintenance", "tables"),
    ],
    [
        Check(
            "backlog",
            "Too few workers",
            backlog,
            "When more jobs arrive than end, waits grow with every job.",
        ),
        Check(
            "slow_models",
            "Slower models",
            slow_models,
            "Almost all of a job's run time is spent in the model. A new version or a busy provider"
            " raises the p50 of that model.",
        ),
        Check(
            "missing_indexes",
            "Missing indexes",
            missing_indexes,
            "If an index was dropped or its build failed, look-ups read the whole table.",
        ),
        Check(
            "dead_rows",
            "Vacuum behind",
            dead_rows,
            "Each job leaves several dead rows that slow down reads. Autovacuum frees them unless"
            " it is switched off or held back.",
        ),
        Check(
            "open_transactions",
            "Long open transactions",
            open_transactions,
            "A forgotten transaction stops vacuum and the rollup from processing anything newer.",
        ),
        Check(
            "rollup_behind",
            "Rollup behind",
            rollup_behind,
            "Workers add ended jobs to the rollup every few seconds, and pages read the sums."
            " Jobs not yet in it are read row by row.",
        ),
    ],
)
