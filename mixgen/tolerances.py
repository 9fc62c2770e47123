"""How far what is measured in a rendered set may be from what was asked for."""

import math
from collections.abc import Iterable, Iterator, Mapping

from mixgen.errors import UsageError
from mixgen.rendered import FileRow
from mixgen.verify import Problem


def parse_tolerances(words: Iterable[str]) -> dict[str, float]:
    """Read `level_db=1` and the like.

    Raises:
        UsageError: it is not of that form.
    """
    tolerances = {}
    for word in words:
        name, _, number = word.partition("=")
        try:
            tolerances[name] = float(number)
        except ValueError:
            tolerances[name] = math.nan
        if not (name and tolerances[name] >= 0):
            raise UsageError(
                f"A tolerance is written like level_db=1 or overlap=0.1, not {word!r}."
            )
    return tolerances


def off_target(rows: Iterable[FileRow], tolerances: Mapping[str, float]) -> Iterator[Problem]:
    """Yield every value that is further from the requested one than it may be.

    Values that were not asked for, or could not be measured, are left out.

    Raises:
        UsageError: a tolerance is of a quantity that no file has.
    """
    if not tolerances:
        return
    known: set[str] = set()
    for row in rows:
        known |= row.requested.keys()
        for name, tolerance in tolerances.items():
            wanted, found = row.requested.get(name), row.measured.get(name)
            if wanted is not None and found is not None and abs(found - wanted) > tolerance:
                yield Problem(row.path, "off", f"{name} is {found:g}, requested {wanted:g}")
    unknown = sorted(tolerances.keys() - known)
    if unknown:
        raise UsageError(
            f"No file of the set was asked for {unknown[0]!r}: choose among "
            f"{', '.join(sorted(known))}."
        )
