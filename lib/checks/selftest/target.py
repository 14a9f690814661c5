"""The deployment under test, as given by the settings."""

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from lib.database import redact
from lib.resources import LOCAL_URL, database_url, image_storage, project_keys
from lib.settings import Settings
from lib.settings.keys import Keys
from lib.storage import Storage


@dataclass(frozen=True, slots=True)
class Target:
    """Addresses and keys of a deployment; its repr contains no secrets."""

    database_url: str = field(repr=False)
    functions_url: str
    supabase_url: str | None
    keys: Keys
    storage: Storage
    """Where workers store images."""
    provider: str
    secrets: tuple[str, ...] = field(repr=False)

    @property
    def database(self) -> str:
        """Address of the database without user and password."""
        return redact(self.database_url)

    def without_secrets(self, text: str) -> str:
        """Redact the deployment's secrets in a text."""
        for secret in self.secrets:
            text = text.replace(secret, "[secret]")
        return text


def target(settings: Settings, app_url: str | None = None) -> Target:
    """The deployment given by the settings; `app_url` is this app's address, if known.

    Starts the embedded database if it is configured and not running. Raises SettingsError and
    DatabaseError.
    """
    url = database_url(settings)
    keys = project_keys(settings)
    secrets = (
        keys.secret,
        keys.jwt_secret,
        keys.legacy_secret,
        settings.replicate_token,
        settings.database_url,
        urlsplit(url).password,
    )
    return Target(
        database_url=url,
        functions_url=settings.functions_elsewhere or app_url or settings.public_url or LOCAL_URL,
        supabase_url=settings.supabase_url,
        keys=keys,
        storage=image_storage(settings),
        provider="Replicate" if settings.replicate_token else "simulated Replicate",
        secrets=tuple(secret for secret in secrets if secret),
    )
