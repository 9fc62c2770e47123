"""Level rules against Scaper's own loudness and against closed forms."""

import math

import numpy as np
import pytest

from mixgen.audio.levels import (
    LEVEL_RULES,
    active_energy_db,
    active_speech_level,
    energy_db,
    integrated_lufs,
)
from mixgen.scenes.scene import load_scaper

CASES = [
    (rate, frames, channels)
    for rate in (8000, 16000, 44100, 48000)
    for frames in (1, 7, 799, 4000, 4001, 22050, 66150)
    for channels in (1, 2)
]


@pytest.mark.parametrize(("rate", "frames", "channels"), CASES)
def test_lufs_agrees_with_scaper(rate: int, frames: int, channels: int) -> None:
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


def test_active_energy_skips_pauses() -> None:
    random = np.random.default_rng(1)
    speech = 0.1 * random.standard_normal((1, 8000))
    paused = np.concatenate([speech, np.zeros((1, 24000)), speech], axis=1)
    assert active_energy_db(paused, 8000) == pytest.approx(energy_db(speech, 8000), abs=1e-9)
    assert active_energy_db(np.zeros((1, 5)), 8000) == -70.0


def p56_sample_by_sample(signal: np.ndarray, rate: int) -> float:
    """ITU-T P.56 method B in the form of the standard: one sample after the other."""
    pole, hangover = math.exp(-1 / (0.03 * rate)), math.ceil(0.2 * rate)
    thresholds = [2.0**-power for power in range(1, 17)]
    active, quiet_for = [0] * 16, [hangover] * 16
    energy = first = second = 0.0
    for sample in signal:
        energy += sample * sample
        first = pole * first + (1 - pole) * abs(sample)
        second = pole * second + (1 - pole) * first
        for j, threshold in enumerate(thresholds):
            if second >= threshold:
                active[j], quiet_for[j] = active[j] + 1, 0
            elif quiet_for[j] < hangover:
                active[j], quiet_for[j] = active[j] + 1, quiet_for[j] + 1
    levels = [10 * math.log10(energy / count) for count in active if count]
    margins = [
        level - 20 * math.log10(threshold)
        for level, threshold in zip(levels, thresholds[16 - len(levels) :], strict=True)
    ]
    return float(np.interp(15.9, margins, levels))


@pytest.mark.parametrize("rate", [8000, 16000])
@pytest.mark.parametrize("gain", [1.0, 0.05])
def test_p56_agrees_with_the_algorithm_of_the_standard(rate: int, gain: float) -> None:
    random = np.random.default_rng(rate)
    bursts = np.repeat(random.random(12) > 0.4, rate // 4) * random.standard_normal(3 * rate)
    signal = gain * 0.2 * bursts
    expected = p56_sample_by_sample(signal, rate)
    assert active_speech_level(signal[None], rate) == pytest.approx(expected, abs=1e-9)


def test_p56_counts_a_pause_for_the_hangover_only() -> None:
    """One second of tone, four of silence: active for the second and 0.2 s more."""
    rate = 16000
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(rate) / rate)
    signal = np.concatenate([tone, np.zeros(4 * rate)])[None]
    energy = 10 * np.log10(np.mean(tone**2))
    # The envelope needs 3 % of the second to rise to the threshold and up to 0.1 s to fall.
    assert energy - 10 * np.log10(1.3) < active_speech_level(signal, rate)
    assert active_speech_level(signal, rate) < energy - 10 * np.log10(1.15)


@pytest.mark.parametrize("gain_db", [-30.0, -11.0, 3.0])
def test_p56_follows_the_gain(gain_db: float) -> None:
    random = np.random.default_rng(2)
    signal = 0.1 * np.repeat(random.random(40) > 0.3, 2000) * random.standard_normal(80000)
    louder = signal * 10 ** (gain_db / 20)
    difference = active_speech_level(louder[None], 8000) - active_speech_level(signal[None], 8000)
    assert difference == pytest.approx(gain_db, abs=0.1)


@pytest.mark.parametrize("rule", sorted(LEVEL_RULES))
@pytest.mark.parametrize("frames", [1, 100, 9000])
def test_every_rule_measures_short_and_silent_signals(rule: str, frames: int) -> None:
    assert LEVEL_RULES[rule](np.zeros((2, frames)), 8000) == -70.0
    level_db = LEVEL_RULES[rule](np.full((2, frames), 0.1), 8000)
    assert -70.0 <= level_db <= 0.0


def test_an_array_of_microphones_is_measured_without_surround_weights() -> None:
    samples = 0.1 * np.random.default_rng(0).standard_normal((1, 16000))
    eight = integrated_lufs(np.repeat(samples, 8, axis=0), 16000)
    assert eight == pytest.approx(integrated_lufs(samples, 16000) + 10 * math.log10(8))
