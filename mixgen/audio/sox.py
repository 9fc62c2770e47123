"""Pitch shift and time stretch by sox, called through pysox exactly as Scaper calls it."""

import logging
import math
import shutil

import numpy as np

from mixgen.audio.read import Samples
from mixgen.core.errors import InputError, MachineError

# Its tempo factor is 0.1 to 100. A shift by an octave up is twice as fast, at half the tempo.
LEAST_STRETCH, MOST_STRETCH = 0.01, 10.0
LOWEST_SHIFT, HIGHEST_SHIFT = -12 * math.log2(100), 12 * math.log2(10)


def pitch_and_stretch(
    samples: Samples,
    from_rate: int,
    to_rate: int,
    channels: int,
    *,
    pitch_shift: float | None,
    time_stretch: float | None,
) -> Samples:
    """Convert (channels, time) samples to a rate and channel count, shifted and stretched.

    Args:
        samples: shape (channels, time).
        from_rate: sample rate of `samples` in Hz.
        to_rate: sample rate of the result in Hz.
        channels: number of channels of the result.
        pitch_shift: semitones, or None.
        time_stretch: factor of the duration, or None.

    Raises:
        InputError: the shift or stretch is outside the range of sox.
        MachineError: sox is not installed.
    """
    if shutil.which("sox") is None:
        raise MachineError("Pitch shift and time stretch need the program sox: install it.")
    import sox

    logging.getLogger("sox").setLevel(logging.ERROR)
    transformer = sox.Transformer()
    transformer.convert(samplerate=to_rate, n_channels=channels, bitdepth=None)
    transformer.set_output_format(rate=to_rate, channels=channels)
    if pitch_shift is not None:
        transformer.pitch(pitch_shift)
    if time_stretch is not None:
        transformer.tempo(1.0 / time_stretch, audio_type="s")
    try:
        built = transformer.build_array(input_array=samples.T, sample_rate_in=from_rate)
    except sox.SoxError:
        raise InputError(
            f"sox refuses pitch_shift {pitch_shift} with time_stretch {time_stretch}: shift by "
            f"{LOWEST_SHIFT:.1f} to {HIGHEST_SHIFT:.1f} semitones, and stretch by a factor from "
            f"{LEAST_STRETCH:g} to {MOST_STRETCH:g}."
        ) from None
    # pysox returns a read-only view of sox's output, (time * channels,).
    return np.array(built.reshape(-1, channels).T, dtype=np.float64, order="C")
