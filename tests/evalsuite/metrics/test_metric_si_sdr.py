"""SI-SDR and SNR against published values, other implementations and closed forms."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalsuite.metrics.outcome import Missing, Reason
from evalsuite.metrics.si_sdr import si_sdr, snr
from tests.evalsuite.metrics.conftest import Array

# The pair in the doctests of torchmetrics, which print its values.
TARGET = np.array([[3.0, -0.5, 2.0, 7.0]])
PREDICTION = np.array([[2.5, 0.0, 2.0, 8.0]])


def test_torchmetrics_published_values() -> None:
    assert si_sdr(reference=TARGET, estimate=PREDICTION) == pytest.approx(15.0918, abs=5e-5)
    assert snr(reference=TARGET, estimate=PREDICTION) == pytest.approx(16.1805, abs=5e-5)


def test_equals_fast_bss_eval_with_means_removed(talkers: Array) -> None:
    oracle = pytest.importorskip("fast_bss_eval", reason="fast_bss_eval is the oracle here")
    mixture = talkers.sum(axis=0) + 0.01
    theirs = oracle.si_sdr(talkers[:, 0], np.tile(mixture, (2, 1)), zero_mean=True)
    ours = [si_sdr(reference=reference, estimate=mixture) for reference in talkers]
    np.testing.assert_allclose(ours, theirs, atol=1e-9)


@given(st.floats(1e-6, 1e6), st.sampled_from([1.0, -1.0]), st.floats(-1.0, 1.0))
@settings(max_examples=30, deadline=None)
def test_si_sdr_ignores_level_sign_and_offset(gain: float, sign: float, offset: float) -> None:
    rng = np.random.default_rng(0)
    reference, noise = rng.standard_normal((2, 1, 500))
    plain = si_sdr(reference=reference, estimate=reference + 0.1 * noise)
    changed = si_sdr(reference=reference, estimate=sign * gain * (reference + 0.1 * noise) + offset)
    assert changed == pytest.approx(plain, abs=1e-6)


@given(st.floats(-60.0, 60.0))
@settings(max_examples=30, deadline=None)
def test_known_noise_level(level_db: float) -> None:
    """Reference and noise without a mean on disjoint samples: the ratio is exact."""
    reference = np.array([[1.0, -1.0, 0.0, 0.0]])
    noise = 10 ** (-level_db / 20) * np.array([[0.0, 0.0, 1.0, -1.0]])
    assert si_sdr(reference=reference, estimate=reference + noise) == pytest.approx(level_db)
    assert snr(reference=reference, estimate=reference + noise) == pytest.approx(level_db)


def test_sign_flip_costs_snr_only() -> None:
    flipped = -PREDICTION
    same = si_sdr(reference=TARGET, estimate=PREDICTION)
    assert si_sdr(reference=TARGET, estimate=flipped) == pytest.approx(same)
    value = snr(reference=TARGET, estimate=flipped)
    assert isinstance(value, float)
    assert value < -5.0


def test_channels_are_one_vector() -> None:
    """One of two equal channels at half its level: 3/4 fits both, 1/4 is error in each."""
    reference = np.tile(np.random.default_rng(1).standard_normal(400), (2, 1))
    estimate = reference * np.array([[1.0], [0.5]])
    assert si_sdr(reference=reference, estimate=estimate) == pytest.approx(20 * np.log10(3.0))


@pytest.mark.parametrize("gain", [1.0, 3.0, -0.1, 1e-5])
def test_perfect_has_no_value(gain: float, talkers: Array) -> None:
    perfect = si_sdr(reference=talkers[0], estimate=gain * talkers[0])
    assert perfect == Missing(Reason.PERFECT)
    assert snr(reference=talkers[0], estimate=talkers[0]) == Missing(Reason.PERFECT)


def test_silence_is_a_reason(talkers: Array) -> None:
    silence = np.zeros_like(talkers[0])
    constant = np.full_like(silence, 0.1)
    for nothing in (silence, constant):
        assert si_sdr(reference=nothing, estimate=talkers[0]) == Missing(Reason.SILENT_REFERENCE)
        assert si_sdr(reference=talkers[0], estimate=nothing) == Missing(Reason.SILENT_ESTIMATE)
    assert snr(reference=silence, estimate=talkers[0]) == Missing(Reason.SILENT_REFERENCE)
    assert snr(reference=talkers[0], estimate=silence) == 0.0


def test_orthogonal_estimate_has_no_value() -> None:
    reference, estimate = np.array([[1.0, -1.0, 0.0, 0.0]]), np.array([[0.0, 0.0, 1.0, -1.0]])
    value = si_sdr(reference=reference, estimate=estimate)
    assert value == Missing(Reason.ORTHOGONAL_ESTIMATE)
