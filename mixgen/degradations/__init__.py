"""What is done to a mixture after its sources are summed: bandwidth, clipping, codecs, losses.

One module per degradation. Each defines `RECORD` (as it stands in a manifest, with `apply`) and
`RULE` (as it stands in a recipe, with `draw`) and is found by being here; to add a degradation, add
a file.
"""

import functools
import importlib
import operator
import pkgutil
from typing import TYPE_CHECKING, Annotated, TypeAlias, get_args

from pydantic import Field

from mixgen.core.errors import SuiteError
from mixgen.degradations._base import BaseDegradation, BaseRule


def find_degradations() -> dict[str, tuple[type[BaseDegradation], type[BaseRule]]]:
    """Return the record and the rule of every degradation under its name.

    Raises:
        SuiteError: two modules give one name.
    """
    found: dict[str, tuple[type[BaseDegradation], type[BaseRule]]] = {}
    for info in pkgutil.iter_modules(__path__):
        if info.name.startswith("_"):
            continue
        module = importlib.import_module(f"{__name__}.{info.name}")
        (name,) = get_args(module.RECORD.model_fields["name"].annotation)
        if name in found:
            raise SuiteError(f"Two degradations are called {name!r}.")
        found[name] = (module.RECORD, module.RULE)
    return found


DEGRADATIONS = find_degradations()

# A union by `name` of what was found, which a type checker cannot know.
if TYPE_CHECKING:
    Degradation: TypeAlias = BaseDegradation
    DegradationRule: TypeAlias = BaseRule
else:
    _RECORDS, _RULES = zip(*DEGRADATIONS.values(), strict=True)
    Degradation = Annotated[functools.reduce(operator.or_, _RECORDS), Field(discriminator="name")]
    DegradationRule = Annotated[functools.reduce(operator.or_, _RULES), Field(discriminator="name")]
