"""Which response each source of a mixture is heard through, and what its reference is."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from mixgen.acoustics.image_source import engine_and_version
from mixgen.acoustics.room import draw_walked_room
from mixgen.core.errors import InputError
from mixgen.corpora.sources import SourceRow
from mixgen.manifest.mixture import Position, Response, Room, Simulation, Source, file_name
from mixgen.recipe.schema import Rooms, SourceGroup

_T60 = re.compile(r"\bt60_s=(\d+(?:\.\d+)?)")


@dataclass(frozen=True)
class RoomOfMixture:
    """The room that a mixture is in, and what each of the sources in it is heard through."""

    room: Room
    through: Sequence[Response | Position]


def in_room(rule: Rooms | None, source: Source | SourceGroup) -> bool:
    """Tell whether a source is heard through a response."""
    return rule is not None and source.role in rule.roles


def room_of_files(
    rule: Rooms, responses: Sequence[SourceRow], *, microphones: int
) -> RoomOfMixture:
    """Return the room that these response files are of.

    Raises:
        InputError: they are of fewer microphones.
    """
    for row in responses:
        if row.channels < microphones:
            raise InputError(
                f"The response {row.source_id!r} is of {row.channels} microphone(s), and the "
                f"mixtures have {microphones} channels: choose other rooms, or fewer channels."
            )
    room = Room(name=responses[0].owner, early_s=rule.early_s)
    return RoomOfMixture(room, [_response(row) for row in responses])


def room_to_simulate(
    rule: Rooms, name: str, seed: int, *, microphones: int, sources: int
) -> RoomOfMixture | None:
    """Draw a room of the recipe's kind; None where the recipe takes its rooms from files.

    Raises:
        InputError: such rooms have no space for so many sources.
        MachineError: pyroomacoustics is not installed.
    """
    if rule.simulate is None:
        return None
    plan, ends = draw_walked_room(
        rule.simulate, name, seed, microphones=microphones, sources=sources
    )
    simulation = Simulation.model_validate(
        engine_and_version() | plan.model_dump(include={"size_m", "t60_s", "microphones_m"})
    )
    room = Room(name=name, early_s=rule.early_s, simulation=simulation)
    places = [
        Position(position_m=start, to_m=end)
        for start, end in zip(plan.sources_m, ends, strict=True)
    ]
    return RoomOfMixture(room, places)


def reference_of(rule: Rooms | None, source: Source) -> str:
    """Return the name of the file that a separator is to give for a target."""
    first = rule.references[0] if rule else "image"
    return file_name(source.name, first)


def place(
    rule: Rooms | None, sources: Sequence[Source], drawn: RoomOfMixture | None
) -> list[Source]:
    """Give each source that is in the room its response, and each target its references."""
    if rule is None:
        return list(sources)
    written = [part for part in rule.references if part != "image"]
    left = iter(drawn.through if drawn else ())
    return [
        source.model_copy(
            update={
                "room": _heard_from(source, next(left)) if in_room(rule, source) else None,
                "references": written if source.role == "target" else [],
            }
        )
        for source in sources
    ]


def _heard_from(source: Source, drawn: Response | Position) -> Response | Position:
    """Return where a source is heard from: loudspeakers do not walk."""
    if source.echo is not None and isinstance(drawn, Position):
        return Position(position_m=drawn.position_m)
    return drawn


def _response(row: SourceRow) -> Response:
    told = _T60.search(row.text)
    return Response(
        corpus=row.corpus,
        path=row.path,
        sha256=row.sha256,
        t60_s=float(told[1]) if told else None,
        licence=row.licence,
    )
