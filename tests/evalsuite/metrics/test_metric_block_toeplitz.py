"""The solver for normal equations of delayed signals, against dense solutions."""

import numpy as np
import pytest
from scipy import linalg, signal

from evalsuite.metrics.block_toeplitz import BlockToeplitz
from tests.evalsuite.metrics.conftest import Array

TAPS = 64


def correlations(signals: Array) -> Array:
    """Return [i, j, lag] = sum over t of x_i(t) x_j(t + lag)."""
    return np.array(
        [[[x[: x.size - lag] @ y[lag:] for lag in range(TAPS)] for y in signals] for x in signals]
    )


def delayed(signals: Array) -> Array:
    """Return every signal at every delay, (n * TAPS, time + TAPS)."""
    return np.array([np.pad(x, (lag, TAPS - lag)) for x in signals for lag in range(TAPS)])


@pytest.mark.parametrize("n_signals", [1, 2, 3, 5, 9])
def test_equals_a_dense_solution(n_signals: int) -> None:
    rng = np.random.default_rng(n_signals)
    noise = rng.standard_normal((n_signals, 2000))
    levels = np.logspace(0.0, 2.0, n_signals)[:, None]
    signals = levels * signal.lfilter([1.0], [1.0, -0.9], noise + 0.5 * noise[::-1])
    rows = delayed(signals)
    equations = BlockToeplitz(correlations(signals))
    gram = rows @ rows.T
    right = rng.standard_normal((4, n_signals, TAPS))
    flat = right.reshape(4, -1)
    np.testing.assert_allclose(equations.multiply(right).reshape(4, -1), flat @ gram, rtol=1e-10)
    expected = linalg.solve(gram, flat.T, assume_a="pos").T.reshape(right.shape)
    error = levels * (equations.solve(right) - expected)
    assert abs(error).max() <= 1e-11 * abs(levels * expected).max()
    assert equations.routes == {"recursion"}


def test_the_bound_is_near_the_largest_energy() -> None:
    """Of filters of one size, those of the strongest eigenvector leave most."""
    rng = np.random.default_rng(4)
    signals = signal.lfilter([1.0], [1.0, -0.9], rng.standard_normal((3, 2000)))
    rows = delayed(signals)
    values, vectors = np.linalg.eigh(rows @ rows.T)
    strongest = vectors[:, -1].reshape(1, 3, TAPS)
    assert values[-1] <= BlockToeplitz(correlations(signals)).bound(strongest) <= 6.0 * values[-1]


def test_levels_of_signals_do_not_matter() -> None:
    rng = np.random.default_rng(5)
    signals = signal.lfilter([1.0], [1.0, -0.9], rng.standard_normal((2, 2000)))
    right = rng.standard_normal((1, 2, TAPS))
    levels = 2.0 ** np.array([[-40], [60]])
    plain = BlockToeplitz(correlations(signals)).solve(right)
    scaled = BlockToeplitz(correlations(levels * signals)).solve(levels * right)
    np.testing.assert_array_equal(scaled * levels, plain)


def test_almost_singular_equations_are_solved_as_by_cholesky() -> None:
    """The energy of what the filters leave is what counts; it is that of the dense solution."""
    rng = np.random.default_rng(0)
    lowpass = signal.firwin(201, 0.3)
    signals = signal.fftconvolve(rng.standard_normal((2, 4000)), lowpass[None], "same", axes=-1)
    rows, estimate = delayed(signals), rng.standard_normal(4000 + TAPS)
    gram, right = rows @ rows.T, rows @ estimate
    assert np.linalg.cond(gram) > 5e5
    equations = BlockToeplitz(correlations(signals))
    solutions = equations.solve(right.reshape(1, 2, TAPS)).ravel(), linalg.solve(gram, right)
    residuals = [estimate - solution @ rows for solution in solutions]
    assert residuals[0] @ residuals[0] == pytest.approx(residuals[1] @ residuals[1], rel=1e-12)
    assert equations.routes == {"recursion"}


def test_singular_equations_are_solved_by_least_squares_or_loading() -> None:
    rng = np.random.default_rng(1)
    x = rng.standard_normal(1000)
    equations = BlockToeplitz(correlations(np.stack([x, -2.0 * x])))
    right = equations.multiply(rng.standard_normal((1, 2, TAPS)))
    solution = equations.solve(right)
    assert equations.routes <= {"loaded cholesky", "lstsq"}
    np.testing.assert_allclose(equations.multiply(solution), right, atol=1e-8 * abs(right).max())
