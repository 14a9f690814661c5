"""What the environment decides, read once per process.

- `catalogue`: every setting, with its default and meaning.
- `values`: what a setting's text must look like.
- `environment`: the settings of this process.
- `keys`: API keys of the functions, created locally where none are configured.
"""

from lib.settings.environment import PROJECT, Settings, parse, settings
from lib.settings.values import SettingsError

__all__ = ["PROJECT", "Settings", "SettingsError", "parse", "settings"]
