"""The SDR of the Music Demixing Challenges, over the whole song.

Y. Mitsufuji et al., "Music Demixing Challenge 2021", Frontiers in Signal Processing 1, 2022: not
distorted by filters, not cut into frames, defined for silence by a small constant.
"""

import math

from evalsuite.metrics.diagnostics import energy_db
from evalsuite.metrics.item import Array
from evalsuite.metrics.metric import ReferenceMetric, each_pair
from evalsuite.metrics.outcome import Score

# Added to both energies, as the evaluation of Demucs has it.
DELTA = 1e-7


def nsdr(*, reference: Array, estimate: Array) -> Score:
    """Return 10 log10((|s|^2 + 1e-7) / (|s - e|^2 + 1e-7)) in dB.

    A perfect estimate and a silent reference have a finite value, which depends on level.

    Args:
        reference: shape (channels, time).
        estimate: shape (channels, time).
    """
    return _energy_db(reference) - _energy_db(reference - estimate)


def _energy_db(samples: Array) -> float:
    """Return 10 log10(|x|^2 + 1e-7), also where the square overflows."""
    level_db = energy_db(samples) if samples.any() else -math.inf
    return level_db if level_db > 200.0 else 10.0 * math.log10(10.0 ** (level_db / 10) + DELTA)


METRICS = (
    ReferenceMetric(
        name="nsdr",
        columns=("nsdr",),
        score=each_pair("nsdr", nsdr),
        unit="dB",
        tasks=frozenset(),
        parameters={"delta": DELTA, "window": "whole item", "channels": "one vector"},
        source="Mitsufuji et al., Frontiers in Signal Processing 1, 2022",
        floor=0.0,
        improvements=("nsdr",),
    ),
)
