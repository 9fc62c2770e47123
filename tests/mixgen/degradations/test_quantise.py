"""Quantisation: the grid, and the error with and without dither."""

import numpy as np
import pytest

from mixgen.audio.formats import FORMATS, from_grid, to_grid
from mixgen.degradations.quantise import Quantise

COUNT = 100_000


def error_steps(value_steps: float, dither: str, bits: int = 16) -> np.ndarray:
    """Return the errors, in steps, of a constant that lies between two words."""
    step = 2.0 ** (1 - bits)
    samples = np.full((1, COUNT), value_steps * step)
    rounded = Quantise(name="quantise", bits=bits, dither=dither, seed=5).apply(samples, 16000)
    return (rounded - samples)[0] / step


@pytest.mark.parametrize("bits", [8, 16, 24])
def test_samples_are_rounded_to_the_nearest_step_without_dither(bits: int) -> None:
    step = 2.0 ** (1 - bits)
    samples = np.random.RandomState(0).uniform(-0.9, 0.9, (2, 5000))
    rounded = Quantise(name="quantise", bits=bits).apply(samples, 16000)
    np.testing.assert_array_equal(rounded / step, np.rint(rounded / step))
    assert step / 2 * 0.99 < np.abs(rounded - samples).max() <= step / 2


def test_16_bits_give_the_samples_of_a_16_bit_file() -> None:
    samples = np.random.RandomState(0).uniform(-0.9, 0.9, (2, 5000))
    rounded = Quantise(name="quantise", bits=16).apply(samples, 16000)
    in_file = from_grid(to_grid(samples, FORMATS["flac16"]), FORMATS["flac16"])
    np.testing.assert_array_equal(rounded, in_file)


def test_words_end_at_full_scale() -> None:
    samples = np.array([[1.0, 1.5, -1.0, -1.5]])
    for dither in ("none", "tpdf"):
        rounded = Quantise(name="quantise", bits=8, dither=dither).apply(samples, 16000)
        assert rounded.max() <= 127 / 128
        assert rounded.min() >= -1
    assert Quantise(name="quantise", bits=8).apply(samples, 16000).tolist() == [
        [127 / 128, 127 / 128, -1, -1]
    ]


@pytest.mark.parametrize("value_steps", [0.0, 0.25, 0.5, 10.9])
def test_the_moments_of_the_tpdf_error_do_not_depend_on_the_signal(value_steps: float) -> None:
    errors = error_steps(value_steps, "tpdf")
    # Mean 0 and power 1/4 for any value, within four standard errors.
    assert abs(errors.mean()) < 4 * 0.5 / np.sqrt(COUNT)
    assert np.mean(errors**2) == pytest.approx(1 / 4, abs=4 * 0.5 / np.sqrt(COUNT))


def test_the_error_depends_on_the_signal_without_dither() -> None:
    np.testing.assert_allclose(error_steps(0.25, "none"), -0.25)


def test_dither_is_at_most_two_steps_wide() -> None:
    errors = error_steps(0.0, "tpdf")
    assert set(np.unique(errors)) == {-1.0, 0.0, 1.0}


def test_dither_differs_by_channel_and_seed() -> None:
    silence = np.zeros((2, 1000))
    rounded = Quantise(name="quantise", bits=8, dither="tpdf", seed=1).apply(silence, 16000)
    other = Quantise(name="quantise", bits=8, dither="tpdf", seed=2).apply(silence, 16000)
    assert np.any(rounded[0] != rounded[1])
    assert np.any(rounded != other)
