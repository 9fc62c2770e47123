"""Where excerpts begin that have enough sound in them."""

from collections.abc import Iterable, Sequence

from mixgen.activity import Activity
from mixgen.errors import InputError
from mixgen.sources import SourceRow


def salient_starts(files: Sequence[SourceRow], least_share: float, seconds: float) -> list[float]:
    """Return the starts of excerpts in which a file of a stem sounds for at least `least_share`.

    Raises:
        InputError: when there is sound in a file is not known.
    """
    starts: set[float] = set()
    for row in files:
        if not row.active:
            raise InputError(
                f"When there is sound in {row.source_id!r} is not known, and `salient` asks for "
                "it: index its corpus again."
            )
        starts.update(Activity(row.active, row.duration_s).starts(seconds, least_share))
    return sorted(starts)


def common_starts(
    stems: Iterable[tuple[Sequence[SourceRow], float | None]], seconds: float
) -> list[float] | None:
    """Return the starts at which every stem sounds for its share; None if none has to.

    Raises:
        InputError: when there is sound in a file is not known.
    """
    found = [
        set(salient_starts(files, share, seconds)) for files, share in stems if share is not None
    ]
    return sorted(set.intersection(*found)) if found else None
