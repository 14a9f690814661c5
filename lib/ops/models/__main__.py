"""Add models, and refresh their schemas, from a shell.

    python -m lib.ops.models add MODEL [--name NAME] [--provider cog --url URL] [--yes]
    python -m lib.ops.models refresh MODEL [--provider cog --url URL] [--yes]

MODEL is owner/name or the model's address on replicate.com. A model on a server of your own has a
name of your choice, in the same form, and the address of its server. What would be saved is shown
first.
Exit codes: 0 if done or nothing to do, 1 if refused or declined.
"""

import argparse
import getpass
import sys

from lib.database import Connection, DatabaseError, connect, translated
from lib.formats import plural
from lib.ops.models import schemas
from lib.ops.models.published import ModelRefused, fetch, parse_address
from lib.provider import ProviderError, PublishedModel
from lib.provider.providers import SERVERS
from lib.resources import database_url, provider
from lib.settings import SettingsError, settings

DONE, REFUSED = 0, 1


def main() -> int:
    """Run the command and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m lib.ops.models",
        description="Add a model with the schema that its provider publishes, or refresh its"
        " schema.",
    )
    parser.add_argument("command", choices=["add", "refresh"])
    parser.add_argument("model", help="owner/name, or the model's address on replicate.com")
    parser.add_argument(
        "--provider", choices=["replicate", *SERVERS], help="cog, for your own Cog server"
    )
    parser.add_argument("--url", help="address of that server, such as http://192.168.1.20:5000")
    parser.add_argument("--name", help="what users see; by default the model's name")
    parser.add_argument("--yes", action="store_true", help="save without asking")
    arguments = parser.parse_args()
    if (arguments.provider in SERVERS) != (arguments.url is not None):
        parser.error("--provider cog and --url must be given together")
    try:
        model, _ = parse_address(arguments.model)
        with translated(), connect(database_url(settings())) as connection:
            server = schemas.server_of(schemas.stored_model(connection, model))
            if arguments.provider:
                server = (arguments.provider, arguments.url) if arguments.url else None
            if server:
                schemas.check_server(connection, *server)
            return run(connection, fetch(provider(settings(), server), arguments.model), arguments)
    except (ModelRefused, ProviderError, SettingsError, DatabaseError) as error:
        print(error, file=sys.stderr)
        return REFUSED


def run(connection: Connection, published: PublishedModel, arguments: argparse.Namespace) -> int:
    """Show what would be saved, and save it if that is confirmed."""
    stored = schemas.stored_model(connection, published.id)
    if arguments.command == "add" and stored:
        print(
            f"{published.id} has already been added. To refresh its schema:"
            f" python -m lib.ops.models refresh {published.id}",
            file=sys.stderr,
        )
        return REFUSED
    if arguments.command == "refresh" and stored is None:
        print(f"{published.id} has not been added yet. Add it first.", file=sys.stderr)
        return REFUSED
    if stored:
        changes = schemas.compare(connection, stored, published)
        print("\n".join(as_lines(changes)) if changes.any else "No changes.")
    else:
        print("\n".join(preview(published)))
    if not (arguments.yes or confirmed()):
        print("Nothing was saved.")
        return REFUSED
    name = arguments.name or published.id.partition("/")[2]
    actor = f"{getpass.getuser()} (shell)"
    schemas.save(connection, actor, stored, published, display_name=name)
    print(f"{published.id} saved.")
    return DONE


def preview(model: PublishedModel) -> list[str]:
    """A new model, line by line."""
    inputs = [f"  {name}: {schemas.description_of(field)}" for name, field in model.inputs.items()]
    return [
        f"{model.id} ({schemas.kind_of(model)}), output {schemas.output_of(model.output_shape)},"
        " price unknown",
        f"{plural(len(inputs), 'input')}:",
        *inputs,
    ]


def as_lines(changes: schemas.Changes) -> list[str]:
    """What a refresh changes, line by line."""
    return [
        *changes.model,
        *(f"Added: {name}" for name in changes.added),
        *(f"Removed: {name}" for name in changes.removed),
        *(f"Changed: {name}: {old} → {new}" for name, (old, new) in changes.changed.items()),
        *(f"Default parameter removed: {sentence}" for sentence in changes.unfit),
        *(f"Operator-only input that no longer exists: {name}" for name in changes.lost),
    ]


def confirmed() -> bool:
    """Ask on the terminal; False without one."""
    return sys.stdin.isatty() and input("Save? [y/N] ").strip().lower() in ("y", "yes")


if __name__ == "__main__":
    sys.exit(main())
