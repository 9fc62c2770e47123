"""The sound of a source in its room: the file of its response, and the parts that are wanted."""

import functools
from pathlib import Path

import numpy as np

from mixgen.acoustics.image_source import Walls, engine_and_version, simulate_with_walls
from mixgen.acoustics.rir import along, convolve
from mixgen.acoustics.room import RoomPlan
from mixgen.acoustics.trajectory import Walk, Way
from mixgen.audio.read import Samples, read_audio, resample
from mixgen.core.errors import InputError
from mixgen.corpora.roots import Roots, drawn_file
from mixgen.manifest.mixture import Mixture, Place, Response, Source


def through_room(
    mixture: Mixture, source: Source, samples: Samples, roots: Roots, *, start: int = 0
) -> list[Samples]:
    """Return samples (1, time) of a source in its room: its image, then its references in order.

    Each has shape (channels, time + taps - 1); references may stop earlier. `start` is the sample
    of the mixture at which they begin, which tells where a source is that walks.

    Raises:
        InputError: the mixture has no room, or the response is missing, altered or has too few
            channels.
    """
    if mixture.room is None:
        raise InputError(f"Mixture {mixture.id} is in no room.")
    rate, early_s = mixture.sample_rate, mixture.room.early_s
    if isinstance(source.room, Place) and source.room.to_m is not None:
        walk = _walk(mixture, source.room)
        return walk.sound(samples, start, ["image", *source.references], early_s)
    response = response_of(mixture, source, roots)
    parts = [response, *(along(part, response, rate, early_s) for part in source.references)]
    return [convolve(samples, part) for part in parts]


def response_of(mixture: Mixture, source: Source, roots: Roots) -> Samples:
    """Return the response that a source is heard through: (channels, taps).

    Of a source that walks it is the one at the start of the mixture, as long as that of any place.

    Raises:
        InputError: the source is in no room; the file is missing, altered or has too few channels;
            or the response cannot be simulated here as it was drawn.
    """
    if source.room is None:
        raise InputError(f"Source {source.name!r} of mixture {mixture.id} is in no room.")
    if isinstance(source.room, Response):
        return _load_response(source.room, mixture.channels, mixture.sample_rate, roots)
    if source.room.to_m is not None:
        return _walk(mixture, source.room).response(0)[: mixture.channels]
    number = [other.name for other in mixture.sources if isinstance(other.room, Place)]
    _, responses = _simulated(_plan(mixture), mixture.sample_rate)
    return responses[number.index(source.name)][: mixture.channels]


def _walk(mixture: Mixture, room: Place) -> Walk:
    """Return the responses along the way of a source of a mixture."""
    end_m = room.to_m or room.position_m
    way = Way(start_m=room.position_m, end_m=end_m, frames=mixture.frames)
    return _kept_walk(_plan(mixture), way, mixture.sample_rate, mixture.channels)


def _plan(mixture: Mixture) -> str:
    """Return the room of a mixture and the places of all sources in it, as JSON.

    Raises:
        InputError: this machine has another version of the engine.
    """
    simulation = mixture.room.simulation if mixture.room else None
    if mixture.room is None or simulation is None:
        raise InputError(f"Mixture {mixture.id} has a source with a place, and no room around it.")
    here = engine_and_version()["version"]
    if simulation.version != here:
        raise InputError(
            f"The rooms were drawn for {simulation.engine} {simulation.version}, and {here} is "
            "installed: other versions give other responses. Install that one, or draw again."
        )
    places = [
        source.room.position_m for source in mixture.sources if isinstance(source.room, Place)
    ]
    return RoomPlan(
        name=mixture.room.name,
        size_m=simulation.size_m,
        t60_s=simulation.t60_s,
        microphones_m=simulation.microphones_m,
        sources_m=places,
    ).model_dump_json()


# One for each thread that renders.
@functools.lru_cache(maxsize=8)
def _simulated(plan: str, sample_rate: int) -> tuple[Walls, list[Samples]]:
    return simulate_with_walls(RoomPlan.model_validate_json(plan), sample_rate)


@functools.lru_cache(maxsize=8)
def _kept_walk(plan: str, way: Way, sample_rate: int, channels: int) -> Walk:
    walls, _ = _simulated(plan, sample_rate)
    room = RoomPlan.model_validate_json(plan)
    heard = room.model_copy(update={"microphones_m": room.microphones_m[:channels]})
    return Walk(heard, walls, sample_rate, way)


def _load_response(room: Response, channels: int, sample_rate: int, roots: Roots) -> Samples:
    path = drawn_file(roots, room)
    response = _read(path, sample_rate, path.stat().st_mtime_ns)
    if len(response) < channels:
        raise InputError(
            f"{path} has {len(response)} channel(s), and the mixture {channels}: choose responses "
            "of as many microphones, or fewer channels."
        )
    return response[:channels]


@functools.lru_cache(maxsize=64)
def _read(path: Path, sample_rate: int, _mtime_ns: int) -> Samples:
    response, rate = read_audio(path)
    # A sample stands for a stretch of time, so fewer of them weigh more.
    response = resample(response, rate, sample_rate) * (rate / sample_rate)
    if not np.any(response):
        raise InputError(f"{path} is silent: it is no room response.")
    return response
