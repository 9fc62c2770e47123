"""Echoes for the tests of cancellers: a far end that stops and starts, rooms, and measures."""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.signal import lfilter

from baselines.separator import Separator

Signal = NDArray[np.float64]
SAMPLE_RATE = 8000


def syllables(seconds: float, rng: np.random.Generator) -> Signal:
    """Noise with the spectrum of a voice, in syllables of a fifth of a second, with pauses."""
    time = round(seconds * SAMPLE_RATE)
    noise = lfilter([1.0], [1.0, -0.9], rng.normal(size=time))
    width = SAMPLE_RATE // 5
    levels = rng.uniform(0, 1, size=-(-time // width)) ** 2
    envelope = np.interp(np.arange(time) / width, np.arange(len(levels)), levels)
    return 0.05 * noise * envelope


def echo_path(taps: int, rng: np.random.Generator) -> Signal:
    """A direct sound and a decaying tail."""
    path = rng.normal(size=taps) * np.exp(-6 * np.arange(taps) / taps)
    path[0] = 3.0
    return path / np.sqrt(np.square(path).sum())


def speech_like(seconds: float, *, delay: int = 0, seed: int = 0) -> tuple[Signal, Signal]:
    """Return a far end and its echo, both (time,), of a path of 50 ms after a delay."""
    rng = np.random.default_rng(seed)
    far_end = syllables(seconds, rng)
    path = np.concatenate([np.zeros(delay), echo_path(400, rng)])
    echo = np.convolve(far_end, path)[: len(far_end)]
    return far_end, echo + 1e-5 * rng.normal(size=len(echo))


def cancelled(canceller: Separator, mixture: Signal, far_end: Signal) -> Signal:
    """Return what a canceller leaves of a mixture, (time,) each, in single precision."""
    signals = (torch.from_numpy(s).float()[None, None] for s in (mixture, far_end))
    estimate: Signal = canceller(*signals)[0, 0, 0].numpy()
    return estimate


def erle_db(mixture: Signal, estimate: Signal) -> float:
    """Return by how much of its power the echo is attenuated, in dB."""
    return float(10 * np.log10(np.square(mixture).sum() / np.square(estimate).sum()))


def si_sdr_db(reference: Signal, estimate: Signal) -> float:
    """Return the scale-invariant signal-to-distortion ratio in dB."""
    target = (reference @ estimate) / (reference @ reference) * reference
    return erle_db(target, estimate - target)
