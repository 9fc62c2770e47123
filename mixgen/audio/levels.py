"""Level rules: named definitions of the level of a signal in decibels."""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import pyloudnorm
from numpy.typing import NDArray
from pydantic import AfterValidator
from scipy.signal import sosfilt

from mixgen.audio.compiled import kernels
from mixgen.audio.read import Samples
from mixgen.core.registry import add, unknown

Measure = Callable[[Samples, int], float]
"""(samples of shape (channels, time), sample rate in Hz) -> level in dB."""

LEVEL_RULES: dict[str, Measure] = {}


def level_rule(name: str) -> Callable[[Measure], Measure]:
    """Register a function as the level rule that recipes and manifests call `name`."""

    def register(measure: Measure) -> Measure:
        add(LEVEL_RULES, name, measure, "LEVEL_RULES")
        return measure

    return register


def _check_level_rule(name: str) -> str:
    if name not in LEVEL_RULES:
        raise ValueError(unknown(LEVEL_RULES, name, "level rule").rstrip("."))
    return name


LevelRule = Annotated[str, AfterValidator(_check_level_rule)]

# Scaper's constants: shorter signals repeat up to 0.5 s, and silence has -70 LUFS.
_SHORTEST_S = 0.5
_FLOOR_DB = -70.0
_BLOCK_S = 0.4
_STEP = 0.25
_WARM_UP_S = 0.2  # a state of the K-weighting falls by 400 dB: its slowest poles are at 38 Hz
_CHANNEL_WEIGHTS = np.array([1.0, 1.0, 1.0, 1.41, 1.41])

FRAME_S = 0.02
ACTIVE_RANGE_DB = 40.0

# ITU-T P.56, method B: time constant of the envelope, hangover, margin, thresholds.
_ENVELOPE_S = 0.03
_HANGOVER_S = 0.2
_MARGIN_DB = 15.9
_THRESHOLDS = 2.0 ** -np.arange(1, 17)  # from half of full scale down by 6 dB


@functools.cache
def _k_weighting(sample_rate: int) -> NDArray[np.float64]:
    stages = pyloudnorm.Meter(sample_rate)._filters.values()
    return np.array([np.concatenate([stage.b * stage.passband_gain, stage.a]) for stage in stages])


@functools.cache
def _coefficients(sample_rate: int) -> tuple[float, ...]:
    """Return b0, b1, b2, a1, a2 of both stages of the K-weighting."""
    return tuple(np.delete(_k_weighting(sample_rate), 3, axis=1).ravel().tolist())


@level_rule("lufs")
def integrated_lufs(samples: Samples, sample_rate: int) -> float:
    """Measure the gated loudness of (channels, time) samples in LUFS, at least -70.

    Scaper's rules for short and silent signals apply, so that stock Scaper measures the same value.
    """
    frames = samples.shape[1]
    if frames / sample_rate < _SHORTEST_S:
        samples = np.tile(samples, (1, math.ceil(_SHORTEST_S / (frames / sample_rate))))
    loudness = gated_loudness(samples, sample_rate)
    return _FLOOR_DB if loudness is None else max(loudness, _FLOOR_DB)


def gated_loudness(
    samples: Samples, sample_rate: int, *, gate_db: float = _FLOOR_DB
) -> float | None:
    """Measure the integrated loudness of (channels, time) samples in LUFS.

    Source: ITU-R BS.1770-4 with the filters and block edges of pyloudnorm. None where no block of
    0.4 s reaches the absolute gate `gate_db`, and for less than one block.
    """
    if samples.shape[1] < _BLOCK_S * sample_rate:
        return None
    power = _block_powers(samples, sample_rate)  # (channels, blocks)
    surround = len(power) <= len(_CHANNEL_WEIGHTS)
    weights = _CHANNEL_WEIGHTS[: len(power)] if surround else np.ones(len(power))
    loudness = _to_lufs(weights @ power)  # (blocks,)
    audible = loudness >= gate_db
    if not audible.any():
        return None
    relative_gate = float(_to_lufs(weights @ power[:, audible].mean(axis=1))) - 10.0
    kept = (loudness > relative_gate) & (loudness > gate_db)
    if not kept.any():
        return None
    return float(_to_lufs(weights @ power[:, kept].mean(axis=1)))


@dataclass(frozen=True)
class _Blocks:
    """The gating blocks of a signal: `starts` and `stops` are indices of `edges`, in samples."""

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
    blocks = _blocks(samples.shape[1], sample_rate)
    before = np.zeros((len(samples), len(blocks.edges)))
    np.cumsum(_weighted_energies(samples, sample_rate, blocks.edges), axis=1, out=before[:, 1:])
    return np.asarray(
        (before[:, blocks.stops] - before[:, blocks.starts]) / (_BLOCK_S * sample_rate)
    )


