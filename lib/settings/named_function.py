"""Functions that a setting names as `package.module:function`."""

import re
from collections.abc import Callable
from importlib import import_module
from typing import Any

from lib.settings.values import SettingsError, bare


def function_name(name: str, text: str) -> str:
    """A function's name; it is not loaded yet."""
    bare(name, text)
    if not re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*", text):
        raise SettingsError(f"{name} is {text[:80]!r}: use package.module:function.")
    return text


def named_function(name: str, text: str) -> Callable[..., Any]:
    """The function that a valid name names. Raises SettingsError if it cannot be loaded."""
    module, _, attribute = text.partition(":")
    try:
        found = getattr(import_module(module), attribute, None)
    except Exception as error:
        # The message of another error may quote a secret.
        why = str(error) if isinstance(error, ImportError) else type(error).__name__
        raise SettingsError(
            f"{name} is {text!r}, but {module} cannot be imported: {why}."
        ) from error
    if not callable(found):
        raise SettingsError(f"{name} is {text!r}, but {module} has no function {attribute}.")
    function: Callable[..., Any] = found
    return function
