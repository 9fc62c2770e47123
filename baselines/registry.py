"""Every separator by name: `conv_tasnet`, `conv_tasnet:small`, `oracle:irm`, ...

A module in `baselines/models/` describes one system in a `ModelSpec` and is found by being there.
"""

from dataclasses import replace
from functools import cache

from baselines.model import ModelSpec, Variant
from baselines.separator import Separator
from mixgen.core.errors import UsageError
from mixgen.core.registry import collect, unknown


@cache
def models() -> dict[str, ModelSpec]:
    """Every system by its name."""
    return collect("baselines.models", ModelSpec)


def names() -> list[str]:
    """Name of every variant of every system, sorted; tiny ones are left out."""
    return sorted(name for model in models().values() for name in model.variants)


def model_spec(name: str) -> ModelSpec:
    """The system that a variant belongs to; raises UsageError for an unknown name."""
    return _find(name)[0]


def variant(name: str) -> Variant:
    """The variant of a name; raises UsageError for an unknown one."""
    return _find(name)[1]


def _find(name: str) -> tuple[ModelSpec, Variant]:
    model = models().get(name.partition(":")[0])
    found = model.find(name) if model else None
    if model is None or found is None:
        raise UsageError(unknown(names(), name, "separator"))
    return model, found


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
    model, chosen = _find(name)
    given = {
        "n_src": len(source_names) if source_names and n_src is None else n_src,
        "sample_rate": sample_rate,
        "channels": channels,
        "source_names": source_names,
    }
    changes = {key: value for key, value in given.items() if value is not None}
    return model.separator(replace(chosen.build(), **changes))
