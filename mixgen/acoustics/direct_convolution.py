"""Convolution with the 16-bit files of a direct one, at the speed of a fast one.

A fast convolution is off by some 1e-15, a direct one is not where its products are exact. Scripts
that round downwards make a step of that: silence becomes -1. So samples that are close to a step of
16 bits are computed directly, and those that no part of the source reaches are 0.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.signal import oaconvolve

Signal = NDArray[np.float64]

_STEPS = 2.0**15  # of 16 bits, up to full scale
_CLOSE = 1e-4  # steps: libsndfile's limits are within 2.3e-5 of whole steps


def convolve_directly(samples: Signal, response: Signal) -> Signal:
    """Return what numpy.convolve does, to the last step of 16 bits.

    Args:
        samples: shape (time,), full scale 1.0.
        response: shape (taps,), at least one of them.

    Returns:
        shape (time + taps - 1,).
    """
    result = np.zeros(len(samples) + len(response) - 1)
    taps = np.flatnonzero(response)
    sounding = np.flatnonzero(samples)
    if not (len(taps) and len(sounding)):
        return result
    heard = response[taps[0] : taps[-1] + 1]
    source = samples[sounding[0] : sounding[-1] + 1]
    offset = int(taps[0] + sounding[0])
    result[offset : offset + len(source) + len(heard) - 1] = _convolved(source, heard)
    return result


def _convolved(source: Signal, heard: Signal) -> Signal:
    """Convolve signals that begin and end with a sample that is not 0."""
    result: Signal = oaconvolve(source, heard)
    taps = len(heard)
    padded = np.pad(source, taps - 1)
    before = np.concatenate(([0], np.cumsum(padded != 0)))
    silent = before[taps:] == before[:-taps]  # of the window that ends with each sample
    result[silent] = 0.0
    scaled = result * _STEPS
    close = (np.abs(scaled - np.rint(scaled)) < _CLOSE) & ~silent
    backwards = np.ascontiguousarray(heard[::-1])
    for index in np.flatnonzero(close):
        result[index] = np.dot(padded[index : index + taps], backwards)
    return result
