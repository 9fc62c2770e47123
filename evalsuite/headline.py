"""The one number that a set is sorted by, and how it is averaged over mixtures."""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import fmean, median

from evalsuite.score_folder import ScoreFolder
from evalsuite.statistics import Interval, mean_interval, median_interval

_INTERVALS: dict[str, Callable[[list[float]], Interval | None]] = {
    "mean": mean_interval,
    "median": median_interval,
}
_AVERAGES: dict[str, Callable[[list[float]], float]] = {"mean": fmean, "median": median}


@dataclass(frozen=True)
class Headline:
    """A column and its average over mixtures: the mean, or museval's median over songs."""

    column: str
    average: str = "mean"

    @property
    def name(self) -> str:
        """The leaderboard column: `si_sdri_mean`, `sdr_v4_med_median`."""
        return f"{self.column}_{self.average}"

    def of(self, values: list[float]) -> float | None:
        """Average one value per mixture; None where there is none."""
        return _AVERAGES[self.average](values) if values else None

    def interval(self, values: list[float]) -> Interval | None:
        """Return the 95 % interval of the average; None for fewer than two values."""
        return _INTERVALS[self.average](values)


HEADLINES = {
    "speech": (Headline("si_sdri"),),
    "music": (Headline("sdr_v4_med", "median"), Headline("si_sdri")),
}


def headline_of(scores: ScoreFolder) -> Headline:
    """Return the headline for the kind of content; the first column where that was not scored."""
    for headline in HEADLINES.get(scores.run.kind, ()):
        if headline.column in scores.columns:
            return headline
    return Headline(scores.columns[0])
