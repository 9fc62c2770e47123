"""Degradations of a mixture after its sources are summed: band limits, clipping, codecs, losses.

Each has one module, which defines a record for manifests (with `apply`), a rule for recipes (with
`draw`) and `DEGRADATION`, which names both. This package finds all its modules; to add a
degradation, add a file.
"""

import functools
import operator
from typing import TYPE_CHECKING, Annotated, TypeAlias

from pydantic import Field

from mixgen.core.registry import collect
from mixgen.degradations.degradation import BaseDegradation, BaseRule, DegradationKind

DEGRADATIONS = collect(__name__, DegradationKind)

# Unions of the collected classes by `name`, which a type checker cannot know.
if TYPE_CHECKING:
    Degradation: TypeAlias = BaseDegradation
    DegradationRule: TypeAlias = BaseRule
else:
    _RECORDS = [kind.record for kind in DEGRADATIONS.values()]
    _RULES = [kind.rule for kind in DEGRADATIONS.values()]
    Degradation = Annotated[functools.reduce(operator.or_, _RECORDS), Field(discriminator="name")]
    DegradationRule = Annotated[functools.reduce(operator.or_, _RULES), Field(discriminator="name")]
