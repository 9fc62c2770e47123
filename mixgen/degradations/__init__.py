"""What is done to a mixture after its sources are summed: bandwidth, clipping, codecs, losses.

There is one module per degradation. Each defines a record (as it stands in a manifest, with
`apply`), a rule (as it stands in a recipe, with `draw`) and `DEGRADATION`, which names both. It is
found by being here; to add a degradation, add a file.
"""

import functools
import operator
from typing import TYPE_CHECKING, Annotated, TypeAlias

from pydantic import Field

from mixgen.core.registry import collect
from mixgen.degradations.degradation import BaseDegradation, BaseRule, DegradationKind

DEGRADATIONS = collect(__name__, DegradationKind)

# A union by `name` of what was found, which a type checker cannot know.
if TYPE_CHECKING:
    Degradation: TypeAlias = BaseDegradation
    DegradationRule: TypeAlias = BaseRule
else:
    _RECORDS = [kind.record for kind in DEGRADATIONS.values()]
    _RULES = [kind.rule for kind in DEGRADATIONS.values()]
    Degradation = Annotated[functools.reduce(operator.or_, _RECORDS), Field(discriminator="name")]
    DegradationRule = Annotated[functools.reduce(operator.or_, _RULES), Field(discriminator="name")]
