"""Symptom: clients receive no updates."""

from collections.abc import Sequence

from lib.checks.check import Check, Finding, Repair
from lib.checks.troubleshooting.symptom import Facts, Symptom
from lib.database import Pool
from lib.queue.operator_actions import restore_realtime, restore_user_access
from lib.roles import Role


def _restored(names: Sequence[str]) -> str:
    return f"Restored: {', '.join(names)}." if names else "Nothing to restore."


def _restore(pool: Pool, actor: str) -> str:
    return _restored(restore_realtime(pool, actor))


RESTORE = Repair(
    "Restore updates",
    "Adds job_queue and image_generations to the publication supabase_realtime (creating it if"
    " necessary) and restores the trigger that sends NOTIFY. Jobs are not affected.",
    _restore,
    needs=Role.ADMIN,
)


def publication(facts: Facts) -> list[Finding]:
    """The publication of Supabase Realtime lacks job_queue or image_generations."""
    now = facts["realtime"]
    if not now["unpublished"]:
        return []
    return [
        Finding(
            "critical",
            f"The publication supabase_realtime lacks {' and '.join(now['unpublished'])}."
            if now["has_publication"]
            else "There is no publication supabase_realtime.",
            cause="Supabase Realtime does not receive all changes to jobs and generations.",
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
            cause="Clients that use LISTEN do not receive changes to generations.",
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
            cause="Users may not read their own rows, so Realtime sends them nothing.",
            repair=Repair(
                "Restore policies",
                "Enables row-level security and restores the grants and policies that let signed-in"
                " users read their own jobs and generations, and only those.",
                _restore_access,
                needs=Role.ADMIN,
            ),
        )
    ]


def _restore_access(pool: Pool, actor: str) -> str:
    return _restored(restore_user_access(pool, actor))


REALTIME = Symptom(
    "realtime",
    "No Realtime updates",
    [("troubleshooting", "realtime")],
    [
        Check(
            "publication",
            "Table missing from the publication",
            publication,
            "Supabase Realtime sends changes to tables in the publication supabase_realtime. A"
            " table that was recreated is no longer in it.",
        ),
        Check(
            "access",
            "Users cannot read their own rows",
            access,
            "Realtime obeys row-level security: users receive no changes to rows that they may"
            " not read, and there is no error.",
        ),
        Check(
            "notify",
            "NOTIFY not sent",
            notify,
            "Without Supabase, the client uses LISTEN; a trigger sends it the changes.",
        ),
    ],
)
