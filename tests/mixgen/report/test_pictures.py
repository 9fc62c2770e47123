"""Spectrograms: loud sounds are bright, and silence is dark at any scale. Waveforms: their hull."""

import io
import re

import numpy as np
import pytest
from PIL import Image

from mixgen.report.pictures import (
    WAVE_COLUMNS,
    WAVE_HEIGHT,
    frequency_ticks,
    level_picture,
    paint_spectrogram,
    waveform_outline,
)

RATE = 8000


def _painted(samples: np.ndarray, top_db: float | None = None) -> np.ndarray:
    """Return the brightness of the picture, 0 to 255, shape (height, width)."""
    levels = level_picture(samples, RATE)
    painted = paint_spectrogram(levels, levels.max() if top_db is None else top_db, RATE)
    with Image.open(io.BytesIO(painted)) as picture:
        return np.asarray(picture.convert("L"))


@pytest.mark.parametrize("top_db", [None, -30.0, -100.0])
def test_silence_is_dark(top_db: float | None) -> None:
    assert _painted(np.zeros((1, RATE)), top_db).max() < 10


@pytest.mark.parametrize("level", [0.5, 1e-4])
def test_noise_is_brighter_than_silence_at_any_level(level: float) -> None:
    noise = level * np.random.default_rng(0).standard_normal((1, RATE))
    noise[:, RATE // 2 :] = 0.0
    pixels = _painted(noise)
    third = pixels.shape[1] // 3
    assert pixels[:, :third].mean() > 80
    assert pixels[:, -third:].max() < 10


def test_a_click_is_painted_where_it_is_in_time() -> None:
    samples = np.zeros((1, 2 * RATE))
    samples[0, round(1.5 * RATE)] = 1.0
    pixels = _painted(samples)
    brightest = pixels.sum(axis=0).argmax() / pixels.shape[1]
    assert brightest == pytest.approx(0.75, abs=0.01)


@pytest.mark.parametrize("hertz", [250.0, 1000.0, 3000.0])
def test_a_tone_is_painted_at_its_frequency_in_mel(hertz: float) -> None:
    samples = np.sin(2 * np.pi * hertz * np.arange(RATE) / RATE)[None]
    pixels = _painted(samples)
    above_the_bottom = 1 - pixels.sum(axis=1).argmax() / pixels.shape[0]
    mel, highest = (2595 * np.log10(1 + f / 700) for f in (hertz, RATE / 2))
    assert above_the_bottom == pytest.approx(mel / highest, abs=0.02)


def test_pictures_share_their_scale() -> None:
    noise = 0.1 * np.random.default_rng(0).standard_normal((1, RATE))
    top_db = float(level_picture(noise, RATE).max())
    assert _painted(0.01 * noise, top_db).mean() < 0.6 * _painted(noise, top_db).mean()


def test_frequencies_stand_where_tones_are_painted() -> None:
    ticks = dict(frequency_ticks(RATE))
    assert list(ticks) == ["0.1", "0.2", "0.5", "1", "2", "4"]
    assert ticks["4"] == "100.0"
    samples = np.sin(2 * np.pi * 2000 * np.arange(RATE) / RATE)[None]
    pixels = _painted(samples)
    above_the_bottom = 1 - pixels.sum(axis=1).argmax() / pixels.shape[0]
    assert float(ticks["2"]) == pytest.approx(100 * above_the_bottom, abs=2)


def test_a_waveform_reaches_from_the_lowest_to_the_highest_sample_of_each_column() -> None:
    samples = 0.5 * np.random.default_rng(1).uniform(-1, 1, (2, 10 * WAVE_COLUMNS))
    outline = waveform_outline(samples, 0.5)
    points = np.array(re.findall(r"(\d+) (\d+)", outline), int)
    assert len(points) == 2 * WAVE_COLUMNS
    columns = samples[0].reshape(WAVE_COLUMNS, 10) / 0.5
    upper, lower = points[:WAVE_COLUMNS], points[WAVE_COLUMNS:][::-1]
    np.testing.assert_array_equal(upper[:, 0], np.arange(WAVE_COLUMNS))
    half = WAVE_HEIGHT / 2
    np.testing.assert_allclose(upper[:, 1], half * (1 - columns.max(axis=1)), atol=0.51)
    np.testing.assert_allclose(lower[:, 1] - 1, half * (1 - columns.min(axis=1)), atol=0.51)


def test_a_single_sample_has_a_waveform() -> None:
    assert waveform_outline(np.ones((1, 1)), 1.0) == "M0 0L0 1Z"
