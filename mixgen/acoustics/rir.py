"""Room responses: their parts, their measures, and the sound of a source through them."""

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.signal import oaconvolve

from mixgen.audio.read import Samples

RirPart = Literal["image", "early", "dry"]

_DIRECT_S = 0.0025
_RISE = 0.5  # of the peak
_RISE_SAMPLES = 16
_DECAY_DB = (-5.0, -25.0)  # T20, extrapolated to 60 dB
_RANGE_DB = 35.0
_BLOCK_S = 0.01


def arrivals(response: Samples) -> NDArray[np.intp]:
    """Return the sample at which the direct sound arrives in each channel of (channels, taps).

    It is the highest of 16 samples, the first of which is the first to reach half of the channel's
    peak: reflections that coincide may be louder than the direct sound, but never precede it.
    """
    indices = []
    for magnitude in np.abs(response):
        begin = int(np.argmax(magnitude >= _RISE * magnitude.max()))
        indices.append(begin + int(magnitude[begin : begin + _RISE_SAMPLES].argmax()))
    return np.array(indices)


def rir_part(part: RirPart, response: Samples, sample_rate: int, early_s: float) -> Samples:
    """Return the part of a response (channels, taps) that makes a source a reference.

    "image" is the whole response. "early" ends `early_s` after the direct sound. "dry" is the
    direct sound alone, one sample per channel, so that the reference is the source itself with the
    delay and gain of its arrival.
    """
    if part == "image":
        return response
    if part == "early":
        return response[:, : int(arrivals(response).min()) + round(early_s * sample_rate) + 1]
    arrival = arrivals(response)
    direct = np.zeros((len(response), int(arrival.max()) + 1))
    channels = np.arange(len(response))
    direct[channels, arrival] = response[channels, arrival]
    return direct


def convolve(samples: Samples, response: Samples) -> Samples:
    """Convolve samples (1, time) with a response (channels, taps): (channels, time + taps - 1)."""
    if response.shape[1] == 1:
        return samples * response
    return np.asarray(oaconvolve(samples, response, axes=1))


NO_T60 = "the response does not decay by 35 dB before its noise or its end"


def reverberation_time_s(response: Samples, sample_rate: int) -> float | None:
    """Return T60 of the first channel in seconds: its decay from -5 to -25 dB, extrapolated.

    None if the response does not decay by 35 dB: the range ends 10 dB above the noise or the cut at
    the end, which would bend the decay (`NO_T60` is the reason in words).

    Source: backward integration, Schroeder, JASA 37(3), 1965; evaluation range T20 and its distance
    to the noise, ISO 3382-2.
    """
    t60_s = extrapolated_t60_s(response, sample_rate)
    if t60_s is None or _range_db(response[0], sample_rate) < _RANGE_DB:
        return None
    length_s = response.shape[1] / sample_rate
    return t60_s if 60.0 * length_s / t60_s >= _RANGE_DB else None


def extrapolated_t60_s(response: Samples, sample_rate: int) -> float | None:
    """Return T60 as `reverberation_time_s`, whatever is left of the response after -25 dB.

    None if nothing is, or there are less than three samples of decay.
    """
    decay = decay_db(response[0])
    first, last = (int(np.argmax(decay <= level)) for level in _DECAY_DB)
    if decay[-1] > _DECAY_DB[1] or last - first < 2:
        return None
    time_s = np.arange(first, last + 1) / sample_rate
    slope = float(np.polyfit(time_s, decay[first : last + 1], 1)[0])  # dB per second
    return -60.0 / slope if slope < 0 else None


def _range_db(channel: NDArray[np.float64], sample_rate: int) -> float:
    """Return the level of the loudest 10 ms of a response (taps,) above that of its last tenth."""
    taps = int(np.flatnonzero(channel)[-1]) + 1
    block = max(1, round(_BLOCK_S * sample_rate))
    power = np.square(channel[:taps])
    loudest = np.add.reduceat(power, np.arange(0, taps, block)).max() / block
    return float(10.0 * np.log10(loudest / power[taps - max(1, taps // 10) :].mean()))


def decay_db(channel: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the energy of a response (taps,) from each sample on, in dB re its total energy."""
    remaining = np.cumsum(np.square(channel[::-1]))[::-1]
    with np.errstate(divide="ignore"):
        return np.asarray(10.0 * np.log10(remaining / remaining[0]))


def direct_to_reverberant_db(response: Samples, sample_rate: int) -> float | None:
    """Return the energy within 2.5 ms of the direct sound over the rest in dB, first channel.

    None if the rest has no energy.
    """
    energy = np.square(response[0])
    peak = int(arrivals(response[:1])[0])
    reach = round(_DIRECT_S * sample_rate)
    direct = float(energy[max(0, peak - reach) : peak + reach + 1].sum())
    rest = float(energy.sum()) - direct
    return 10.0 * math.log10(direct / rest) if rest > 1e-12 * direct else None
