"""Every separator by name: `conv_tasnet`, `conv_tasnet:small`, `oracle:irm`, ...

Each module in `baselines/models/` defines one system as a `ModelSpec`; the registry finds it there.
"""

from dataclasses import replace
from functools import cache
from typing import Any

from baselines.model import ModelSpec, Variant
from baselines.separator import Separator
from mixgen.core.errors import UsageError
from mixgen.core.registry import collect, unknown


@cache
def models() -> dict[str, ModelSpec]:
    """Return every system by its name."""
    return collect("baselines.models", ModelSpec)


def names() -> list[str]:
    """Return the names of all variants of all systems, sorted, without the tiny ones."""
    return sorted(name for model in models().values() for name in model.variants)


def names_without_training() -> list[str]:
    """Return the names of the variants that have no parameters to train, sorted."""
    return [name for name in names() if model_spec(name).tiny is None]


def model_spec(name: str) -> ModelSpec:
    """Return the system that the variant `name` belongs to; raises UsageError if unknown."""
    return _find(name)[0]


def variant(name: str) -> Variant:
    """Return the variant `name`; raises UsageError if unknown."""
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
    fewest: int | None = None,
    stream_window_s: float | None = None,
) -> Separator:
    """Build an untrained separator, adapted to a set by the arguments that are given.

    An argument that is None keeps the variant's value; `source_names` also set `n_src`.

    Raises:
        UsageError: the name is unknown, or the model refuses a value.
    """
    model, found = _find(name)
    given: dict[str, Any] = {
        "n_src": len(source_names) if source_names and n_src is None else n_src,
        "sample_rate": sample_rate,
        "channels": channels,
        "source_names": source_names,
        "fewest": fewest,
        "stream_window_s": stream_window_s,
    }
    changes = {key: value for key, value in given.items() if value is not None}
    return model.separator(replace(found.build(), **changes))


def without_training(name: str, separator: Separator) -> Separator:
    """Return an untrained separator in evaluation mode, if that is how it is used.

    Raises:
        UsageError: it has parameters to train.
    """
    if separator.trainable:
        raise UsageError(
            f"{name} is not trained: give a checkpoint folder, or make one with "
            f"`baselines train {name} --out FOLDER`."
        )
    return separator.eval()
