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
            "PostgreSQL database, reached directly or through a pooler; apply the schema with"
            " `python -m lib.database.migrations`",
            "embedded",
        ),
        Setting("DATABASE_READ_URL", "read replica for pages", "`DATABASE_URL`"),
    ),
    "Supabase": (
        Setting(
            "SUPABASE_URL",
            "URL of the project that runs the functions and whose users' tokens are trusted;"
            " requires a publishable and a secret key",
            "this app",
            older=("EXPO_PUBLIC_SUPABASE_URL",),
        ),
        Setting(
            "DARKROOM_FUNCTIONS_URL",
            "URL of the functions, if they are neither the project's nor this app's",
            "`SUPABASE_URL`",
        ),
        Setting(
            "SUPABASE_PUBLISHABLE_KEY",
            "key with which applications call the functions",
            "generated on first start",
            older=("EXPO_PUBLIC_SUPABASE_PUBLISHABLE_KEY",),
        ),
        Setting(
            "SUPABASE_SECRET_KEY", "key for servers, with full access", "generated on first start"
        ),
        Setting(
            "SUPABASE_ANON_KEY",
            "legacy publishable key, instead of or in addition to the new one",
            "none",
            older=("EXPO_PUBLIC_SUPABASE_ANON_KEY",),
        ),
        Setting(
            "SUPABASE_SERVICE_ROLE_KEY",
            "legacy secret key, instead of or in addition to the new one",
            "none",
        ),
        Setting(
            "SUPABASE_JWT_SECRET",
            "secret that signs users' HS256 tokens; tokens signed with a key pair are verified"
            " with the public keys at `SUPABASE_URL`",
            "generated on first start",
        ),
        Setting(
            "SUPABASE_STORAGE_BUCKET",
            "bucket of the project for images and thumbnails",
            "files in `DARKROOM_DATA`",
        ),
        Setting(
            "SUPABASE_STORAGE_URL_SECONDS",
            "lifetime of signed image URLs, in seconds; `0` for a public bucket",
            0,
        ),
    ),
    "Provider": (
        Setting("REPLICATE_API_TOKEN", "API token of Replicate", "simulated Replicate"),
        Setting(
            "REPLICATE_API_URL",
            "URL of another server with Replicate's API",
            "`https://api.replicate.com`",
        ),
        Setting(
            "DARKROOM_SIMULATOR_SPEED",
            "simulated Replicate: speed relative to the real one",
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
        Setting("DARKROOM_DATA", "folder for the database, keys and images", "`.darkroom`"),
        Setting(
            "DARKROOM_SAMPLE_DATA",
            "`0` sets up a new data folder without sample data",
            "`1`",
        ),
        Setting(
            "DARKROOM_ENVIRONMENT",
            "name on the badge beside the page title, such as `STAGING`",
            "`DEMO` or `LOCAL` with the embedded database, otherwise the Supabase project or"
            " `PROD`",
        ),
        Setting(
            "DARKROOM_URL",
            "address at which browsers reach this app, and the start of every `image_url`; the"
            " same for all apps and workers",
            "this computer; `image_url` is `/images/…`, relative to any app",
        ),
        Setting(
            "METRICS_TOKEN",
            "bearer token with which monitors read `/metrics` and the names of firing alerts at"
            " `/healthz`; without it, only this computer has access",
            "none",
        ),
        Setting(
            "DARKROOM_ANONYMOUS_STARTS",
            "`1` lets anyone with the publishable key start generations without signing in;"
            " they all share one limit",
            "`1` with the embedded database, otherwise `0`",
        ),
    ),
    "Workers": (
        Setting(
            "DARKROOM_CONCURRENCY",
            "maximum number of jobs that a worker runs in parallel",
            10,
            least=1,
        ),
        Setting(
            "DARKROOM_CLAIM_BATCH",
            "maximum number of jobs that a worker claims at once",
            50,
            least=1,
        ),
        Setting(
            "MAX_PARALLEL_JOBS",
            "maximum number of jobs that a process runs at a time for calls to `process-jobs`",
            3,
            least=1,
        ),
        Setting(
            "DARKROOM_HEARTBEAT_SECONDS", "interval between heartbeats of a worker", 15, least=0.05
        ),
        Setting(
            "DARKROOM_POLL_SECONDS",
            "interval at which a worker checks for pending jobs if it is not notified",
            1,
            least=0.05,
        ),
        Setting(
            "DARKROOM_RESCUE_SECONDS",
            "time without a heartbeat after which other workers take over a worker's jobs",
            "value of the SQL function `stuck_after()`",
            least=1,
        ),
        Setting(
            "DARKROOM_GENERATION_SECONDS",
            "time limit of a prediction, including the download of its image; then it is cancelled",
            300,
            least=1,
        ),
        Setting(
            "DARKROOM_PROMPT_CHECK",
            "Python function, as `package.module:function`, that checks every prompt before a"
            " prediction is created ([applications.md](applications.md#your-own-prompt-check))",
            "none",
        ),
        Setting(
            "DARKROOM_STOP_GRACE_SECONDS",
            "time that a stopping worker gives its jobs to finish before it returns them to the"
            " queue",
            3,
        ),
    ),
    "Sign-in": (
        Setting(
            "DARKROOM_ADMINS",
            "e-mail addresses of admins, comma-separated",
            "nobody",
        ),
        Setting("DARKROOM_OPERATORS", "e-mail addresses of operators", "nobody"),
        Setting("DARKROOM_VIEWERS", "e-mail addresses of viewers", "nobody"),
        Setting(
            "DARKROOM_ROLE_CLAIM",
            "claim in the sign-in token, such as `groups`, whose values also assign roles",
            "none",
        ),
        Setting(
            "DARKROOM_ADMIN_GROUPS",
            "values of the claim that make a user admin, comma-separated",
            "none",
        ),
        Setting("DARKROOM_OPERATOR_GROUPS", "values that make a user operator", "none"),
        Setting("DARKROOM_VIEWER_GROUPS", "values that make a user viewer", "none"),
        Setting(
            "DARKROOM_START_TOKEN",
            "`1` prints a URL with a token at each start and serves only browsers that have"
            " opened it; applies only without sign-in",
            "`0`",
        ),
        Setting(
            "DARKROOM_SIGN_IN_HOURS",
            "hours until a user has to sign in to the app again",
            12,
            least=0.1,
        ),
    ),
}

SETTINGS = {setting.name: setting for group in GROUPS.values() for setting in group}
