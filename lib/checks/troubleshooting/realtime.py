"""Symptom: clients receive no updates."""

from lib.checks.check import Check, Finding, Repair
from lib.checks.troubleshooting.symptom import Facts, Symptom
from lib.database import Pool
from lib.queue.operator_actions import restore_realtime, restore_user_access
from lib.roles import Role


def _restore(pool: Pool, actor: str) -> str:
    return f"Put back: {', '.join(restore_realtime(pool, actor)) or 'nothing was missing'}."


RESTORE = Repair(
    "Put it back",
    "Adds image_generations to the publication supabase_realtime (and makes that, if it is missing)"
    " and puts the trigger back that sends NOTIFY. No job is touched.",
    _restore,
    needs=Role.ADMIN,
)


def publication(facts: Facts) -> list[Finding]:
    """The publication of Supabase Realtime lacks image_generations."""
    now = facts["realtime"]
    if now["published"]:
        return []
    return [
        Finding(
            "critical",
            "The table image_generations is not in the publication supabase_realtime."
            if now["has_publication"]
            else "There is no publication supabase_realtime.",
            cause="Supabase Realtime is not told of generations.",
            repair=RESTORE,
        )
    ]


def notify(facts: Facts) -> list[Finding]:
    """The trigger that sends NOTIFY is missing."""
    if facts["realtime"]["trigger"]:
        return []
    return [
        Finding(
            "critical",
            "The trigger image_generations_changed is missing or disabled.",
            cause="Clients that listen in the database are not told of generations.",
            repair=RESTORE,
        )
    ]


def access(facts: Facts) -> list[Finding]:
    """Users may not read their own rows, so Realtime sends them nothing."""
    missing = facts["realtime"]["missing"]
    if not missing:
        return []
    return [
        Finding(
            "critical",
            f"{'; '.join(missing)}.",
            cause="Users may not see their own rows, so Realtime tells them nothing.",
            repair=Repair(
                "Put the policies back",
                "Turns row-level security on and puts back the right and the policies by which"
                " signed-in users read their own jobs and generations, and only those.",
                _restore_access,
                needs=Role.ADMIN,
            ),
        )
    ]


def _restore_access(pool: Pool, actor: str) -> str:
    return f"Put back: {', '.join(restore_user_access(pool, actor)) or 'nothing was missing'}."


REALTIME = Symptom(
    "realtime",
    "Realtime is silent",
    [("troubleshooting", "realtime")],
    [
        Check(
            "publication",
            "Is the table in the publication?",
            publication,
            "Supabase Realtime tells of changes in tables of the publication supabase_realtime. A"
            " table that was made anew is no longer in it.",
        ),
        Check(
            "access",
            "May users see their own rows?",
            access,
            "Realtime obeys row-level security: who may not read a row does not hear of it, and no"
            " error says so.",
        ),
        Check(
            "notify",
            "Is NOTIFY sent?",
            notify,
            "Without Supabase the client listens in the database; a trigger tells it of changes.",
        ),
    ],
)
