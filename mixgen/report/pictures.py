"""Histograms as PNG and spectrograms as WebP images; the same numbers give the same bytes."""

import io
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from PIL import Image
from scipy.signal import ShortTimeFFT

from mixgen.audio.read import Samples

INK, QUIET, LINE = "#1c2733", "#5b6875", "#d8dee5"
REQUESTED, MEASURED = "#a9c5dc", "#0b4f7d"

_DOTS_PER_INCH = 150
_WINDOW_S = 0.032
_FLOOR_DB = -160.0
_RANGE_DB = 70.0
_BREAK_HZ = 700.0  # below, the mel scale is nearly linear
_COLOURS = "magma"
_QUALITY = 85
_PAINTED = (800, 256)  # the most pixels of a picture without axes: width, height


def draw_histogram(counts: dict[str, Any], x_label: str, y_label: str) -> bytes:
    """Draw the counts from `histogram.histogram`, with a second series as a line over the first."""
    figure, axes = _figure(3.6, 2.1)
    width, first = counts["width"], counts["first"]
    for index, (name, values) in enumerate(counts["counts"].items()):
        edges = first + width * (np.arange(len(values) + 1) - 0.5)
        line = index > 0 or name == "measured"
        color = MEASURED if line else REQUESTED
        axes.stairs(values, edges, fill=not line, color=color, linewidth=1.3, zorder=2 + index)
    _widen(axes, width)
    if width >= 1:
        axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True, steps=[1, 2, 5, 10]))
    axes.set_xlabel(x_label, fontsize=8, color=QUIET)
    axes.set_ylabel(y_label, fontsize=8, color=QUIET)
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.grid(axis="y", color=LINE, linewidth=0.6, zorder=0)
    # The field Software would hold the version of matplotlib, and so change the bytes with it.
    return _encoded(figure, format="png", metadata={"Software": None})


def _widen(axes: Axes, width: float) -> None:
    """Leave half a bin free at both ends, and show a width of at least five bins."""
    low, high = axes.dataLim.intervalx
    free = max(width / 2, (5 * width - (high - low)) / 2)
    # Values that are never negative need no space below zero.
    left = low - free if low < -width / 2 else max(low - free, -0.6 * width)
    axes.set_xlim(left, high + free)


def level_picture(samples: Samples, sample_rate: int) -> NDArray[np.float64]:
    """Return the levels of the first channel in dB, shape (frequency, time), windows of 32 ms."""
    n_fft = max(2, round(_WINDOW_S * sample_rate))
    window = np.hanning(n_fft)
    transform = ShortTimeFFT(window, hop=max(1, n_fft // 4), fs=sample_rate, scale_to="magnitude")
    signal = np.pad(samples[0], (0, max(0, n_fft - samples.shape[1])))
    magnitude = np.abs(transform.stft(signal))  # (frequency, time)
    return np.asarray(20.0 * np.log10(np.maximum(magnitude, 10.0 ** (_FLOOR_DB / 20.0))))


def paint_spectrogram(levels: NDArray[np.float64], top_db: float, sample_rate: int) -> bytes:
    """Paint levels from `level_picture` without axes, in the colours of `draw_spectrogram`.

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
    scaled = (np.stack(bands[::-1]) - _darkest_db(top_db)) / _RANGE_DB
    grey = Image.fromarray(np.uint8(255 * scaled.clip(0.0, 1.0)))
    shades = np.asarray(grey.resize((width, height), Image.Resampling.BOX))
    colours = colormaps[_COLOURS](shades, bytes=True)[..., :3]
    stream = io.BytesIO()
    Image.fromarray(colours).save(stream, format="webp", quality=_QUALITY)
    return stream.getvalue()


def _darkest_db(top_db: float) -> float:
    return max(top_db - _RANGE_DB, _FLOOR_DB)


def draw_spectrogram(
    levels: NDArray[np.float64], top_db: float, duration_s: float, sample_rate: int
) -> bytes:
    """Draw levels from `level_picture`, 70 dB up to `top_db`; silence has the darkest colour."""
    figure, axes = _figure(3.2, 1.9)
    darkest_db = _darkest_db(top_db)
    axes.imshow(
        levels,
        extent=(0.0, duration_s, 0.0, sample_rate / 2000.0),
        vmin=darkest_db,
        vmax=darkest_db + _RANGE_DB,
        origin="lower",
        aspect="auto",
        cmap=_COLOURS,
    )
    axes.set_xlabel("time [s]", fontsize=8, color=QUIET)
    axes.set_ylabel("frequency [kHz]", fontsize=8, color=QUIET)
    # WebP is a tenth of the size of PNG; its losses do not matter here.
    return _encoded(figure, format="webp", pil_kwargs={"quality": _QUALITY})


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), dpi=_DOTS_PER_INCH, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.tick_params(labelsize=7.5, colors=QUIET, length=2, labelcolor=INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(LINE)
    return figure, axes


def _encoded(figure: Figure, **options: Any) -> bytes:
    stream = io.BytesIO()
    figure.savefig(stream, **options)
    return stream.getvalue()
