"""Band limitation against the formula of the Butterworth response, and with sines."""

import numpy as np
import pytest
from numpy.typing import NDArray

from mixgen.core.errors import InputError
from mixgen.degradations.band import Band
from tests.mixgen.degradations.conftest import Sine

RATE = 16000


def response(band: Band, sample_rate: int = RATE) -> tuple[NDArray[np.float64], NDArray]:
    """Return frequencies in Hz and the complex response to an impulse at time 0."""
    frames = sample_rate
    impulse = np.zeros((1, frames))
    impulse[0, frames // 2] = 1.0
    spectrum = np.fft.rfft(np.fft.ifftshift(band.apply(impulse, sample_rate)[0]))
    return np.fft.rfftfreq(frames, 1 / sample_rate), spectrum


def butterworth_power(hz: NDArray, edge_hz: float, order: int, sample_rate: int) -> NDArray:
    """Return the squared magnitude of a low-pass after the bilinear transform."""
    warped = np.tan(np.pi * hz / sample_rate) / np.tan(np.pi * edge_hz / sample_rate)
    return 1 / (1 + warped ** (2 * order))


@pytest.mark.parametrize("sample_rate", [16000, 44100])
@pytest.mark.parametrize("order", [1, 3, 8])
def test_low_pass_is_two_butterworths_without_phase(order: int, sample_rate: int) -> None:
    hz, spectrum = response(Band(name="band", high_hz=3400, order=order), sample_rate)
    expected = butterworth_power(hz[:-1], 3400, order, sample_rate)
    np.testing.assert_allclose(spectrum[:-1].real, expected, atol=1e-5)
    np.testing.assert_allclose(spectrum.imag, 0, atol=1e-5)


def test_high_pass_and_low_pass_powers_add_up_to_one() -> None:
    hz, spectrum = response(Band(name="band", low_hz=300, order=4))
    expected = 1 - butterworth_power(hz[1:-1], 300, 4, RATE)
    np.testing.assert_allclose(spectrum[1:-1].real, expected, atol=1e-5)
    np.testing.assert_allclose(spectrum.imag, 0, atol=1e-5)


def test_edges_are_at_minus_6_db() -> None:
    hz, spectrum = response(Band(name="band", low_hz=300, high_hz=3400))
    level_db = 20 * np.log10(np.abs(spectrum))
    for edge_hz in (300, 3400):
        assert level_db[hz == edge_hz] == pytest.approx(-6.02, abs=0.01)


@pytest.mark.parametrize(
    ("frequency_hz", "lowest_db", "highest_db"),
    [(100, -400, -60), (400, -1, 0.01), (1000, -0.01, 0.01), (3000, -1, 0.01), (6800, -400, -90)],
)
def test_sines_through_a_telephone(
    frequency_hz: float, lowest_db: float, highest_db: float, sine: Sine
) -> None:
    samples = sine(frequency_hz, RATE)
    middle = slice(RATE // 4, -RATE // 4)
    filtered = Band(name="band", low_hz=300, high_hz=3400).apply(samples, RATE)[0, middle]
    level_db = 10 * np.log10(np.mean(filtered**2) / np.mean(samples[0, middle] ** 2))
    assert lowest_db <= level_db <= highest_db


@pytest.mark.parametrize("high_hz", [4000, 5000])
def test_an_edge_above_half_the_rate_removes_nothing(high_hz: float) -> None:
    samples = np.random.RandomState(0).standard_normal((2, 800))
    filtered = Band(name="band", high_hz=high_hz).apply(samples, 8000)
    np.testing.assert_array_equal(filtered, samples)


def test_a_band_with_nothing_in_it_is_refused() -> None:
    with pytest.raises(InputError, match="leaves nothing at 8000 Hz: choose a low_hz below 4000"):
        Band(name="band", low_hz=4000, high_hz=7000).apply(np.zeros((1, 100)), 8000)


def test_channels_do_not_mix() -> None:
    samples = np.random.RandomState(0).standard_normal((2, 4000))
    band = Band(name="band", low_hz=100, high_hz=2000)
    both = band.apply(samples, RATE)
    np.testing.assert_array_equal(both[1:], band.apply(samples[1:], RATE))
