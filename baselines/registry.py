"""Every separator by name: `conv_tasnet`, `conv_tasnet:small`, `oracle:irm`, ...

A module in `baselines/models/` describes one system and registers its variants; nothing else has
to be edited, because `names()` and `build()` import every module found there.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from baselines import models
from baselines.separator import Hyperparameters, Separator
from mixgen.core.errors import UsageError

Variant = Callable[[], Hyperparameters]

_SYSTEMS: dict[str, "System"] = {}


@dataclass(frozen=True, kw_only=True)
class System:
    """One published system: where it comes from, what is proved of it, and its variants."""

    name: str
    title: str
    paper: str
    reference_licence: str
    """Project whose behaviour was compared, and its licence; no code was taken from it."""
    separator: type[Separator]
    expected_parameters: int | None = None
    """Exact parameter count of the paper's configuration; None where nothing is trained."""
    not_reproduced: str = "Nothing is left out."
    variants: dict[str, Variant] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.name in _SYSTEMS:
            raise ValueError(f"Two systems are called {self.name!r}.")
        _SYSTEMS[self.name] = self

    def variant(self, name: str | None = None) -> Callable[[Variant], Variant]:
        """Register a function of no arguments giving the hyperparameters of `system[:name]`."""
        full_name = f"{self.name}:{name}" if name else self.name

        def register(function: Variant) -> Variant:
            if full_name in self.variants:
                raise ValueError(f"Two variants are called {full_name!r}.")
            self.variants[full_name] = function
            return function

        return register


@cache
def _systems() -> dict[str, System]:
    for module in sorted(iter_modules(models.__path__), key=lambda module: module.name):
        import_module(f"{models.__name__}.{module.name}")
    return dict(sorted(_SYSTEMS.items()))


def names() -> list[str]:
    """Name of every registered variant, sorted."""
    return sorted(name for system in _systems().values() for name in system.variants)


def system(name: str) -> System:
    """The system that a variant belongs to; raises UsageError for an unknown name."""
    for candidate in _systems().values():
        if name in candidate.variants:
            return candidate
    near = get_close_matches(name, names(), n=1, cutoff=0.4)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise UsageError(f"There is no separator {name!r}; {hint}The names are {', '.join(names())}.")


def build(
    name: str,
    *,
    n_src: int | None = None,
    sample_rate: int | None = None,
    channels: int | None = None,
    source_names: tuple[str, ...] | None = None,
) -> Separator:
    """Build an untrained separator, fitted to a set where arguments say so.

    Each argument left out keeps the variant's own value; source names set n_src. Raises UsageError
    for an unknown name or a value that the model does not take.
    """
    chosen = system(name)
    given = {
        "n_src": len(source_names) if source_names and n_src is None else n_src,
        "sample_rate": sample_rate,
        "channels": channels,
        "source_names": source_names,
    }
    changes = {key: value for key, value in given.items() if value is not None}
    return chosen.separator(replace(chosen.variants[name](), **changes))