def _weighted_energies(
    samples: Samples, sample_rate: int, edges: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Return the K-weighted energies between neighbouring edges: (channels, edges - 1)."""
    compiled = kernels()
    if compiled is None:
        weighted = sosfilt(_k_weighting(sample_rate), samples, axis=1)
        energy = np.square(weighted[:, : edges[-1]])
        return np.asarray(np.add.reduceat(energy, edges[:-1], axis=1))
    coefficients = _coefficients(sample_rate)
    warm_up = int(_WARM_UP_S * sample_rate)
    channels = map(np.ascontiguousarray, samples)
    return np.array([compiled.weighted_energies(x, coefficients, edges, warm_up) for x in channels])


def _to_lufs(power: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(divide="ignore"):
        return np.asarray(-0.691 + 10.0 * np.log10(power))


@level_rule("energy")
def energy_db(samples: Samples, sample_rate: int) -> float:  # noqa: ARG001 - one signature for all
    """Measure the mean power of (channels, time) samples in dB re full scale, at least -70."""
    power = float(np.mean(np.square(samples)))
    return max(10.0 * math.log10(power), _FLOOR_DB) if power > 0 else _FLOOR_DB


def active_frames(
    samples: Samples, sample_rate: int, *, range_db: float = ACTIVE_RANGE_DB
) -> NDArray[np.bool_]:
    """Return for each frame of 20 ms whether its power is at most `range_db` below the loudest."""
    return are_active(frame_energies(samples, sample_rate), range_db=range_db)


def are_active(
    energies: NDArray[np.float64], *, range_db: float = ACTIVE_RANGE_DB
) -> NDArray[np.bool_]:
    """Return which energies of frames are not 0, and at most `range_db` below the highest."""
    threshold = energies.max() * 10 ** (-range_db / 10)
    return np.asarray((energies > 0) & (energies >= threshold))


def frame_energies(samples: Samples, sample_rate: int) -> NDArray[np.float64]:
    """Return the sum of squares of (channels, time) samples in each frame of 20 ms."""
    width = frame_width(sample_rate)
    energy = np.einsum("ct,ct->t", samples, samples)
    return np.asarray(np.add.reduceat(energy, np.arange(0, samples.shape[1], width)))


def frame_width(sample_rate: int) -> int:
    """Return how many samples a frame of 20 ms has."""
    return max(1, int(FRAME_S * sample_rate))


def energies_of_steps(
    steps: NDArray[np.int32], total: NDArray[np.int32], sample_rate: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the energy of a stem, and of the rest of a sum, in each frame of 20 ms.

    Both are (channels, time) whole grid steps, and the energies are exact in squared steps.
    """
    width = frame_width(sample_rate)
    starts = np.arange(0, steps.shape[1], width)
    own, others = np.zeros((2, len(starts)), np.int64)
    compiled = kernels()
    # Decoded files have frames first in memory, and compiled loops take one channel after another.
    for stem, everything in zip(
        np.ascontiguousarray(steps), np.ascontiguousarray(total), strict=True
    ):
        if compiled is None:
            wide = stem.astype(np.int64)
            own += np.add.reduceat(np.square(wide), starts)
            others += np.add.reduceat(np.square(everything - wide), starts)
        else:
            compiled.add_energies(stem, everything, width, own, others)
    return own.astype(np.float64), others.astype(np.float64)


@level_rule("active_energy")
def active_energy_db(samples: Samples, sample_rate: int) -> float:
    """Measure the mean power of the active frames of (channels, time) samples in dB, at least -70.

    Frames of 20 ms within 40 dB of the loudest one are active.
    """
    active = active_frames(samples, sample_rate)
    if not active.any():
        return _FLOOR_DB
    width = frame_width(sample_rate)
    lengths = np.full(len(active), width)
    lengths[-1] = samples.shape[1] - width * (len(active) - 1)
    energy = frame_energies(samples, sample_rate)[active].sum()
    power = energy / (lengths[active].sum() * samples.shape[0])
    return max(10.0 * math.log10(power), _FLOOR_DB)


@level_rule("p56")
def active_speech_level(samples: Samples, sample_rate: int) -> float:
    """Measure the active speech level of (channels, time) samples in dB full scale, at least -70.

    Several channels count as one with their mean power. Source: ITU-T P.56 (12/2011), method B;
    the level is interpolated linearly in decibels between neighbouring thresholds.
    """
    power = np.einsum("ct,ct->t", samples, samples) / samples.shape[0]  # (time,)
    total = float(power.sum())
    if total == 0.0:
        return _FLOOR_DB
    pole = math.exp(-1.0 / (_ENVELOPE_S * sample_rate))
    stage = np.array([[1.0 - pole, 0.0, 0.0, 1.0, -pole, 0.0]])
    envelope = sosfilt(np.concatenate([stage, stage]), np.sqrt(power))
    hangover = math.ceil(_HANGOVER_S * sample_rate)
    above = None  # (level, margin) at the next higher threshold
    for threshold in _THRESHOLDS:
        active = _active_samples(envelope, threshold, hangover)
        if active == 0:
            continue
        level_db = 10.0 * math.log10(total / active)
        margin_db = level_db - 20.0 * math.log10(threshold)
        if margin_db >= _MARGIN_DB:
            return max(_between(above, (level_db, margin_db)), _FLOOR_DB)
        above = (level_db, margin_db)
    return _FLOOR_DB


def _active_samples(envelope: NDArray[np.float64], threshold: float, hangover: int) -> int:
    """Count the samples at or above a threshold, each followed by up to `hangover` others."""
    active = np.flatnonzero(envelope >= threshold)
    if len(active) == 0:
        return 0
    following = np.diff(active, append=len(envelope))
    return int(np.minimum(following, hangover + 1).sum())


def _between(above: tuple[float, float] | None, below: tuple[float, float]) -> float:
    """Return the level at which the margin is 15.9 dB, between those at two thresholds."""
    if above is None:
        return below[0]
    share = (_MARGIN_DB - above[1]) / (below[1] - above[1])
    return above[0] + share * (below[0] - above[0])
