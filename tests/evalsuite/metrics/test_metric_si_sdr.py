"""SI-SDR and SNR against published values, other implementations and closed forms."""

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalsuite.metrics import evaluate
from evalsuite.metrics.outcome import Missing, Reason
from evalsuite.metrics.si_sdr import si_sdr, snr
from tests.evalsuite.metrics.conftest import Array, Pair

# The pair in the doctests of torchmetrics, which print its values.
TARGET = np.array([[3.0, -0.5, 2.0, 7.0]])
PREDICTION = np.array([[2.5, 0.0, 2.0, 8.0]])


def test_torchmetrics_published_values() -> None:
    assert si_sdr(reference=TARGET, estimate=PREDICTION) == pytest.approx(15.0918, abs=5e-5)
    with_means = si_sdr(reference=TARGET, estimate=PREDICTION, zero_mean=False)
    assert with_means == pytest.approx(18.4030, abs=5e-5)
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


@pytest.fixture
def correlated() -> Pair:
    """References and estimates (2, time), with offsets, of sources that are not orthogonal."""
    rng = np.random.default_rng(0)
    references = rng.standard_normal((2, 8000)) + np.array([[0.1], [-0.2]])
    references[1] += 0.3 * references[0]
    return references, references + 0.3 * references[::-1] + 0.2 * rng.standard_normal((2, 8000))


def ratios(references: Array, estimates: Array) -> list[Mapping[str, float | None]]:
    scores = evaluate(
        references=references[:, None],
        estimates=list(estimates[:, None]),
        mixture=references.sum(axis=0)[None],
        sample_rate=8000,
        metrics=["si_sdr", "si_sdr_nozm", "si_bss", "sd_sdr", "snr"],
    )
    return [reference.values for reference in scores.references]


def test_si_sdr_with_means_and_si_sir_are_those_of_fast_bss_eval(correlated: Pair) -> None:
    oracle = pytest.importorskip("fast_bss_eval", reason="fast_bss_eval is the oracle here")
    ours = ratios(*correlated)
    for zero_mean, column in ((False, "si_sdr_nozm"), (True, "si_sdr")):
        sdr, sir, _, _ = oracle.si_bss_eval_sources(*correlated, zero_mean=zero_mean)
        np.testing.assert_allclose([row[column] for row in ours], sdr, atol=1e-9)
    np.testing.assert_allclose([row["si_sir"] for row in ours], sir, atol=1e-9)


def test_interference_and_artifacts_add_up_to_the_residual(correlated: Pair) -> None:
    """As the paper defines them; SAR of fast_bss_eval has the interference in its numerator."""
    for row in ratios(*correlated):
        sdr, sir, sar = (10 ** (-(row[name] or 0) / 10) for name in ("si_sdr", "si_sir", "si_sar"))
        assert sir + sar == pytest.approx(sdr, rel=1e-12)


def test_sd_sdr_is_snr_less_the_lack_of_level(correlated: Pair) -> None:
    references, estimates = correlated
    gains = (references * estimates).sum(axis=1) / (references**2).sum(axis=1)
    for row, gain in zip(ratios(references, estimates), gains, strict=True):
        assert row["sd_sdr"] == pytest.approx((row["snr"] or 0) + 20 * np.log10(gain))
