"""BSS Eval v3 against MATLAB's stored scores, mir_eval, fast_bss_eval and closed forms."""

import warnings
from collections.abc import Sequence

import numpy as np
import pytest
from scipy import signal

from evalsuite.metrics import ItemScores, evaluate, evaluate_mixture
from evalsuite.metrics.block_toeplitz import Factor
from evalsuite.metrics.bss_eval import COLUMNS
from evalsuite.metrics.projection import TAPS
from tests.evalsuite.metrics.conftest import Array, MatlabVectors

ALL_VECTORS = pytest.mark.parametrize("matlab_vectors", ["01", "02", "03"], indirect=True)


def score(references: Array, estimates: Array, names: Sequence[str] | None = None) -> ItemScores:
    """Score mono signals (n_src, time)."""
    return evaluate(
        references=references[:, None],
        estimates=list(estimates[:, None]),
        mixture=references.sum(axis=0)[None],
        sample_rate=8000,
        metrics=["bss512"],
        names=names,
    )


def values(scores: ItemScores) -> Array:
    """Return SDR, SIR, SAR as (3, n_src)."""
    return np.array([[r.values[column] for r in scores.references] for column in COLUMNS], float)


def mir_eval_scores(references: Array, estimates: Array) -> Array:
    separation = pytest.importorskip("mir_eval.separation", reason="mir_eval is the oracle here")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=FutureWarning, message="mir_eval.separation")
        scores = separation.bss_eval_sources(references, estimates, compute_permutation=False)
    return np.array(scores[:3])


@ALL_VECTORS
def test_equals_matlab(matlab_vectors: MatlabVectors) -> None:
    scores = score(matlab_vectors.references, matlab_vectors.estimates)
    assert scores.permutation == matlab_vectors.permutation
    np.testing.assert_allclose(values(scores), matlab_vectors.scores, atol=1e-6)
    assert scores.notes == {}


@pytest.mark.parametrize("matlab_vectors", ["01", "02"], indirect=True)
def test_equals_mir_eval_and_so_does_the_baseline(matlab_vectors: MatlabVectors) -> None:
    references = matlab_vectors.references
    estimates = matlab_vectors.estimates[list(matlab_vectors.permutation)]
    names = [f"s{i}" for i in range(len(references))]
    scores = score(references, estimates, names)
    mixture = np.tile(references.sum(axis=0), (len(references), 1))
    theirs = mir_eval_scores(references, estimates)
    of_mixture = mir_eval_scores(references, mixture)
    np.testing.assert_allclose(values(scores), theirs, atol=1e-6)
    gains = [[r.values[f"{column}i"] for r in scores.references] for column in COLUMNS[:2]]
    np.testing.assert_allclose(gains, (theirs - of_mixture)[:2], atol=1e-6)


def test_equals_fast_bss_eval(talkers: Array) -> None:
    oracle = pytest.importorskip("fast_bss_eval", reason="fast_bss_eval is the oracle here")
    references = talkers[:, 0]
    estimates = references + 0.3 * references[::-1] + 0.01 * np.sin(np.arange(16_000) ** 1.5)
    *theirs, permutation = oracle.bss_eval_sources(references, estimates)
    assert permutation.tolist() == [0, 1]
    np.testing.assert_allclose(values(score(references, estimates)), theirs, atol=1e-6)


def test_band_limited_references_equal_mir_eval(talkers: Array) -> None:
    """No energy above a quarter of the band: the normal equations are almost singular."""
    lowpass = signal.firwin(301, 0.25)
    references = signal.fftconvolve(talkers[:, 0], lowpass[None], "same", axes=-1)
    estimates = references + 0.3 * references[::-1] + 0.1 * talkers[::-1, 0]
    theirs = mir_eval_scores(references, estimates)
    np.testing.assert_allclose(values(score(references, estimates)), theirs, atol=1e-6)


