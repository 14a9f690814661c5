"""The settings, read once per process.

- `catalogue`: every setting, with its default and meaning.
- `values`: validation of each kind of value.
- `environment`: the settings of this process.
- `proxies`: what HTTP clients read of the environment.
- `keys`: API keys of the functions, generated locally if none are configured.
"""

from lib.settings.environment import PROJECT, Settings, parse, settings
from lib.settings.values import SettingsError

__all__ = ["PROJECT", "Settings", "SettingsError", "parse", "settings"]
