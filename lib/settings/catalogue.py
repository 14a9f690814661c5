"""Every setting: its name, meaning and default. docs/settings.md shows them.

Meanings are Markdown for people who run a deployment; `lib.settings.environment` reads the values.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Setting:
    """One environment variable or line of .streamlit/secrets.toml."""

    name: str
    meaning: str
    default: str | float
    """A number, or Markdown that says what is used instead."""
    least: float = 0
    """Minimum value of a number."""
    older: tuple[str, ...] = ()
    """Names from older guides, which are accepted too."""

    @property
    def names(self) -> tuple[str, ...]:
        """All accepted names, the current one first."""
        return (self.name, *self.older)


GROUPS: dict[str, tuple[Setting, ...]] = {
    "Database": (
        Setting(
            "DATABASE_URL",
            "PostgreSQL to use, direct or by a pooler; apply the schema with"
            " `python -m lib.database.migrations`",
            "embedded",
        ),
        Setting("DATABASE_READ_URL", "replica of it that pages read", "`DATABASE_URL`"),
    ),
    "Supabase": (
        Setting(
            "SUPABASE_URL",
            "project whose functions are called and whose users' keys are trusted; with it a"
            " publishable and a secret key must be set",
            "this app",
            older=("EXPO_PUBLIC_SUPABASE_URL",),
        ),
        Setting(
            "DARKROOM_FUNCTIONS_URL",
            "where the functions are, when neither the project's own nor this app's are meant",
            "`SUPABASE_URL`",
        ),
        Setting(
            "SUPABASE_PUBLISHABLE_KEY",
            "key of applications for the functions",
            "made on first start",
            older=("EXPO_PUBLIC_SUPABASE_PUBLISHABLE_KEY",),
        ),
        Setting(
            "SUPABASE_SECRET_KEY", "key of servers, which may do everything", "made on first start"
        ),
        Setting(
            "SUPABASE_ANON_KEY",
            "legacy publishable key, alone or beside the new one",
            "none",
            older=("EXPO_PUBLIC_SUPABASE_ANON_KEY",),
        ),
        Setting(
            "SUPABASE_SERVICE_ROLE_KEY", "legacy secret key, alone or beside the new one", "none"
        ),
        Setting(
            "SUPABASE_JWT_SECRET",
            "signs users' HS256 tokens; those of key pairs are verified by what `SUPABASE_URL`"
            " publishes",
            "made on first start",
        ),
        Setting(
            "SUPABASE_STORAGE_BUCKET",
            "bucket of the project for images and their thumbnails",
            "files in `DARKROOM_DATA`",
        ),
        Setting(
            "SUPABASE_STORAGE_URL_SECONDS",
            "how long an image's address lasts, for a bucket that is not public",
            0,
        ),
    ),
    "Provider": (
        Setting("REPLICATE_API_TOKEN", "token of Replicate", "simulated Replicate"),
        Setting(
            "REPLICATE_API_URL",
            "another server that speaks Replicate's API",
            "`https://api.replicate.com`",
        ),
        Setting(
            "DARKROOM_SIMULATOR_SPEED",
            "simulated Replicate: how many times faster than the real one",
            1,
            least=0.01,
        ),
        Setting(
            "DARKROOM_SIMULATOR_FAILURE_RATE",
            "simulated Replicate: share of predictions that fail at random, 0 to 1",
            0.02,
        ),
    ),
    "App": (
        Setting("DARKROOM_DATA", "folder of database, keys and images", "`.darkroom`"),
        Setting(
            "DARKROOM_SAMPLE_DATA",
            "`0` starts an empty data folder without sample history",
            "`1`",
        ),
        Setting(
            "DARKROOM_ENVIRONMENT",
            "name on the badge in the sidebar, such as `STAGING`",
            "`DEMO` or `LOCAL` on the embedded database, else the Supabase project or `PROD`",
        ),
        Setting(
            "DARKROOM_URL",
            "where browsers reach this app: `image_url` begins with it, the same for all apps and"
            " workers",
            "this computer; `image_url` is `/images/…`, relative to any app",
        ),
        Setting(
            "METRICS_TOKEN",
            "Bearer token with which monitors read `/metrics` and the names of firing alerts at"
            " `/healthz`; without it only this computer may",
            "none",
        ),
        Setting(
            "DARKROOM_ANONYMOUS_STARTS",
            "`1` lets anyone who has the publishable key start generations without signing in: all"
            " of them share one limit",
            "`1` with the embedded database, else `0`",
        ),
    ),
    "Workers": (
        Setting("DARKROOM_CONCURRENCY", "jobs that a worker runs at once", 10, least=1),
        Setting("DARKROOM_CLAIM_BATCH", "most jobs that a worker claims at once", 50, least=1),
        Setting(
            "MAX_PARALLEL_JOBS",
            "most jobs that one call of `process-jobs` runs, all at once",
            3,
            least=1,
        ),
        Setting("DARKROOM_HEARTBEAT_SECONDS", "how often a worker shows life", 15, least=0.05),
        Setting(
            "DARKROOM_POLL_SECONDS",
            "how often a worker looks for due jobs when nothing wakes it",
            1,
            least=0.05,
        ),
        Setting(
            "DARKROOM_RESCUE_SECONDS",
            "silence of a worker after which the others take its jobs",
            "as the SQL function `stuck_after()` says",
            least=1,
        ),
        Setting(
            "DARKROOM_GENERATION_SECONDS",
            "longest run of a prediction before it is cancelled, with the download of its image",
            300,
            least=1,
        ),
        Setting(
            "DARKROOM_STOP_GRACE_SECONDS",
            "how long a stopping worker lets its jobs go on before it gives them back",
            3,
        ),
    ),
    "Sign-in": (
        Setting(
            "DARKROOM_ADMINS",
            "e-mail addresses of the admins, parted by commas",
            "nobody",
        ),
        Setting("DARKROOM_OPERATORS", "likewise of the operators", "nobody"),
        Setting("DARKROOM_VIEWERS", "likewise of the viewers", "nobody"),
        Setting(
            "DARKROOM_ROLE_CLAIM",
            "a claim of the sign-in provider, such as `groups`, whose values give roles too",
            "none",
        ),
        Setting("DARKROOM_ADMIN_GROUPS", "values of it that make admins, parted by commas", "none"),
        Setting("DARKROOM_OPERATOR_GROUPS", "likewise operators", "none"),
        Setting("DARKROOM_VIEWER_GROUPS", "likewise viewers", "none"),
        Setting(
            "DARKROOM_START_TOKEN",
            "`1` prints an address with a token at each start and serves only browsers that have"
            " opened it; while sign-in is not configured",
            "`0`",
        ),
        Setting(
            "DARKROOM_SIGN_IN_HOURS",
            "how long a sign-in at the dashboard counts",
            12,
            least=0.1,
        ),
    ),
}

SETTINGS = {setting.name: setting for group in GROUPS.values() for setting in group}
