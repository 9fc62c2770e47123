"""What the modules of a package register: found by being there, complete by construction.

A package of registered things holds one module for each of them. `names_in` lists the modules
without importing any; `collect` imports them all and returns what they define.
"""

import difflib
import importlib
import pkgutil
from collections.abc import Iterable, Mapping
from typing import Protocol, TypeVar

from mixgen.core.errors import SuiteError, UsageError


class Named(Protocol):
    """Anything that is registered under a name."""

    @property
    def name(self) -> str: ...


Entry = TypeVar("Entry", bound=Named)
Value = TypeVar("Value")


def names_in(package: str) -> list[str]:
    """Return the names of the modules of a package, sorted, without `_private` ones.

    No module is imported but the package itself.
    """
    folder = importlib.import_module(package).__path__
    return sorted(m.name for m in pkgutil.iter_modules(folder) if not m.name.startswith("_"))


def collect(package: str, kind: type[Entry]) -> dict[str, Entry]:
    """Return, by name, every `kind` that the modules of a package define.

    It stands at the top level of its module, by itself or in a tuple.

    Raises:
        SuiteError: two of them have one name.
    """
    found: dict[str, Entry] = {}
    for module in names_in(package):
        for value in vars(importlib.import_module(f"{package}.{module}")).values():
            for entry in value if isinstance(value, tuple) else (value,):
                if isinstance(entry, kind):
                    add(found, entry.name, entry, kind.__name__)
    return dict(sorted(found.items()))


def add(entries: dict[str, Value], name: str, entry: Value, what: str) -> None:
    """Register an entry under its name.

    Raises:
        SuiteError: another entry has the name.
    """
    if entries.setdefault(name, entry) is not entry:
        raise SuiteError(f"Two entries of {what} are called {name!r}: rename one.")


def choose(entries: Mapping[str, Value], name: str, what: str) -> Value:
    """Return the entry of a name.

    Raises:
        UsageError: there is none; the sentence has the nearest name and all others.
    """
    if name not in entries:
        raise UsageError(unknown(entries, name, what))
    return entries[name]


def unknown(names: Iterable[str], name: str, what: str) -> str:
    """Return the sentence for a name that nothing is registered under."""
    known = list(names)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"There is no {what} {name!r}: choose one of {', '.join(known)}.{hint}"
