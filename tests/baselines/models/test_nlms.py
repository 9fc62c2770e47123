"""NLMS: its theory, with and without numba; its echo path, behind a delay."""

import numpy as np
import pytest
import torch
from scipy.signal import lfilter

from baselines.layers.adaptive_filter import shifted, spans
from baselines.models.nlms import Nlms, NlmsHyperparameters, nlms
from baselines.registry import build
from mixgen.audio import compiled
from mixgen.core.errors import UsageError
from tests.baselines.echoes import cancelled, echo_path, erle_db, speech_like

RUNS = 120


@pytest.fixture(params=["compiled", "numpy"])
def either_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the compiled loop, where numba is installed, and without."""
    if request.param == "numpy":
        monkeypatch.setattr("baselines.models.nlms.kernels", lambda: None)
    elif compiled.kernels() is None:
        pytest.skip("numba is not installed")


def misalignment(taps: int, mu: float, *, time: int, runs: int, seed: int = 0) -> np.ndarray:
    """Return the mean squared distance of the weights at each sample, relative to the start.

    Every regressor is independent of all others, which is what the theory is for.
    """
    rng = np.random.default_rng(seed)
    mean = np.zeros(time + 1)
    for _ in range(runs):
        path = rng.normal(size=taps)
        weights = np.zeros(taps)
        regressors = rng.normal(size=(time, taps))
        desired = regressors @ path
        mean[0] += path @ path
        for n in range(time):
            nlms(regressors[n], desired[n : n + 1], weights, mu=mu, delta=0.0, hop=taps)
            mean[n + 1] += np.square(path - weights).sum()
    return mean / mean[0]


def test_the_time_to_20_db_is_that_of_theory() -> None:
    """The misalignment decays by 1 - mu (2 - mu) / L per sample; within 2 %."""
    taps, mu = 32, 0.5
    theory = np.log(0.01) / np.log(1 - mu * (2 - mu) / taps)
    decay = misalignment(taps, mu, time=230, runs=RUNS)
    reached = int(np.flatnonzero(decay <= 0.01)[0])
    assert reached == pytest.approx(theory, rel=0.02)


@pytest.mark.parametrize("taps", [8, 16, 32])
def test_the_steady_misalignment_is_that_of_theory(taps: int) -> None:
    """Mu / (2 - mu) sv^2 / sx^2 L / (L - 2), within 0.1 dB."""
    mu, noise, rng = 0.5, 0.1, np.random.default_rng(1)
    total, count, time = 0.0, 0, 400 * taps
    path, weights = rng.normal(size=taps), np.zeros(taps)
    for _ in range(50):
        regressors = rng.normal(size=(time, taps))
        desired = regressors @ path + noise * rng.normal(size=time)
        for part in range(0, time, taps):
            chosen = slice(part, part + taps)
            flat = regressors[chosen].ravel()
            nlms(flat, desired[chosen], weights, mu=mu, delta=0.0, hop=taps)
            if count or part > 100 * taps:
                total += np.square(path - weights).sum()
                count += 1
    theory = mu / (2 - mu) * noise**2 * taps / (taps - 2)
    assert 10 * np.log10(total / count) == pytest.approx(10 * np.log10(theory), abs=0.1)


@pytest.mark.usefixtures("either_way")
def test_it_reaches_the_wiener_solution_of_a_linear_path() -> None:
    """The least squares solution of the same signals, of a path as long as the filter."""
    rng = np.random.default_rng(2)
    path = echo_path(64, rng)
    played = rng.normal(size=20000)
    heard = np.convolve(played, path)[: len(played)] + 1e-4 * rng.normal(size=len(played))
    padded = np.concatenate([np.zeros(63), played])
    rows = np.lib.stride_tricks.sliding_window_view(padded, 64)
    wiener = np.linalg.lstsq(rows, heard, rcond=None)[0]
    weights = np.zeros(64)
    nlms(padded, heard, weights, mu=0.2, delta=1e-6)
    assert np.square(weights - wiener).sum() < 1e-6 * np.square(wiener).sum()


def test_the_compiled_loop_gives_what_numpy_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    if compiled.kernels() is None:
        pytest.skip("numba is not installed")
    rng = np.random.default_rng(3)
    for taps, hop in ((1, 1), (7, 1), (130, 1), (6, 6)):
        regressors = rng.normal(size=3000 * hop + taps)
        desired = rng.normal(size=3000)
        weights = np.zeros((2, taps))
        options = {"mu": 0.7, "delta": 1e-3, "hop": hop}
        fast = nlms(regressors, desired, weights[0], **options)
        with monkeypatch.context() as without:
            without.setattr("baselines.models.nlms.kernels", lambda: None)
            slow = nlms(regressors, desired, weights[1], **options)
        np.testing.assert_allclose(fast, slow, rtol=0, atol=1e-9)
        np.testing.assert_allclose(weights[0], weights[1], rtol=0, atol=1e-9)


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("delay", [0, 3000])
def test_a_linear_echo_is_cancelled(delay: int) -> None:
    far_end, echo = speech_like(6, delay=delay)
    canceller = build("nlms", sample_rate=8000)
    estimate = cancelled(canceller, echo, far_end)
    assert erle_db(echo[32000:], estimate[32000:]) > 20


def test_without_a_far_end_nothing_changes() -> None:
    mixture = np.random.default_rng(0).normal(size=4000)
    estimate = cancelled(build("nlms"), mixture, np.zeros(4000))
    np.testing.assert_allclose(estimate, mixture, atol=1e-6)


def test_every_channel_has_its_own_filter() -> None:
    far_end, echo = speech_like(2)
    canceller = Nlms(NlmsHyperparameters(sample_rate=8000, channels=2, tail_s=0.02))
    alone = Nlms(NlmsHyperparameters(sample_rate=8000, tail_s=0.02))
    both = [torch.from_numpy(np.stack([s, s[::-1]]).copy()).float()[None] for s in (echo, far_end)]
    estimates = canceller(*both)[0, 0].numpy()
    np.testing.assert_array_equal(estimates[0], cancelled(alone, echo, far_end))
    turned = cancelled(alone, echo[::-1].copy(), far_end[::-1].copy())
    np.testing.assert_array_equal(estimates[1], turned)


def test_a_far_end_of_another_length_is_refused() -> None:
    with pytest.raises(UsageError, match=r"far end has shape \(1, 1, 5\), the mixture \(1, 1, 9\)"):
        build("nlms")(torch.zeros(1, 1, 9), torch.zeros(1, 1, 5))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"mu": 2.0}, "mu is 2.0; it can be above 0 and below 2"),
        ({"tail_s": 0.0}, "tail_s is 0.0"),
        ({"longest_delay_s": 3.0}, "longest_delay_s is 3.0"),
        ({"pre_emphasis": 1.0}, "pre_emphasis is 1.0"),
    ],
)
def test_values_out_of_range_are_refused(change: dict[str, float], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        NlmsHyperparameters(**change)


def test_a_filter_that_moves_keeps_the_echo_path() -> None:
    taps = np.arange(1.0, 6.0)
    np.testing.assert_array_equal(shifted(taps, 2), [3, 4, 5, 0, 0])
    np.testing.assert_array_equal(shifted(taps, -2), [0, 0, 1, 2, 3])
    np.testing.assert_array_equal(shifted(taps, 9), np.zeros(5))
    np.testing.assert_array_equal(shifted(taps, -9), np.zeros(5))
    assert list(spans(np.array([0, 0, 5, 5]), 10, 37)) == [(0, 20, 0), (20, 37, 5)]


def test_pre_emphasis_is_taken_back() -> None:
    """The output of a filter that hears nothing is the mixture, whatever the emphasis."""
    mixture = lfilter([1.0], [1.0, -0.9], np.random.default_rng(1).normal(size=2000))
    for emphasis in (0.0, 0.95):
        canceller = Nlms(NlmsHyperparameters(pre_emphasis=emphasis))
        np.testing.assert_allclose(cancelled(canceller, mixture, 0 * mixture), mixture, atol=1e-5)
