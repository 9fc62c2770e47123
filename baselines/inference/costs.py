"""What a leaderboard states about a system beside its scores: one table.

`baselines separate` measures every cost in `COSTS` and writes it to run.json beside the estimates.
Scores keep it, and the leaderboard has a column for it. Importing this module does not load torch.
"""

import platform
import resource
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from baselines.separator import Separator


@dataclass
class RunStatistics:
    """What was measured while a set was separated.

    Attributes:
        busy_s: seconds spent separating.
        audio_s: seconds of audio separated.
        largest_peak: largest sample of all estimates; 1 is full scale.
        failures: mixtures that could not be separated, with the reasons.
    """

    busy_s: float = 0.0
    audio_s: float = 0.0
    largest_peak: float = 0.0
    failures: list[dict[str, str]] = field(default_factory=list)

    @property
    def real_time_factor(self) -> float | None:
        """Seconds spent per second of audio; None if nothing was separated."""
        return self.busy_s / self.audio_s if self.audio_s else None


Measure = Callable[["Separator", RunStatistics, "torch.device"], float | int | None]


@dataclass(frozen=True, kw_only=True)
class Cost:
    """One number about a system.

    Attributes:
        name: key in run.json and column of the leaderboard; with its unit.
        measure: (separator, statistics of the run, device) -> value; None if it has none.
        title: header of its column in the terminal; without one, only the CSV has the column.
        text: returns a value as the terminal shows it.
    """

    name: str
    measure: Measure
    title: str = ""
    text: Callable[[float], str] = str


def _parameters(separator: "Separator", _statistics: RunStatistics, _device: "torch.device") -> int:
    from baselines.checkpoint import count_parameters

    return count_parameters(separator)


def _macs_per_second(
    separator: "Separator", _statistics: RunStatistics, _device: "torch.device"
) -> float | None:
    if separator.external:
        return None
    from baselines.inference.macs import macs_per_second

    return macs_per_second(separator)


def _peak_memory_mb(
    _separator: "Separator", _statistics: RunStatistics, device: "torch.device"
) -> float:
    """Return the peak memory of the GPU if one is used, else of the process."""
    if device.type == "cuda":
        import torch

        return torch.cuda.max_memory_allocated(device) / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    bytes_per_unit = 1 if platform.system() == "Darwin" else 1024
    return peak * bytes_per_unit / 2**20


COSTS = (
    Cost(name="parameters", measure=_parameters, title="parameters", text="{:,.0f}".format),
    Cost(
        name="macs_per_second",
        measure=_macs_per_second,
        title="MACs/s",
        text=lambda macs: f"{macs / 1e9:.2f} G",
    ),
    Cost(
        name="real_time_factor",
        measure=lambda _separator, statistics, _device: statistics.real_time_factor,
        title="RTF",
        text="{:.3f}".format,
    ),
    Cost(name="latency_s", measure=lambda separator, _statistics, _device: separator.latency_s),
    Cost(name="peak_memory_mb", measure=_peak_memory_mb),
    Cost(
        name="largest_peak",
        measure=lambda _separator, statistics, _device: statistics.largest_peak,
        title="peak",
        text="{:.2f}".format,
    ),
)
