"""Level rules against Scaper's own loudness and against closed forms."""

import numpy as np
import pytest

from mixgen.levels import energy_db, integrated_lufs
from mixgen.scene import load_scaper

CASES = [
    (rate, frames, channels)
    for rate in (8000, 16000, 44100, 48000)
    for frames in (1, 7, 799, 4000, 4001, 22050, 66150)
    for channels in (1, 2)
]


@pytest.mark.parametrize(("rate", "frames", "channels"), CASES)
def test_lufs_is_scapers(rate: int, frames: int, channels: int) -> None:
    scaper = load_scaper()
    random = np.random.default_rng(frames + rate + channels)
    samples = 0.1 * random.standard_normal((channels, frames)) * np.hanning(frames + 2)[1:-1]
    expected = scaper.audio.get_integrated_lufs(samples.T, rate)
    assert integrated_lufs(samples, rate) == pytest.approx(expected, abs=1e-9)


def test_lufs_gates_the_quiet_half_as_scaper_does() -> None:
    scaper = load_scaper()
    samples = np.random.default_rng(0).standard_normal((2, 96000)) * 0.1
    samples[:, 48000:] *= 1e-2
    expected = scaper.audio.get_integrated_lufs(samples.T, 16000)
    assert integrated_lufs(samples, 16000) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("frames", [1, 4000, 16000])
@pytest.mark.parametrize("level", [0.0, 1e-6])
def test_lufs_of_near_silence_is_the_floor(frames: int, level: float) -> None:
    assert integrated_lufs(np.full((1, frames), level), 8000) == -70.0


def test_energy_rule_is_the_mean_power() -> None:
    time = np.arange(8000) / 8000
    sine = 0.5 * np.sin(2 * np.pi * 100 * time)[None]
    assert energy_db(sine, 8000) == pytest.approx(10 * np.log10(0.125), abs=1e-9)
    assert energy_db(np.full((2, 10), 0.1), 8000) == pytest.approx(-20.0, abs=1e-9)


def test_energy_rule_gives_silence_the_floor() -> None:
    assert energy_db(np.zeros((1, 5)), 8000) == -70.0
