"""The rooms that mixtures are in: number, origin (files or simulated), size, reverberation."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from mixgen.manifest.mixture import Mixture, Position, Response, Room
from mixgen.report.rows import Rows

_DECIMALS = 4


@dataclass
class _Range:
    """The minimum and maximum of values."""

    low: float = math.inf
    high: float = -math.inf

    def add(self, value: float) -> None:
        """Extend the range to one value."""
        self.low, self.high = min(self.low, value), max(self.high, value)

    def as_data(self) -> list[float] | None:
        """Return [minimum, maximum]; None if no value was added."""
        if self.low > self.high:
            return None
        return [round(self.low, _DECIMALS), round(self.high, _DECIMALS)]


@dataclass
class _Origin:
    """The rooms whose responses come from files, or from one version of an engine."""

    mixtures: int = 0
    walking: int = 0
    names: set[str] = field(default_factory=set)
    size_m: list[_Range] = field(default_factory=lambda: [_Range(), _Range(), _Range()])
    t60_s: _Range = field(default_factory=_Range)

    def add(self, mixture: Mixture, room: Room) -> None:
        """Count the room of one mixture."""
        self.mixtures += 1
        self.names.add(room.name)
        self.walking += sum(
            isinstance(source.room, Position) and source.room.to_m is not None
            for source in mixture.sources
        )
        if room.simulation:
            for edge, length_m in zip(self.size_m, room.simulation.size_m, strict=True):
                edge.add(length_m)
        for t60_s in _t60s(mixture, room):
            self.t60_s.add(t60_s)

    def as_dict(self) -> dict[str, Any]:
        """Return counts and ranges as plain data."""
        size_m = [edge.as_data() for edge in self.size_m]
        return {
            "rooms": len(self.names),
            "mixtures": self.mixtures,
            "walking_sources": self.walking,
            "size_m": size_m if all(size_m) else None,
            "t60_s": self.t60_s.as_data(),
        }


def _t60s(mixture: Mixture, room: Room) -> Iterator[float]:
    """Yield the reverberation times that the room was made for, as far as they are known."""
    if room.simulation:
        yield room.simulation.t60_s
    for source in mixture.sources:
        if isinstance(source.room, Response) and source.room.t60_s is not None:
            yield source.room.t60_s


class Rooms:
    """Rooms by the origin of their responses: files, or one version of an engine."""

    def __init__(self) -> None:
        self._origins: dict[tuple[str, str], _Origin] = {}

    def add(self, mixture: Mixture, rows: Rows) -> None:  # noqa: ARG002 - one signature for all
        """Count one mixture."""
        if mixture.room:
            simulation = mixture.room.simulation
            engine = (simulation.engine, simulation.version) if simulation else ("", "")
            self._origins.setdefault(engine, _Origin()).add(mixture, mixture.room)

    def as_data(self) -> list[dict[str, Any]]:
        """Return counts and ranges for each origin; responses from files have no engine."""
        return [
            {"engine": engine or None, "version": version or None, **origin.as_dict()}
            for (engine, version), origin in sorted(self._origins.items())
        ]
