"""What the steps of published sets do to samples, in the arithmetic of numpy."""

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.signal import fftconvolve

from mixgen.acoustics.direct_convolution import convolve_directly
from mixgen.acoustics.shoebox import ShoeBox, shoebox_response
from mixgen.core.errors import InputError
from mixgen.manifest.mixture import Event
from mixgen.manifest.published import (
    Convolution,
    Extension,
    Placement,
    Reverberation,
    Spatialisation,
    Step,
    WhiteNoise,
)

Signal = NDArray[Any]  # (channels, time), float32 or float64


def done(step: Step, samples: Signal, rate: int, event: Event) -> Signal:
    """Return samples (channels, time) at a rate in Hz after a step that leaves the rate."""
    value: Any = step.operation
    match step.name:
        case "channel":
            if value >= len(samples):
                raise InputError(f"{event.path} has no channel {value}, counted from 0.")
            return samples[value : value + 1]
        case "extend":
            return _extended(samples, value, event)
        case "reverberate":
            return _reverberated(samples, rate, value)
        case name:
            return np.asarray(_OPERATIONS[name](samples, value))


def _rounded(samples: Signal, bits: int) -> Signal:
    """Round samples to integers of so many bits, which wrap round, and back."""
    unused = 32 - bits
    steps = np.rint(samples * 2.0 ** (bits - 1)).astype(np.int32) << unused >> unused
    return np.asarray(steps / 2.0 ** (bits - 1), samples.dtype)


def _placed(samples: Signal, placement: Placement) -> Signal:
    """Move samples (channels, time), and cut or pad them to a length."""
    moved = np.zeros((len(samples), placement.frames), samples.dtype)
    late = max(0, placement.shift)
    fitting = samples[:, max(0, -placement.shift) :][:, : max(0, placement.frames - late)]
    moved[:, late : late + fitting.shape[1]] = fitting
    return moved


_OPERATIONS: dict[str, Callable[[Signal, Any], Signal]] = {
    "skip": lambda samples, frames: samples[:, frames:],
    "multiply": operator.mul,
    "divide": operator.truediv,
    "convert": lambda samples, numbers: samples.astype(numbers),
    "round_bits": _rounded,
    "pad": lambda samples, end: np.pad(samples, ((0, 0), (0, max(0, end - samples.shape[1])))),
    "place": _placed,
}


def _reverberated(samples: Signal, rate: int, reverberation: Reverberation) -> Signal:
    """Return samples (channels, time) at the microphone of a room."""
    room = ShoeBox(
        reverberation.size_m,
        reverberation.absorption,
        reverberation.source_m,
        reverberation.microphone_m,
    )
    response = shoebox_response(room, reverberation.order, rate, reverberation.taps)
    return np.stack([fftconvolve(response, channel) for channel in samples])


def _extended(samples: Signal, extension: Extension, event: Event) -> Signal:
    """Repeat samples (channels, time) up to a length, with crossfades."""
    overlap = extension.crossfade
    if samples.shape[1] <= overlap:
        raise InputError(
            f"{event.path} has {samples.shape[1]} samples: a recording that is to be repeated "
            f"needs more than the {overlap} of a crossfade."
        )
    window = np.hanning(2 * overlap - 1)
    rising, falling = window[:overlap], window[overlap - 1 :: -1]
    longer = samples
    while longer.shape[1] < extension.frames:
        seam = longer[:, -overlap:] * falling + samples[:, :overlap] * rising
        longer = np.concatenate((longer[:, :-overlap], seam, samples[:, overlap:]), axis=1)
    return longer[:, : extension.frames]


def convolved(samples: Signal, response: Signal, convolution: Convolution) -> Signal:
    """Convolve samples (channels, time) with a response (taps,), and keep a part of the result."""
    missing = max(0, convolution.frames - samples.shape[1])
    padded = np.pad(samples, ((0, 0), (0, missing)))
    scaled = convolution.gain * response
    frames, taps = padded.shape[1], len(scaled)
    if convolution.start == "middle":
        start, length = (min(frames, taps) - 1) // 2, max(frames, taps)
    else:
        start = int(np.argmax(np.abs(scaled))) if convolution.start == "peak" else 0
        length = frames
    whole = [convolve_directly(channel, scaled) for channel in padded]
    return np.stack(whole)[:, start : start + length]


def spatialised(samples: Signal, responses: Signal, part: Spatialisation) -> Signal:
    """Convolve samples (1, time) with a part of the responses at microphones (channels, taps)."""
    kept = np.zeros_like(responses)
    kept[:, part.first : part.end] = responses[:, part.first : part.end]
    return np.asarray(fftconvolve(samples, kept, axes=-1))


def white_noise(noise: WhiteNoise, speech: Signal) -> Signal:
    """Return the noise at microphones that pick up speech (channels, time)."""
    drawn = np.random.RandomState(noise.seed).normal(size=speech.shape)
    power, own_power = (np.mean(signal**2, keepdims=True) for signal in (speech, drawn))
    snr_db = 10 * np.log10(power / own_power)
    return np.asarray(drawn * 10 ** (-(noise.snr_db - snr_db) / 20))
