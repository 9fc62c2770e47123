"""Which response each source of a mixture goes through, and what its reference is."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from mixgen.acoustics.image_source import engine_and_version, simulation_cost
from mixgen.acoustics.room import draw_walked_room
from mixgen.corpora.sources import SourceRow
from mixgen.draw.choice import by_owner
from mixgen.manifest.mixture import (
    Mixture,
    Position,
    Response,
    Room,
    Simulation,
    Source,
    file_name,
)
from mixgen.recipe.schema import Rooms
from mixgen.recipe.source_group import SourceGroup

# Of responses in one room, the nearest falls by 40 dB some 40 % earlier than the farthest.
_MOST_TIMES_LONGER = 2.5
_MOST_S_LONGER = 0.3

_T60 = re.compile(r"\bt60_s=(\d+(?:\.\d+)?)")


@dataclass(frozen=True)
class RoomOfMixture:
    """The room of a mixture, and the response or position of each source in it."""

    room: Room
    responses: Sequence[Response | Position]


def in_room(rule: Rooms | None, source: Source | SourceGroup) -> bool:
    """Return whether a source goes through a response."""
    return rule is not None and source.role in rule.roles


def room_of_files(rule: Rooms, responses: Sequence[SourceRow]) -> RoomOfMixture:
    """Return the room of which these files are responses."""
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
    lines = zip(plan.sources_m, ends, strict=True)
    return RoomOfMixture(room, [Position(position_m=start, to_m=end) for start, end in lines])


def rooms_of_many_decays(responses: Sequence[SourceRow]) -> list[str]:
    """Return a sentence for each room whose responses differ too much in decay to be of one room.

    The decay is how long a response sounds, which its `active` says.
    """
    sentences = []
    for room, rows in by_owner(responses).items():
        sounding_s = [_sounding_s(row.active) for row in rows if row.active]
        low, high = min(sounding_s, default=0.0), max(sounding_s, default=0.0)
        if high > _MOST_TIMES_LONGER * low and high - low > _MOST_S_LONGER:
            sentences.append(
                f"The {len(rows)} responses of the room {room!r} decay within {low:.1f} to "
                f"{high:.1f} s: if they are of several rooms, give each room a folder and index "
                "them again."
            )
    return sentences


def _sounding_s(active: str) -> float:
    """Return the seconds from the first sound of a file to the last."""
    start, stop = active.partition("-")[0], active.rpartition("-")[2]
    return float(stop) - float(start)


def slow_simulation(mixture: Mixture) -> str | None:
    """Return a sentence on a mixture whose room takes long or much memory to simulate."""
    simulation = mixture.room.simulation if mixture.room else None
    if simulation is None:
        return None
    positions = [source.room for source in mixture.sources if isinstance(source.room, Position)]
    cost = simulation_cost(
        simulation.size_m,
        simulation.t60_s,
        microphones=len(simulation.microphones_m),
        sources=len(positions),
    )
    if not cost.is_high:
        return None
    return (
        f"Mixture {mixture.id}, and perhaps others, takes {cost} to render, because its room has "
        f"a T60 of {simulation.t60_s:.1f} s: use fewer workers, shorter or larger rooms, or a bank "
        "(`mixgen rooms`)."
    )


def reference_of(rule: Rooms | None, source: Source) -> str:
    """Return the name of the file that a separator has to estimate for a target."""
    return file_name(source.name, rule.references[0] if rule else "image")


def assign_responses(
    rule: Rooms | None, sources: Sequence[Source], drawn: RoomOfMixture | None
) -> list[Source]:
    """Give each source that is in the room its response, and each target its references."""
    if rule is None:
        return list(sources)
    written = [part for part in rule.references if part != "image"]
    left = iter(drawn.responses if drawn else ())
    return [
        source.model_copy(
            update={
                "room": _standing(source, next(left)) if in_room(rule, source) else None,
                "references": written if source.role == "target" else [],
            }
        )
        for source in sources
    ]


def _standing(source: Source, drawn: Response | Position) -> Response | Position:
    """Return the response or position of a source; a loudspeaker does not move."""
    if source.echo is not None and isinstance(drawn, Position):
        return Position(position_m=drawn.position_m)
    return drawn


def _response(row: SourceRow) -> Response:
    t60_s = _T60.search(row.text)
    return Response(
        corpus=row.corpus,
        path=row.path,
        sha256=row.sha256,
        t60_s=float(t60_s[1]) if t60_s else None,
        licence=row.licence,
    )
