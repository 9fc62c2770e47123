"""Signals to degrade, shape (channels, time)."""

from typing import Protocol

import numpy as np
import pytest
from scipy.signal import butter, sosfilt

from mixgen.audio.read import Samples


class Syllables(Protocol):
    """Makes low-passed noise that swells three times a second, at a peak of 0.5."""

    def __call__(self, channels: int, frames: int, sample_rate: int) -> Samples: ...


class Sine(Protocol):
    """Makes one second of a sine in one channel."""

    def __call__(
        self, frequency_hz: float, sample_rate: int, amplitude: float = 0.5
    ) -> Samples: ...


@pytest.fixture(scope="session")
def syllables() -> Syllables:
    """A signal with the dynamics of speech."""

    def make(channels: int, frames: int, sample_rate: int) -> Samples:
        noise = np.random.RandomState(0).standard_normal((channels, frames))
        low = sosfilt(butter(1, 500, fs=sample_rate, output="sos"), noise, axis=1)
        low *= 0.2 + np.abs(np.sin(2 * np.pi * 3 * np.arange(frames) / sample_rate))
        return np.asarray(0.5 * low / np.abs(low).max())

    return make


@pytest.fixture(scope="session")
def sine() -> Sine:
    """A sine of one second."""

    def make(frequency_hz: float, sample_rate: int, amplitude: float = 0.5) -> Samples:
        phase = 2 * np.pi * frequency_hz * np.arange(sample_rate) / sample_rate
        return np.asarray(amplitude * np.sin(phase)[np.newaxis])

    return make