def test_noise_after_every_delay_is_exact() -> None:
    """Noise that begins after the last delay of the reference is orthogonal to its whole span."""
    rng = np.random.default_rng(3)
    reference, noise = np.zeros((2, 6000))
    reference[:2000] = rng.standard_normal(2000)
    noise[2000 + TAPS :] = 0.05 * rng.standard_normal(4000 - TAPS)
    expected = 10 * np.log10((reference @ reference) / (noise @ noise))
    scores = score(reference[None], (reference + noise)[None]).references[0]
    assert scores.values["sdr_bss512"] == pytest.approx(expected, abs=1e-9)
    assert scores.values["sar_bss512"] == pytest.approx(expected, abs=1e-9)
    assert scores.reasons["sir_bss512"] == "one_reference"


def test_a_filter_of_512_taps_is_forgiven_and_an_early_sample_is_not() -> None:
    rng = np.random.default_rng(4)
    reference = rng.standard_normal((1, 8000))
    reference[:, -TAPS:] = 0.0
    late = np.roll(reference, TAPS - 1, axis=-1)
    early = np.roll(reference, -1, axis=-1)
    assert score(reference, late).references[0].reasons["sdr_bss512"] == "perfect"
    assert score(reference, early).references[0].values["sdr_bss512"] < 0.0


def test_a_silent_reference_is_not_in_the_span(talkers: Array) -> None:
    references = talkers[:, 0]
    silence = np.zeros((1, references.shape[1]))
    estimates = references + 0.2 * references[::-1]
    plain = score(references, estimates, ["a", "b"])
    with_silence = score(
        np.concatenate([silence, references]),
        np.concatenate([estimates[:1], estimates]),
        list("xab"),
    )
    np.testing.assert_allclose(values(with_silence)[:, 1:], values(plain), atol=1e-9)
    assert with_silence.references[0].reasons["sdr_bss512"] == "silent_reference"


def test_channels_are_averaged(talkers: Array) -> None:
    estimates = talkers + 0.2 * talkers[::-1]
    stereo = np.concatenate([talkers, talkers[:, :, ::-1]], axis=1)
    stereo_estimates = np.concatenate([estimates, 0.5 * talkers[:, :, ::-1]], axis=1)
    stereo_estimates[:, 1] += 0.1 * stereo[::-1, 1]
    both = evaluate(
        references=stereo,
        estimates=list(stereo_estimates),
        mixture=stereo.sum(axis=0),
        sample_rate=16_000,
        metrics=["bss512"],
    )
    alone = [values(score(stereo[:, c], stereo_estimates[:, c])) for c in (0, 1)]
    np.testing.assert_allclose(values(both), np.mean(alone, axis=0), atol=1e-9)


def test_equal_references_need_a_loaded_matrix_and_leave_a_note(talkers: Array) -> None:
    twice = np.concatenate([talkers[:1, 0], talkers[:1, 0]])
    scores = score(twice, twice + 0.1 * talkers[1, 0], ["a", "b"])
    alone = score(twice[:1], twice[:1] + 0.1 * talkers[1, 0])
    assert scores.notes["bss512_solver"] != "cholesky"
    sdr = scores.references[0].values["sdr_bss512"]
    assert sdr == pytest.approx(alone.references[0].values["sdr_bss512"], abs=1e-6)


def test_least_squares_where_cholesky_fails() -> None:
    indefinite = np.array([[1.0, 2.0], [2.0, 1.0]])
    equations = Factor.of(indefinite)
    assert equations.route == "lstsq"
    np.testing.assert_allclose(equations.solve(np.array([[5.0], [4.0]])), [[1.0], [2.0]])


def test_cached_baseline_gives_the_same_scores(talkers: Array) -> None:
    mixture = talkers.sum(axis=0)
    given = {
        "references": talkers,
        "mixture": mixture,
        "sample_rate": 16_000,
        "metrics": ["bss512"],
    }
    estimates = list(talkers + 0.2 * talkers[::-1])
    baseline = evaluate_mixture(**given)
    assert evaluate(**given, estimates=estimates, baseline=baseline) == evaluate(
        **given, estimates=estimates
    )
