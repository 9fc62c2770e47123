"""Spectrograms: loud sounds are bright, and silence has the darkest colour at any scale."""

import io

import numpy as np
import pytest
from PIL import Image

from mixgen.report.pictures import draw_spectrogram, level_picture, paint_spectrogram

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


def _painted(samples: np.ndarray, top_db: float) -> np.ndarray:
    """Return the brightness of the picture without axes, shape (height, width)."""
    painted = paint_spectrogram(level_picture(samples, RATE), top_db, RATE)
    with Image.open(io.BytesIO(painted)) as picture:
        return np.asarray(picture.convert("L"))


def test_a_click_is_painted_where_it_is_in_time() -> None:
    samples = np.zeros((1, 2 * RATE))
    samples[0, round(1.5 * RATE)] = 1.0
    pixels = _painted(samples, float(level_picture(samples, RATE).max()))
    brightest = pixels.sum(axis=0).argmax() / pixels.shape[1]
    assert brightest == pytest.approx(0.75, abs=0.01)


@pytest.mark.parametrize("hertz", [250.0, 1000.0, 3000.0])
def test_a_tone_is_painted_at_its_frequency_in_mel(hertz: float) -> None:
    samples = np.sin(2 * np.pi * hertz * np.arange(RATE) / RATE)[None]
    pixels = _painted(samples, float(level_picture(samples, RATE).max()))
    above_the_bottom = 1 - pixels.sum(axis=1).argmax() / pixels.shape[0]
    mel, highest = (2595 * np.log10(1 + f / 700) for f in (hertz, RATE / 2))
    assert above_the_bottom == pytest.approx(mel / highest, abs=0.02)


def test_pictures_share_their_scale() -> None:
    noise = 0.1 * np.random.default_rng(0).standard_normal((1, RATE))
    top_db = float(level_picture(noise, RATE).max())
    assert _painted(0.01 * noise, top_db).mean() < 0.6 * _painted(noise, top_db).mean()
