"""Spectrograms as WebP images and outlines of waveforms; the same numbers give the same bytes."""

import io
from itertools import pairwise

import numpy as np
from matplotlib import colormaps
from numpy.typing import NDArray
from PIL import Image
from scipy.signal import ShortTimeFFT

from mixgen.audio.read import Samples

WAVE_COLUMNS = 400
WAVE_HEIGHT = 100

_WINDOW_S = 0.032
_FLOOR_DB = -160.0
_RANGE_DB = 70.0
_BREAK_HZ = 700.0  # below, the mel scale is nearly linear
_COLOURS = "magma"
_QUALITY = 85
_PAINTED = (800, 256)  # the most pixels of a picture: width, height
_ROUND_KHZ = (0.1, 0.2, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)


def level_picture(samples: Samples, sample_rate: int) -> NDArray[np.float64]:
    """Return the levels of the first channel in dB, shape (frequency, time), windows of 32 ms."""
    n_fft = max(2, round(_WINDOW_S * sample_rate))
    window = np.hanning(n_fft)
    transform = ShortTimeFFT(window, hop=max(1, n_fft // 4), fs=sample_rate, scale_to="magnitude")
    signal = np.pad(samples[0], (0, max(0, n_fft - samples.shape[1])))
    magnitude = np.abs(transform.stft(signal))  # (frequency, time)
    return np.asarray(20.0 * np.log10(np.maximum(magnitude, 10.0 ** (_FLOOR_DB / 20.0))))


def paint_spectrogram(levels: NDArray[np.float64], top_db: float, sample_rate: int) -> bytes:
    """Paint levels from `level_picture`, 70 dB up to `top_db`; silence has the darkest colour.

    The left edge is the beginning, the right edge the end: pictures of equally long sounds that
    stand below each other are aligned. Frequencies are on the mel scale (O'Shaughnessy, Speech
    Communication, 1987), from 0 at the bottom to half the sample rate.
    """
    width, height = (min(*sizes) for sizes in zip(levels.shape[::-1], _PAINTED, strict=True))
    highest = sample_rate / 2
    edges_hz = _BREAK_HZ * ((1 + highest / _BREAK_HZ) ** np.linspace(0.0, 1.0, height + 1) - 1)
    edges = len(levels) * edges_hz / highest
    bands = [
        levels[int(low) : max(int(low) + 1, int(high))].mean(axis=0)
        for low, high in pairwise(edges)
    ]
    darkest_db = max(top_db - _RANGE_DB, _FLOOR_DB)
    scaled = (np.stack(bands[::-1]) - darkest_db) / _RANGE_DB
    grey = Image.fromarray(np.uint8(255 * scaled.clip(0.0, 1.0)))
    shades = np.asarray(grey.resize((width, height), Image.Resampling.BOX))
    colours = colormaps[_COLOURS](shades, bytes=True)[..., :3]
    stream = io.BytesIO()
    Image.fromarray(colours).save(stream, format="webp", quality=_QUALITY)
    return stream.getvalue()


def frequency_ticks(sample_rate: int) -> list[tuple[str, str]]:
    """Return round frequencies in kHz, and their height in a painted spectrogram in percent."""
    highest = np.log1p(sample_rate / 2 / _BREAK_HZ)
    heights = {khz: float(np.log1p(1000 * khz / _BREAK_HZ) / highest) for khz in _ROUND_KHZ}
    return [(f"{khz:g}", f"{100 * at:.1f}") for khz, at in heights.items() if at <= 1]


def waveform_outline(samples: Samples, full_scale: float) -> str:
    """Return the outline of the first channel as an SVG path, 400 wide and 100 high.

    Each of 400 columns reaches from its lowest to its highest sample; `full_scale` is at the top.
    """
    columns = min(WAVE_COLUMNS, samples.shape[1])
    starts = np.arange(columns) * samples.shape[1] // columns
    heights = [f.reduceat(samples[0], starts) / full_scale for f in (np.maximum, np.minimum)]
    upper, lower = (np.rint(WAVE_HEIGHT / 2 * (1 - h)).astype(int) for h in heights)
    across = np.rint(np.arange(columns) * WAVE_COLUMNS / columns).astype(int)
    there = [f"{x} {y}" for x, y in zip(across, upper, strict=True)]
    # A line that silence would leave without any height is one unit high.
    back = [f"{x} {y + 1}" for x, y in zip(across[::-1], lower[::-1], strict=True)]
    return f"M{'L'.join([*there, *back])}Z"
