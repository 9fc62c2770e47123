"""Functions and classes of the user, which are named `module:attribute`."""

import importlib
import sys
from typing import Any

from mixgen.core.errors import InputError, UsageError


def import_attribute(place: str, *, what: str) -> Any:
    """Return what a place such as `module:function` names; the working folder is searched first.

    Args:
        place: a module, a colon, and a name in it, which may have dots.
        what: what it is not if it cannot be imported, for the error: "registered separator".

    Raises:
        UsageError: the module or the name in it does not exist.
        InputError: the module fails while it is imported.
    """
    module_name, _, path = place.partition(":")
    if not module_name or not path:
        raise UsageError(f"{place} is no {what}: write MODULE:NAME.")
    if "" not in sys.path:
        sys.path.insert(0, "")  # the working folder
    try:
        found: Any = importlib.import_module(module_name)
        for name in path.split("."):
            found = getattr(found, name)
    except (ImportError, AttributeError) as error:
        raise UsageError(f"{place} is no {what} and cannot be imported ({error}).") from None
    except (Exception, SystemExit) as error:  # whatever the program of others raises
        raise InputError(
            f"The module {module_name} cannot be imported ({type(error).__name__}: {error}): "
            "repair it, and keep what a script does out of its import."
        ) from error
    return found
