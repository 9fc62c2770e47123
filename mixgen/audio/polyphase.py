"""scipy's `resample_poly`, with the same samples, and faster where the rate becomes a fraction.

scipy adds the products of every output to each other in the order of time, and rounds after every
operation. So does the compiled loop, several outputs at a time. That holds on processors for which
compilers keep a product and a sum apart unless they are told not to; elsewhere scipy does the work.
"""

import functools
import math
import platform
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.signal import firwin, resample_poly

from mixgen.audio.compiled import kernels

_PLAIN_SUMS = ("x86_64", "AMD64")
_HALF_TAPS = 10  # for each unit of the larger rate, on either side of the middle
_KAISER_BETA = 5.0


def resampled(samples: NDArray[Any], from_rate: int, to_rate: int) -> NDArray[Any]:
    """Return what scipy's resample_poly makes of samples (channels, time) in 32 or 64-bit floats.

    Args:
        samples: shape (channels, time).
        from_rate: in Hz.
        to_rate: in Hz.
    """
    common = math.gcd(from_rate, to_rate)
    up, down = to_rate // common, from_rate // common
    if up == down:
        return samples.copy()
    taps = _low_pass(max(up, down), samples.dtype.str)
    compiled = kernels() if platform.machine() in _PLAIN_SUMS else None
    if compiled is None or up != 1:
        return np.asarray(resample_poly(samples, up, down, axis=1, window=taps))
    frames = samples.shape[1]
    outputs = np.zeros((len(samples), -(-frames // down)), samples.dtype)
    before = len(taps) // 2
    # As many zeros before and after as the filter reaches, and full rows of `down` samples.
    rows = outputs.shape[1] + -(-len(taps) // down)
    padded = np.zeros(rows * down, samples.dtype)
    for channel, signal in zip(outputs, samples, strict=True):
        padded[before : before + frames] = signal
        phases = np.ascontiguousarray(padded.reshape(rows, down).T)
        compiled.decimate(phases, taps[::-1].copy(), channel)
    return outputs


@functools.lru_cache(maxsize=16)
def _low_pass(longest: int, dtype: str) -> NDArray[Any]:
    """Return the filter that resample_poly designs by default."""
    half = _HALF_TAPS * longest
    taps = firwin(2 * half + 1, 1.0 / longest, window=("kaiser", _KAISER_BETA))
    return np.asarray(taps, dtype)
