"""Every page: its title, icon, place in the sidebar and required role."""

from dataclasses import dataclass

from lib.roles import Role


@dataclass(frozen=True, slots=True)
class PageEntry:
    """A page of the app.

    `icon` is a Material icon. `parent` is the page whose sidebar entry stands for this one; None
    for a page with an entry of its own. `key` is the letter that opens it, together with Shift.
    """

    title: str
    icon: str
    role: Role = Role.OPERATOR
    parent: str | None = None
    key: str = ""


HOME = "overview"
PAGES: dict[str, PageEntry] = {
    "overview": PageEntry("Overview", ":material/monitor_heart:", Role.VIEWER, key="O"),
    "jobs": PageEntry("Jobs", ":material/list:", Role.VIEWER, key="J"),
    "failures": PageEntry("Failures", ":material/error:", Role.VIEWER, key="F"),
    "models": PageEntry("Models", ":material/deployed_code:", Role.VIEWER, key="M"),
    "users": PageEntry("Users", ":material/group:", Role.VIEWER, key="U"),
    "generate": PageEntry("Generate", ":material/add_photo_alternate:", key="G"),
    "workers": PageEntry("Workers", ":material/memory:", key="W"),
    "alerts": PageEntry("Alerts", ":material/notifications:", key="A"),
    "admin": PageEntry("Admin", ":material/settings:", key="D"),
    "job": PageEntry("Job", ":material/receipt_long:", Role.VIEWER, "jobs"),
    "throughput": PageEntry("Throughput", ":material/speed:", Role.VIEWER, "overview"),
    "troubleshooting": PageEntry(
        "Troubleshooting", ":material/stethoscope:", Role.VIEWER, "alerts"
    ),
    "deployment": PageEntry("Deployment", ":material/checklist:", parent="admin"),
    "self_test": PageEntry("Self-test", ":material/fact_check:", parent="admin"),
    "fault_injection": PageEntry("Fault injection", ":material/bug_report:", parent="admin"),
    "migration_path": PageEntry("Migration path", ":material/route:", parent="admin"),
    "rollback": PageEntry("Rollback", ":material/undo:", parent="admin"),
    "maintenance": PageEntry("Maintenance", ":material/cleaning_services:", parent="admin"),
    "audit": PageEntry("Audit log", ":material/history:", parent="admin"),
}
"""By file name in pages/."""
VIEWS = {"stuck_jobs": ("jobs", {"view": "stuck"}), "duplicates": ("jobs", {"view": "duplicates"})}
"""Former pages: the page that now shows each, and its filters. Old addresses redirect there."""


def page_path(file: str) -> str:
    """URL path of a page, such as "/self-test"."""
    return "/" if file == HOME else f"/{file.replace('_', '-')}"


def may_open(viewer: Role, file: str) -> bool:
    """Whether a role may open a page."""
    return viewer >= PAGES[file].role


def sidebar_entry(viewer: Role, file: str) -> str:
    """The page whose sidebar entry stands for a page.

    That is the parent, or the page itself for viewers who may not open its parent.
    """
    parent = PAGES[file].parent
    return parent if parent and may_open(viewer, parent) else file


def sidebar_pages(viewer: Role) -> list[str]:
    """The pages with a sidebar entry, in order."""
    return [
        file for file in PAGES if may_open(viewer, file) and sidebar_entry(viewer, file) == file
    ]
