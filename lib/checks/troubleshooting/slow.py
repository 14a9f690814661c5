"""Symptom: performance declines."""

from functools import partial

from lib.checks.check import Check, Finding, Repair
from lib.checks.expected_schema import differences
from lib.checks.regression import Period, slower
from lib.checks.troubleshooting.indexes import restore
from lib.checks.troubleshooting.symptom import Facts, Symptom
from lib.database import Pool, load, translated
from lib.formats import duration
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
            "Without it the database reads a whole table for what it finds there, the slower the"
            " longer the history is.",
            cause=f"The index {index.name} is missing or invalid.",
            repair=Repair(
                f"Build {index.name}",
                f"Builds {index.name} beside the running queue (CREATE INDEX CONCURRENTLY); it"
                " takes up to minutes for millions of jobs. Wait until it says that it is built.",
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
            f"{table['dead']:,} dead rows beside {table['live']:,} live ones; it should come at"
            f" {table['due_at']:,}.",
            cause=f"Vacuum does not keep up with {table['name']}.",
            repair=Repair(
                f"Vacuum {table['name']}",
                f"Frees the space of deleted rows of {table['name']}; the queue goes on meanwhile.",
                partial(_vacuum, table["name"]),
            ),
            todo="If the number stays, an open transaction holds vacuum back.",
            page="maintenance",
            filters={"view": "Space"},
        )
        for table in facts["tables"]
        if table["name"] in LIVE_TABLES and vacuum_due(table)
    ]


def _vacuum(name: str, _pool: Pool, actor: str) -> str:
    run_in_background(database_url(settings()), actor, "space", "vacuum", name, lambda: None)
    return f"The vacuum of {name} is under way."


def open_transactions(facts: Facts) -> list[Finding]:
    """Long transactions that hold back vacuum and the rollup."""
    found = []
    for session in facts["long_transactions"]:
        idle = session["idle_seconds"]
        doing = f"idle for {duration(idle)}" if idle is not None else "working"
        who = f"{session['program'] or 'a program without a name'} of {session['user']}"
        found.append(
            Finding(
                "warning",
                f"Session {session['pid']}, {who}, {doing}. Vacuum keeps all that was deleted since"
                " it began, and folding waits for it.",
                cause=f"A transaction has been open for {duration(session['seconds'])}.",
                repair=Repair(
                    f"End session {session['pid']}",
                    f"Ends the connection of {who}. What it did in its open transaction is undone.",
                    partial(_end_session, session["pid"]),
                    needs=Role.ADMIN,
                ),
            )
        )
    return found


def _end_session(pid: int, pool: Pool, actor: str) -> str:
    with translated(), pool.connection() as connection:
        ended = load("troubleshooting").end_session(connection, actor=actor, pid=pid)
    return "It is ended." if ended else "Its transaction has ended meanwhile."


def rollup_behind(facts: Facts) -> list[Finding]:
    """The rollup lags behind, so pages read jobs row by row."""
    behind = facts["slow"]["behind_seconds"]
    if behind is None or behind <= BEHIND_SECONDS:
        return []
    return [
        Finding(
            "warning",
            f"The oldest job that is not folded ended {duration(behind)} ago.",
            cause="Pages are slow because history is not folded.",
            repair=Repair(
                "Fold now",
                "Folds what has finished since, for up to a minute. No job is touched.",
                _fold,
            ),
            todo="Workers fold every few seconds: see that one is alive, and that no transaction"
            " stays open.",
        )
    ]


def _fold(pool: Pool, _actor: str) -> str:
    for _ in range(MAX_FOLDS):
        with translated(), pool.connection() as connection:
            if not load("rollup").refresh_rollup(connection, every_seconds=0):
                return "What has finished is folded."
    return "Folded for a minute, and more is left: do it again."


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
            f"{now['arrived']:,} arrived and {now['ended']:,} ended in the last hour;"
            f" {now['due']:,} are due, the longest for {duration(now['oldest_due_seconds'])}.",
            cause="More jobs arrive than the workers finish.",
            jobs=now["due"],
            todo="Start more workers: the page Throughput says how many are needed.",
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
                    f"Half of its jobs took longer than {duration(now.run_p50)} in the last six"
                    f" hours, {duration(before.run_p50)} in the week before.",
                    cause=f"The model {row['model_id']} has become slower.",
                    jobs=row["completed"],
                    todo="Look at the model's page at the provider, or use another one meanwhile.",
                    page="models",
                )
            )
    return found


SLOW = Symptom(
    "slow",
    "Performance declines",
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
            "Do the workers keep up?",
            backlog,
            "When more jobs arrive than end, every job waits longer than the one before, whatever"
            " else is well.",
        ),
        Check(
            "slow_models",
            "Has a model become slower?",
            slow_models,
            "A job's time is nearly all its model's. A new version or a crowded provider shows in"
            " the median of one model.",
        ),
        Check(
            "missing_indexes",
            "Are all indexes there?",
            missing_indexes,
            "An index that was dropped, or whose build failed, turns a look-up into a read of the"
            " whole table.",
        ),
        Check(
            "dead_rows",
            "Does vacuum keep up?",
            dead_rows,
            "Each job leaves several dead rows. Vacuum frees them by itself, unless it is switched"
            " off or held back, and until then every read goes through them.",
        ),
        Check(
            "open_transactions",
            "Does a transaction stay open?",
            open_transactions,
            "A program that begins a transaction and forgets it keeps vacuum and folding from all"
            " that came after.",
        ),
        Check(
            "rollup_behind",
            "Is history folded?",
            rollup_behind,
            "Workers fold what has finished every few seconds, and pages read the sums. What is"
            " not folded they read row by row.",
        ),
    ],
)
