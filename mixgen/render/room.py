"""A source in the room of its mixture: its response, and its sound through that."""

import functools
from pathlib import Path

import numpy as np

from mixgen.acoustics.image_source import Walls, engine_and_version, simulate_with_walls
from mixgen.acoustics.rir import convolve, rir_part
from mixgen.acoustics.room import RoomPlan
from mixgen.acoustics.trajectory import MovingSource, Trajectory
from mixgen.audio.read import Samples, check_loudest, read_audio, resample
from mixgen.core.errors import InputError
from mixgen.corpora.roots import Roots, drawn_file
from mixgen.manifest.mixture import Mixture, Position, Response, Source


class SourceInRoom:
    """A source of a mixture, and what it sounds like in the mixture's room.

    Raises:
        InputError: the mixture or the source is in no room.
    """

    def __init__(self, mixture: Mixture, source: Source, roots: Roots) -> None:
        if mixture.room is None or source.room is None:
            raise InputError(f"Source {source.name!r} of mixture {mixture.id} is in no room.")
        self._mixture = mixture
        self._source = source
        self._roots = roots
        self._room = mixture.room
        self._placement = source.room

    def sound(self, samples: Samples, *, start: int = 0) -> list[Samples]:
        """Return samples (1, time) in the room: the image, then the references in their order.

        Each has shape (channels, time + taps - 1); references may stop earlier. `start` is the
        sample of the mixture at which they begin, which decides where a moving source is.

        Raises:
            InputError: as `response`.
        """
        rate, early_s = self._mixture.sample_rate, self._room.early_s
        moving = self._moving()
        if moving is not None:
            return moving.sound(samples, start, ["image", *self._source.references], early_s)
        response = self.response()
        references = self._source.references
        parts = [response, *(rir_part(part, response, rate, early_s) for part in references)]
        return [convolve(samples, part) for part in parts]

    def response(self) -> Samples:
        """Return the response from the source to the microphones: (channels, taps).

        For a moving source it is the one at the start of the mixture, as long as all others.

        Raises:
            InputError: the file is missing, altered or has too few channels; or the response cannot
                be simulated here as it was drawn.
        """
        if isinstance(self._placement, Response):
            return self._load(self._placement)
        moving = self._moving()
        if moving is not None:
            return moving.response(0)[: self._mixture.channels]
        positioned = [s.name for s in self._mixture.sources if isinstance(s.room, Position)]
        _, responses = _simulated(_plan(self._mixture), self._mixture.sample_rate)
        return responses[positioned.index(self._source.name)][: self._mixture.channels]

    def _moving(self) -> MovingSource | None:
        """Return the responses along the trajectory of the source; None if it stands still."""
        if not isinstance(self._placement, Position) or self._placement.to_m is None:
            return None
        trajectory = Trajectory(
            start_m=self._placement.position_m,
            end_m=self._placement.to_m,
            frames=self._mixture.frames,
        )
        return _moving_source(
            _plan(self._mixture), trajectory, self._mixture.sample_rate, self._mixture.channels
        )

    def _load(self, response: Response) -> Samples:
        path, channels = drawn_file(self._roots, response), self._mixture.channels
        samples = _read(path, self._mixture.sample_rate, path.stat().st_mtime_ns)
        if len(samples) < channels:
            raise InputError(
                f"{path} has {len(samples)} channel(s), and the mixture {channels}: choose "
                "responses of as many microphones, or fewer channels."
            )
        return samples[:channels]


def _plan(mixture: Mixture) -> str:
    """Return the room of a mixture and the positions of all sources in it, as JSON.

    Raises:
        InputError: this machine has another version of the engine.
    """
    simulation = mixture.room.simulation if mixture.room else None
    if mixture.room is None or simulation is None:
        raise InputError(
            f"Mixture {mixture.id} has a source with a position, and no room around it."
        )
    here = engine_and_version()["version"]
    if simulation.version != here:
        raise InputError(
            f"The rooms were drawn for {simulation.engine} {simulation.version}, and {here} is "
            "installed: other versions give other responses. Install that one, or draw again."
        )
    positions = [
        source.room.position_m for source in mixture.sources if isinstance(source.room, Position)
    ]
    return RoomPlan(
        name=mixture.room.name,
        size_m=simulation.size_m,
        t60_s=simulation.t60_s,
        microphones_m=simulation.microphones_m,
        sources_m=positions,
    ).model_dump_json()


# One for each thread that renders.
@functools.lru_cache(maxsize=8)
def _simulated(plan: str, sample_rate: int) -> tuple[Walls, list[Samples]]:
    return simulate_with_walls(RoomPlan.model_validate_json(plan), sample_rate)


@functools.lru_cache(maxsize=8)
def _moving_source(
    plan: str, trajectory: Trajectory, sample_rate: int, channels: int
) -> MovingSource:
    walls, _ = _simulated(plan, sample_rate)
    room = RoomPlan.model_validate_json(plan)
    used = room.model_copy(update={"microphones_m": room.microphones_m[:channels]})
    return MovingSource(used, walls, sample_rate, trajectory)


@functools.lru_cache(maxsize=64)
def _read(path: Path, sample_rate: int, _mtime_ns: int) -> Samples:
    response, rate = read_audio(path)
    check_loudest(response, path)
    # A sample stands for a stretch of time: with fewer of them, each counts more.
    response = resample(response, rate, sample_rate) * (rate / sample_rate)
    if not np.any(response):
        raise InputError(f"{path} is silent: it is no room response.")
    return response
