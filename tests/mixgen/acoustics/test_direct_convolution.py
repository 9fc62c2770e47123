"""The fast convolution against numpy's direct one, after rounding downwards to 16 bits."""

import numpy as np
import pytest

from mixgen.acoustics.direct_convolution import convolve_directly
from mixgen.audio.formats import FORMATS, rounded_samples


def _steps(signal: np.ndarray) -> np.ndarray:
    return rounded_samples(signal[np.newaxis], FORMATS["wav16"], down=True)[:, 0]


def _response(random: np.random.Generator, taps: int) -> np.ndarray:
    return random.standard_normal(taps) * np.exp(-np.arange(taps) / (taps / 9)) * 0.03


@pytest.mark.parametrize("bits", [None, 16])
def test_steps_are_those_of_numpy(bits: int | None) -> None:
    """Products of 16-bit samples are exact, and some of them on a step."""
    random = np.random.default_rng(3)
    samples = np.round(2**15 * 0.05 * random.standard_normal(12000)) / 2**15
    samples[3000:9000] = 0.0
    response = _response(random, 1500)
    if bits:
        response = 10 * np.round(2**15 * response) / 2**15
    expected = np.convolve(samples, response)
    found = convolve_directly(samples, response)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13)
    np.testing.assert_array_equal(_steps(found), _steps(expected))


def test_a_few_taps_at_a_distance() -> None:
    """Every product is a whole step here, which a fast convolution misses by 1e-17."""
    random = np.random.default_rng(4)
    samples = random.integers(-900, 900, 5000) / 2**15
    response = np.zeros(700)
    response[[5, 320, 600]] = 1.0, -2.0, 4.0
    expected = np.convolve(samples, response)
    np.testing.assert_array_equal(convolve_directly(samples, response), expected)


def test_nothing_sounds_before_the_source_and_after_its_decay() -> None:
    samples, response = np.zeros(9000), _response(np.random.default_rng(5), 800)
    samples[4000:4100] = 0.3
    found = convolve_directly(samples, response)
    assert not found[:4000].any()
    assert not found[4100 + 799 :].any()
    assert len(found) == 9000 + 799
    assert not convolve_directly(np.zeros(10), response).any()
    assert not convolve_directly(samples, np.zeros(10)).any()
