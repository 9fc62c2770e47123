"""Unknown numbers of sources: closed forms of P-SI-SNR, and what counts as found."""

from collections.abc import Sequence

import numpy as np
import pytest

from evalsuite.metrics import evaluate
from evalsuite.metrics.counting import p_si_snr
from evalsuite.metrics.si_sdr import si_sdr
from tests.evalsuite.metrics.conftest import Array

METRICS = ["p_si_snr", "counting"]


@pytest.fixture
def references() -> Array:
    return np.random.default_rng(0).standard_normal((2, 1, 8000))


def noisy(references: Array, db: float = 17.0) -> list[Array]:
    """Estimates of this SI-SDR, whose noise is orthogonal to the reference."""
    rng = np.random.default_rng(1)
    centred = references - references.mean(axis=-1, keepdims=True)
    estimates = []
    for s in centred:
        noise = rng.standard_normal(s.shape)
        noise -= noise.mean()
        noise -= (noise * s).sum() / (s * s).sum() * s
        estimates.append(s + noise * np.linalg.norm(s) / np.linalg.norm(noise) * 10 ** (-db / 20))
    return estimates


@pytest.mark.parametrize(("n_est", "expected_db"), [(2, 17.0), (1, -6.5), (3, 4 / 3), (0, -30.0)])
def test_p_si_snr_has_its_closed_form(references: Array, n_est: int, expected_db: float) -> None:
    """The published implementation applies no penalty; these are the values of its formula."""
    estimates = [*noisy(references), np.random.default_rng(2).standard_normal((1, 8000))][:n_est]
    found = p_si_snr(references=list(references), estimates=estimates)
    assert found == pytest.approx(expected_db, abs=1e-9)


def test_leaving_out_an_estimate_gains_nothing(references: Array) -> None:
    """However bad the estimate is."""
    good, s = noisy(references)[0], references[1] - references[1].mean()
    bad = np.roll(s, 1) - (np.roll(s, 1) * s).sum() / (s * s).sum() * s + 1e-6 * s
    assert si_sdr(reference=references[1], estimate=bad) < -100
    both = p_si_snr(references=list(references), estimates=[good, bad])
    one = p_si_snr(references=list(references), estimates=[good])
    assert both == pytest.approx(one, abs=1e-9)


def counted(
    references: Array, estimates: Sequence[Array | None], mixture: Array
) -> dict[str, object]:
    scores = evaluate(
        references=references,
        estimates=estimates,
        mixture=mixture,
        sample_rate=8000,
        metrics=METRICS,
    )
    return {**scores.mixture.values, **scores.mixture.reasons}


def test_quiet_estimates_are_not_found(references: Array) -> None:
    """20 dB below the quietest reference and less."""
    first, second = noisy(references)
    quiet = 0.09 * np.random.default_rng(4).standard_normal((1, 8000))
    mixture = references.sum(axis=0)
    row = counted(references, [first, quiet, second, None], mixture)
    assert (row["count_right"], row["n_found"], row["n_extra"], row["n_missed"]) == (1, 2, 0, 0)
    assert row["p_si_snr"] == pytest.approx(17.0, abs=1e-9)
    row = counted(references, [first, 2 * quiet, second], mixture)
    assert (row["count_right"], row["n_extra"], row["over_separated"]) == (0, 1, 1)
    assert row["extra_leak_db"] == pytest.approx(-18, abs=0.5)


def test_missed_references_gain_nothing_in_the_diagnostic(references: Array) -> None:
    mixture = references.sum(axis=0)
    row = counted(references, [noisy(references)[0]], mixture)
    base = si_sdr(reference=references[0], estimate=mixture)
    assert row["si_sdri_missed_0"] == pytest.approx((17.0 - float(base)) / 2)
    assert (row["n_missed"], row["under_separated"]) == (1, 1)


def test_an_empty_scene_is_scored() -> None:
    nothing, mixture = np.zeros((0, 1, 8000)), np.random.default_rng(5).standard_normal((1, 8000))
    right = counted(nothing, [0.01 * mixture], mixture)
    assert (right["count_right"], right["n_found"]) == (1, 0)
    assert str(right["p_si_snr"]).startswith("not_applicable")
    wrong = counted(nothing, [mixture], mixture)
    assert (wrong["count_right"], wrong["n_extra"], wrong["p_si_snr"]) == (0, 1, -30.0)
    assert wrong["extra_leak_db"] == pytest.approx(0.0)


def test_a_system_that_counts_has_found_what_is_not_silent(references: Array) -> None:
    """Also far below the quietest reference, where another system would have found nothing."""
    first, second = noisy(references)
    quiet, mixture = 1e-3 * second, references.sum(axis=0)
    for counted, right in ((False, 0.0), (True, 1.0)):
        scores = evaluate(
            references=references,
            estimates=[first, quiet, 0 * first],
            mixture=mixture,
            sample_rate=8000,
            metrics=METRICS,
            counted=counted,
        )
        assert scores.mixture.values["count_right"] == right
