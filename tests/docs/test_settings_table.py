"""docs/settings.md shows every setting that the program reads, and no other."""

from collections.abc import Iterator, Mapping

from generated import command, shown

from lib.settings import parse
from lib.settings.catalogue import GROUPS, SETTINGS
from lib.ui.access.roles import role_of

WRITE = command("tests/docs/test_settings_table.py")


class Noting(Mapping[str, str]):
    """An environment that notes what it was asked for."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values
        self.asked: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.asked.add(name)
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


def test_the_documentation_shows_the_settings() -> None:
    assert shown("settings", as_tables()) == as_tables(), f"After a change, run {WRITE}."


def test_the_settings_are_those_that_the_program_reads() -> None:
    said = Noting({"DARKROOM_ROLE_CLAIM": "groups"})
    parse(said)
    role_of({"email": "ann@studio.example", "email_verified": True}, said)
    assert said.asked == {name for setting in SETTINGS.values() for name in setting.names}


def as_tables() -> str:
    return "\n".join(
        f"## {group}\n\n| Setting | Meaning | Default |\n|---|---|---|\n"
        + "".join(
            f"| {', '.join(f'`{name}`' for name in setting.names)} | {setting.meaning} |"
            f" {default(setting.default)} |\n"
            for setting in settings
        )
        for group, settings in GROUPS.items()
    )


def default(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:,g}"
