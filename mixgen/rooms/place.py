"""Which response each source of a mixture is heard through, and what its reference is."""

import re
from collections.abc import Sequence

from mixgen.manifest import Response, Room, Source
from mixgen.recipe import Rooms, SourceGroup
from mixgen.sources import SourceRow

_T60 = re.compile(r"\bt60_s=(\d+(?:\.\d+)?)")


def in_room(rule: Rooms | None, source: Source | SourceGroup) -> bool:
    """Tell whether a source is heard through a response."""
    return rule is not None and source.role in rule.roles


def room_of(rule: Rooms | None, responses: Sequence[SourceRow]) -> Room | None:
    """Return the room that the responses are of."""
    if rule is None or not responses:
        return None
    return Room(name=responses[0].label, early_s=rule.early_s)


def reference_of(rule: Rooms | None, source: Source) -> str:
    """Return the name of the file that a separator is to give for a target."""
    first = rule.references[0] if rule else "image"
    return source.name if first == "image" else f"{source.name}_{first}"


def place(
    rule: Rooms | None, sources: Sequence[Source], responses: Sequence[SourceRow]
) -> list[Source]:
    """Give each source that is in the room its response, and each target its references."""
    if rule is None:
        return list(sources)
    written = [part for part in rule.references if part != "image"]
    left = iter(responses)
    return [
        source.model_copy(
            update={
                "room": _response(next(left)) if in_room(rule, source) else None,
                "references": written if source.role == "target" else [],
            }
        )
        for source in sources
    ]


def _response(row: SourceRow) -> Response:
    told = _T60.search(row.text)
    return Response(
        corpus=row.corpus,
        path=row.path,
        sha256=row.sha256,
        t60_s=float(told[1]) if told else None,
        licence=row.licence,
    )
