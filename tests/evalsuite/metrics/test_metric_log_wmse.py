"""LogWMSE against the package log-wmse-audio-quality, and closed forms."""

import math

import numpy as np
import pytest

from evalsuite.metrics.log_wmse import impulse_response, log_wmse
from evalsuite.metrics.outcome import Missing, Reason
from tests.evalsuite.metrics.conftest import Array

BEST = -4 * math.log(1e-8)

# What log-wmse-audio-quality 0.2.0 gives for `scene(rate, silent=...)`; its samples are float32.
PACKAGE = {
    (44_100, False): 20.611231,
    (44_100, True): 18.089579,
    (48_000, False): 23.958710,
    (48_000, True): 22.149981,
    (16_000, False): 22.133844,
    (16_000, True): 20.182215,
    (8_000, False): 22.949097,
    (8_000, True): 19.905546,
}


def scene(rate: int, *, silent: bool) -> dict[str, Array]:
    """Make 2 s of reference, estimate and mixture: red noise without its mean."""
    red = np.cumsum(np.random.default_rng(rate).standard_normal((3, 2 * rate)), axis=1)
    red -= red.mean(axis=1, keepdims=True)
    reference = 0.0 * red[0] if silent else 1e-3 * red[0]
    return {
        "reference": reference,
        "estimate": reference + 1e-4 * red[1],
        "mixture": reference + 1e-3 * red[2],
    }


@pytest.mark.parametrize(("rate", "silent"), PACKAGE)
def test_equals_the_package(rate: int, silent: bool) -> None:
    found = log_wmse(**scene(rate, silent=silent), sample_rate=rate)
    assert found == pytest.approx(PACKAGE[rate, silent], abs=1e-4)


def test_the_weighting_is_that_of_the_package() -> None:
    """Taps of filter_ir.pkl, which was made in float32: all 4000 differ by 1.9e-8 at most."""
    taps = impulse_response()
    stored = {
        1900: -0.0018948982616801887,
        1990: -0.01674159095736282,
        1998: 0.3875357122592409,
        1999: 0.7688241610547457,
        2000: 0.3875357122592408,
        2010: -0.009864644365741557,
        2100: -0.0019020964114522495,
        3000: 9.780996308752847e-09,
    }
    assert taps.shape == (4000,)
    assert {k: taps[k] for k in stored} == pytest.approx(stored, abs=3e-8)


def test_example_of_the_package() -> None:
    """A tenth of the mixture where there should be silence: the README says about 18.42."""
    mixture = np.random.default_rng(0).uniform(-1.0, 1.0, 44_100)
    found = log_wmse(
        reference=0.0 * mixture, estimate=0.1 * mixture, mixture=mixture, sample_rate=44_100
    )
    assert found == pytest.approx(-4 * math.log(0.01 + 1e-8), abs=1e-6)


@pytest.mark.parametrize("gain", [0.5, 1.1, 2.0, 100.0, 1e160])
def test_a_wrong_gain_is_an_error_of_that_level(gain: float) -> None:
    mixture = scene(44_100, silent=False)["mixture"]
    found = log_wmse(
        reference=mixture, estimate=gain * mixture, mixture=mixture, sample_rate=44_100
    )
    # The part of the error that is below the tolerance does not count.
    assert found == pytest.approx(-8 * math.log(abs(gain - 1)), abs=1e-3)


def test_silence_has_no_value_where_the_reference_sounds() -> None:
    signals = scene(44_100, silent=False) | {"estimate": np.zeros(88_200)}
    assert log_wmse(**signals, sample_rate=44_100) == Missing(Reason.SILENT_ESTIMATE)


@pytest.mark.parametrize("level", [1e-160, 1e-9, 1e9, 1e160])
def test_a_common_gain_changes_nothing(level: float) -> None:
    signals = scene(44_100, silent=False)
    plain = log_wmse(**signals, sample_rate=44_100)
    scaled = log_wmse(**{k: level * v for k, v in signals.items()}, sample_rate=44_100)
    assert scaled == pytest.approx(plain, abs=1e-9)


def test_perfect_and_inaudible_errors_have_the_best_value() -> None:
    signals = scene(44_100, silent=True)
    mixture = signals["mixture"]
    for error in (0.0 * mixture, 1e-5 * mixture, 1e-200 * mixture):
        found = log_wmse(
            reference=0.0 * mixture, estimate=error, mixture=mixture, sample_rate=44_100
        )
        assert found == pytest.approx(BEST)


def test_a_silent_mixture_has_no_level_to_compare_with() -> None:
    signals = scene(44_100, silent=False) | {"mixture": np.zeros(88_200)}
    found = log_wmse(**signals, sample_rate=44_100)
    assert isinstance(found, Missing)
    assert found.reason is Reason.NOT_APPLICABLE


@pytest.mark.parametrize("rate", [8_000, 44_100, 48_000])
def test_one_sample_has_a_value(rate: int) -> None:
    one = np.ones(1)
    found = log_wmse(reference=one, estimate=0.5 * one, mixture=one, sample_rate=rate)
    assert found == pytest.approx(-8 * math.log(0.5), abs=1e-3)
