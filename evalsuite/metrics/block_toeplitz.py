"""Least-squares filters: normal equations of delayed signals, whose matrix is block Toeplitz.

The matrix of inner products of n signals, each delayed by 0 to taps - 1 samples, depends on lags
alone. The recursion of Whittle (Biometrika 50, 1963) and Wiggins and Robinson (J. Geophysical
Research 70(8), 1965) finds its forward and backward predictors in O(n^3 taps^2) operations, and
with them the Gohberg-Semencul formula applies the inverse by Fourier transforms. A solution is
refined and accepted only if it solves the equations up to rounding; otherwise the matrix is built
and factorised.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import fft, linalg
from scipy.linalg import blas, lapack

from evalsuite.metrics.item import Array

Spectrum = NDArray[np.complex128]

# The recursion takes several lags in one step, so that its matrices have about this many rows.
STEP_ROWS = 8
REFINEMENTS = 3
# What a residual may be beside the right-hand side. For speech it is 1e-14, also by Cholesky.
RESIDUAL = 1e-12
EPSILON = float(np.finfo(np.float64).eps)


class BlockToeplitz:
    """The matrix G of inner products of delayed signals, and its inverse.

    Equations are solved for signals at one level, each divided by a power of two near the root of
    its energy: G = L N L, with L diagonal.

    Attributes:
        correlations: [i, j, lag] is the sum over t of x_i(t) x_j(t + lag), shape (n, n, taps).
        routes: how systems were solved: "recursion", "cholesky", "loaded cholesky" or "lstsq".
    """

    def __init__(self, correlations: Array) -> None:
        self.correlations = correlations
        self.n_signals, _, self.taps = correlations.shape
        self.routes: set[str] = set()
        energies = np.einsum("iil->il", correlations)[:, 0]
        self._level = np.ldexp(1.0, np.frexp(energies)[1] // 2)[:, None]  # L
        levelled = correlations / self._level[:, None] / self._level
        # lags -(taps - 1) to taps - 1; the correlation of j with i at -lag is that of i with j
        self._lags = np.concatenate([levelled.swapaxes(0, 1)[..., :0:-1], levelled], -1)

    def multiply(self, filters: Array) -> Array:
        """Return G times each of several stacks of filters, (..., n, taps)."""
        return np.asarray(self._multiply(filters * self._level) * self._level)

    def bound(self, filters: Array) -> Array:
        """Return upper bounds, (...), of the energies of signals after filters (..., n, taps).

        They hold whatever the signals have in common; the rounding errors of energies from inner
        products are a share of them.
        """
        # about the largest eigenvalue of N: the peak of the sum of the signals' power spectra
        norm = np.abs(np.einsum("iif->f", self._circulant)).max()
        levelled = filters * self._level
        return np.asarray(norm * np.einsum("...il,...il->...", levelled, levelled))

    def solve(self, right: Array) -> Array:
        """Return least-squares solutions x of G x = right, (n_right, n, taps) both."""
        levelled = right / self._level
        solution = self._solve_fast(levelled)
        if solution is not None:
            self.routes.add("recursion")
        else:
            self.routes.add(self._factor.route)
            columns = levelled.reshape(len(right), -1).T
            solution = self._factor.solve(columns).T.reshape(right.shape)
        return np.asarray(solution / self._level)

    @cached_property
    def _circulant(self) -> Spectrum:
        zero = np.zeros((self.n_signals, self.n_signals, 1))
        columns = [self._lags[..., self.taps - 1 :], zero, self._lags[..., : self.taps - 1]]
        return np.asarray(fft.rfft(np.concatenate(columns, axis=-1)))

    def _multiply(self, filters: Array) -> Array:
        """Return N times filters."""
        spectra = fft.rfft(filters, 2 * self.taps)
        products = np.einsum("ijf,...jf->...if", self._circulant, spectra)
        return np.asarray(fft.irfft(products, 2 * self.taps)[..., : self.taps])

    def _solve_fast(self, right: Array) -> Array | None:
        """Return solutions for N by the recursion, or None where rounding errors spoil them."""
        inverse = self._inverse
        if inverse is None:
            return None
        with np.errstate(over="ignore", invalid="ignore"):  # of a recursion that has gone astray
            solution = inverse.multiply(right)
            for _ in range(REFINEMENTS):
                residual = right - self._multiply(solution)
                if (_norms(residual) <= RESIDUAL * _norms(right)).all():
                    return solution
                solution = solution + inverse.multiply(residual)
        return None

    @cached_property
    def _inverse(self) -> "GohbergSemencul | None":
        try:
            return GohbergSemencul.of(self._lags)
        except linalg.LinAlgError:
            return None

    @cached_property
    def _factor(self) -> "Factor":
        zero = self.taps - 1
        rows = [
            [linalg.toeplitz(lags[zero:], lags[zero::-1]) for lags in row] for row in self._lags
        ]
        return Factor.of(np.block(rows))


def _norms(vectors: Array) -> Array:
    return np.asarray(np.sqrt(np.einsum("kil,kil->k", vectors, vectors)))


@dataclass(frozen=True)
class GohbergSemencul:
    """The inverse of a block Toeplitz matrix, from its two predictors of full length.

    G^-1 = L(F) E_F^-1 L(F)^T - L(B) E_B^-1 L(B)^T, where L(P) is the block lower triangular
    Toeplitz matrix whose first column is P, and B is delayed by a block.

    Attributes:
        spectra: of F and B, (steps + 1, rows, rows) each.
        errors: inverse error matrices E_F^-1 and E_B^-1, (rows, rows) each.
        per_step: lags in one block.
    """

    spectra: tuple[Spectrum, Spectrum]
    errors: tuple[Array, Array]
    per_step: int

    @classmethod
    def of(cls, lags: Array) -> "GohbergSemencul":
        """Find the predictors for correlations at lags -(taps - 1) to taps - 1, (n, n, lags).

        Raises:
            LinAlgError: the matrix is not positive definite.
        """
        n_signals, taps = len(lags), (lags.shape[-1] + 1) // 2
        if n_signals == 1:
            return cls._of_one(lags[0, 0, taps - 1 :])
        per_step = next(b for b in (8, 4, 2, 1) if b == 1 or b * n_signals <= STEP_ROWS)
        forward, backward, errors = _predictors(_blocks(lags, per_step))
        steps, rows, _ = forward.shape
        delayed = np.concatenate([np.zeros((1, rows, rows)), backward[:-1]])
        spectra = [np.asarray(fft.rfft(p, 2 * steps, axis=0)) for p in (forward, delayed)]
        inverses = [np.asarray(linalg.inv(error), np.float64) for error in errors]
        return cls((spectra[0], spectra[1]), (inverses[0], inverses[1]), per_step)

    @classmethod
    def _of_one(cls, correlation: Array) -> "GohbergSemencul":
        """Do the same for one signal, whose backward predictor is the forward one reversed."""
        taps = len(correlation)
        column = linalg.solve_toeplitz(correlation, np.eye(1, taps)[0], check_finite=False)
        if not column[0] > 0.0:
            raise linalg.LinAlgError("The matrix is not positive definite.")
        predictors = np.zeros((2, taps))
        predictors[0] = column / column[0]
        predictors[1, 1:] = predictors[0, :0:-1]
        forward, delayed = fft.rfft(predictors, 2 * taps)[..., None, None]
        error = np.array([[column[0]]])
        return cls((forward, delayed), (error, error), 1)

    def multiply(self, right: Array) -> Array:
        """Return G^-1 times each of several right sides, (n_right, n, taps)."""
        n_right, n_signals, taps = right.shape
        steps, rows = taps // self.per_step, n_signals * self.per_step
        split = right.reshape(n_right, n_signals, steps, self.per_step)
        vectors = split.transpose(2, 3, 1, 0).reshape(steps, rows, n_right)
        spectrum = fft.rfft(vectors, 2 * steps, axis=0)
        parts = []
        for predictor, error in zip(self.spectra, self.errors, strict=True):
            upper = np.matmul(predictor.conj().swapaxes(1, 2), spectrum)
            causal = fft.irfft(upper, 2 * steps, axis=0)[:steps]
            parts.append(np.matmul(predictor, fft.rfft(error @ causal, 2 * steps, axis=0)))
        product = fft.irfft(parts[0] - parts[1], 2 * steps, axis=0)[:steps]
        joined = product.reshape(steps, self.per_step, n_signals, n_right)
        return np.asarray(joined.transpose(3, 2, 0, 1).reshape(right.shape))


def _blocks(lags: Array, per_step: int) -> Array:
    """Return C(k) = G's block in row k and column 0, for k from 0 on, (steps, rows, rows).

    A row of a block is a lag and a signal, the signal changing first.
    """
    n_signals, taps = len(lags), (lags.shape[-1] + 1) // 2
    steps, inside = taps // per_step, np.arange(per_step)
    lag = np.arange(steps)[:, None, None] * per_step + inside[:, None] - inside
    blocks = lags[:, :, lag + taps - 1]  # (signal, signal, steps, lag of row, lag of column)
    rows = n_signals * per_step
    return np.asarray(blocks.transpose(2, 3, 0, 4, 1).reshape(steps, rows, rows))


def _predictors(blocks: Array) -> tuple[Array, Array, tuple[Array, Array]]:
    """Return forward and backward predictors (steps, rows, rows) and both error matrices.

    G F = (E_F, 0, ..., 0) and G B = (0, ..., 0, E_B), with F_0 = 1 and B_last = 1. Arrays hold
    transposed blocks side by side, in Fortran order: the first m blocks lie together, and BLAS
    writes into them.

    Raises:
        LinAlgError: a leading submatrix is not positive definite.
    """
    steps, rows, _ = blocks.shape
    width = steps * rows
    row = np.asfortranarray(np.concatenate(blocks[:0:-1], axis=1))  # C(steps - 1) to C(1)
    forward, backward = np.zeros((2, width, rows)).swapaxes(1, 2)
    forward[:, :rows] = backward[:, -rows:] = np.eye(rows)
    forward_error, backward_error = (blocks[0].copy(order="F") for _ in range(2))
    for known in range(rows, width, rows):
        ahead, behind = forward[:, :known], backward[:, width - known :]
        misfit = blas.dgemm(1.0, ahead, row[:, width - rows - known :], trans_b=1)
        _, of_backward, failed = lapack.dposv(backward_error, misfit.T)
        _, of_forward, also_failed = lapack.dposv(forward_error, misfit)
        if failed or also_failed:
            raise linalg.LinAlgError("The matrix is not positive definite.")
        for_backward = blas.dgemm(1.0, of_forward, ahead, trans_a=1)
        _subtract(forward[:, rows : known + rows], of_backward, behind, trans_a=1)
        backward[:, width - known - rows : width - rows] -= for_backward
        _subtract(forward_error, misfit, of_backward)
        _subtract(backward_error, misfit, of_forward, trans_a=1)
    unfolded = [p.T.reshape(steps, rows, rows) for p in (forward, backward)]
    return unfolded[0], unfolded[1], (forward_error, backward_error)


def _subtract(target: Array, a: Array, b: Array, *, trans_a: int = 0) -> None:
    """Subtract the product of two matrices from a third one, all in Fortran order, in place."""
    blas.dgemm(-1.0, a, b, beta=1.0, c=target, trans_a=trans_a, overwrite_c=1)


@dataclass(frozen=True)
class Factor:
    """A factorised symmetric matrix.

    Attributes:
        factor: upper Cholesky factor, or the matrix itself if it has none.
        route: "cholesky", "loaded cholesky" or "lstsq".
    """

    factor: Array
    route: str

    @classmethod
    def of(cls, matrix: Array) -> "Factor":
        """Factorise a matrix, (n, n)."""
        loading = EPSILON * float(np.trace(matrix))
        for route, load in (("cholesky", 0.0), ("loaded cholesky", loading)):
            try:
                loaded = matrix + load * np.eye(len(matrix)) if load else matrix
                return cls(linalg.cho_factor(loaded, check_finite=False)[0], route)
            except linalg.LinAlgError:
                continue
        return cls(matrix, "lstsq")

    def solve(self, right: Array) -> Array:
        """Return least-squares solutions for right-hand sides, (n, n_right)."""
        if self.route == "lstsq":
            solution: Array = linalg.lstsq(self.factor, right)[0]
            return solution
        return np.asarray(linalg.cho_solve((self.factor, False), right, check_finite=False))
