"""Spectrograms: loud sounds are bright, and silence has the darkest colour at any scale."""

import io

import numpy as np
import pytest
from PIL import Image

from mixgen.report.pictures import draw_spectrogram, level_picture

RATE = 8000


def _brightness(samples: np.ndarray, top_db: float | None = None) -> np.ndarray:
    """Return the brightness, 0 to 255, of pixels well inside the axes, shape (height, width)."""
    levels = level_picture(samples, RATE)
    drawn = draw_spectrogram(levels, levels.max() if top_db is None else top_db, 1.0, RATE)
    with Image.open(io.BytesIO(drawn)) as picture:
        pixels = np.asarray(picture.convert("L"))
    height, width = pixels.shape
    return pixels[height // 4 : height // 2, width // 4 : -width // 8]


@pytest.mark.parametrize("top_db", [None, -30.0, -100.0])
def test_silence_is_dark(top_db: float | None) -> None:
    assert _brightness(np.zeros((1, RATE)), top_db).max() < 10


@pytest.mark.parametrize("level", [0.5, 1e-4])
def test_noise_is_brighter_than_silence_at_any_level(level: float) -> None:
    noise = level * np.random.default_rng(0).standard_normal((1, RATE))
    noise[:, RATE // 2 :] = 0.0
    pixels = _brightness(noise)
    third = pixels.shape[1] // 3
    assert pixels[:, :third].mean() > 80
    assert pixels[:, -third:].max() < 10
