"""Level rules: how loud a signal is, in decibels, under a named definition."""

import functools
import math
from collections.abc import Callable
from typing import Literal

import numpy as np
import pyloudnorm
from numpy.typing import NDArray
from scipy.signal import sosfilt

from mixgen.audio import Samples

LevelRule = Literal["lufs", "energy"]

# Scaper's constants: shorter signals are repeated to 0.5 s, and silence counts as -70 LUFS.
_SHORTEST_S = 0.5
_FLOOR_DB = -70.0
_BLOCK_S = 0.4
_STEP = 0.25
_CHANNEL_WEIGHTS = np.array([1.0, 1.0, 1.0, 1.41, 1.41])


@functools.cache
def _k_weighting(sample_rate: int) -> NDArray[np.float64]:
    stages = pyloudnorm.Meter(sample_rate)._filters.values()
    return np.array([np.concatenate([stage.b * stage.passband_gain, stage.a]) for stage in stages])


def integrated_lufs(samples: Samples, sample_rate: int) -> float:
    """Measure the gated loudness of (channels, time) samples in LUFS, at least -70.

    Source: ITU-R BS.1770-4 with pyloudnorm's filters and block edges, and with Scaper's rules
    for short and silent signals, so that the value is the one that stock Scaper uses.
    """
    frames = samples.shape[1]
    if frames / sample_rate < _SHORTEST_S:
        samples = np.tile(samples, (1, math.ceil(_SHORTEST_S / (frames / sample_rate))))
    power = _block_powers(samples, sample_rate)  # (channels, blocks)
    weights = _CHANNEL_WEIGHTS[: len(power)]
    loudness = _to_lufs(weights @ power)  # (blocks,)
    audible = loudness >= _FLOOR_DB
    if not audible.any():
        return _FLOOR_DB
    relative_gate = float(_to_lufs(weights @ power[:, audible].mean(axis=1))) - 10.0
    kept = (loudness > relative_gate) & (loudness > _FLOOR_DB)
    if not kept.any():
        return _FLOOR_DB
    return max(float(_to_lufs(weights @ power[:, kept].mean(axis=1))), _FLOOR_DB)


def _block_powers(samples: Samples, sample_rate: int) -> NDArray[np.float64]:
    weighted = sosfilt(_k_weighting(sample_rate), samples, axis=1)
    duration_s = samples.shape[1] / sample_rate
    blocks = np.arange(round((duration_s - _BLOCK_S) / (_BLOCK_S * _STEP)) + 1)
    starts = (_BLOCK_S * (blocks * _STEP) * sample_rate).astype(int)
    stops = (_BLOCK_S * (blocks * _STEP + 1) * sample_rate).astype(int)
    stops = np.minimum(stops, samples.shape[1])
    edges = np.union1d(starts, stops)
    between = np.add.reduceat(np.square(weighted[:, : edges[-1]]), edges[:-1], axis=1)
    before = np.pad(np.cumsum(between, axis=1), ((0, 0), (1, 0)))  # (channels, edges)
    energy = before[:, np.searchsorted(edges, stops)] - before[:, np.searchsorted(edges, starts)]
    return np.asarray(energy / (_BLOCK_S * sample_rate))


def _to_lufs(power: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(divide="ignore"):
        return np.asarray(-0.691 + 10.0 * np.log10(power))


def energy_db(samples: Samples, sample_rate: int) -> float:  # noqa: ARG001 - one signature for all
    """Measure the mean power of (channels, time) samples in dB re full scale, at least -70."""
    power = float(np.mean(np.square(samples)))
    return max(10.0 * math.log10(power), _FLOOR_DB) if power > 0 else _FLOOR_DB


LEVEL_RULES: dict[str, Callable[[Samples, int], float]] = {
    "lufs": integrated_lufs,
    "energy": energy_db,
}
