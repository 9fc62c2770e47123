"""Level rules: how loud a signal is, in decibels, under a named definition."""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
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


@dataclass(frozen=True)
class _Blocks:
    """Where the gating blocks of a signal begin and end, as places in `edges` (samples)."""

    edges: NDArray[np.intp]
    starts: NDArray[np.intp]
    stops: NDArray[np.intp]


@functools.lru_cache(maxsize=256)
def _blocks(frames: int, sample_rate: int) -> _Blocks:
    steps = _STEP * np.arange(round((frames / sample_rate - _BLOCK_S) / (_BLOCK_S * _STEP)) + 1)
    starts = (_BLOCK_S * steps * sample_rate).astype(int)
    stops = np.minimum((_BLOCK_S * (steps + 1) * sample_rate).astype(int), frames)
    edges = np.union1d(starts, stops)
    return _Blocks(edges, np.searchsorted(edges, starts), np.searchsorted(edges, stops))


def _block_powers(samples: Samples, sample_rate: int) -> NDArray[np.float64]:
    weighted = sosfilt(_k_weighting(sample_rate), samples, axis=1)
    blocks = _blocks(samples.shape[1], sample_rate)
    energy = np.square(weighted[:, : blocks.edges[-1]])
    before = np.zeros((len(samples), len(blocks.edges)))
    np.cumsum(np.add.reduceat(energy, blocks.edges[:-1], axis=1), axis=1, out=before[:, 1:])
    return np.asarray(
        (before[:, blocks.stops] - before[:, blocks.starts]) / (_BLOCK_S * sample_rate)
    )


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
