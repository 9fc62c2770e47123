"""One rendered mixture: its files in whole steps of a sample format."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mixgen.audio.formats import SampleFormat, from_grid
from mixgen.audio.read import Samples
from mixgen.manifest.mixture import MIXTURE, UNDEGRADED


def clip_gain_in_db(gain: float) -> float:
    """Return the factor of a clip rule in dB, 0 or below, as it is recorded."""
    return round(20.0 * math.log10(gain), 6) if gain < 1.0 else 0.0


@dataclass(frozen=True)
class Rendering:
    """One rendered mixture, on the grid of a sample format.

    Attributes:
        steps: whole grid steps, shape (channels, frames), by file name: the mixture, the clean sum
            as `undegraded` where the mixture is degraded, and the files of all sources.
        sample_format: whose grid it is.
        clip_gain: the factor that the joint clip rule put on every mixed file.
    """

    steps: dict[str, NDArray[np.int32]]
    sample_format: SampleFormat
    clip_gain: float

    @property
    def clip_gain_db(self) -> float:
        """The joint clip gain in dB, 0 or below."""
        return clip_gain_in_db(self.clip_gain)

    @property
    def mixture(self) -> Samples:
        """The mixture's samples, shape (channels, frames), full scale 1.0."""
        return from_grid(self.steps[MIXTURE], self.sample_format)

    @property
    def total(self) -> NDArray[np.int32]:
        """The exact sum of the sources in whole steps, shape (channels, frames)."""
        return self.steps.get(UNDEGRADED, self.steps[MIXTURE])

    @property
    def stems(self) -> dict[str, Samples]:
        """The samples of the sources' files by name, each of shape (channels, frames)."""
        return {
            name: from_grid(steps, self.sample_format)
            for name, steps in self.steps.items()
            if name not in (MIXTURE, UNDEGRADED)
        }
