"""BSS Eval version 3, "sources": SDR, SIR and SAR after a 512-tap distortion filter.

E. Vincent, R. Gribonval, C. Fevotte, "Performance measurement in blind audio source separation",
IEEE Trans. ASLP 14(4), 2006. The estimate is projected on the span of its own reference delayed
by 0 to 511 samples, and on the span of all references with these delays:

    estimate = own + interference + artifacts
    SDR = |own|^2 / |estimate - own|^2
    SIR = |own|^2 / |all - own|^2
    SAR = |all|^2 / |estimate - all|^2

The matrices of the normal equations depend on the references alone, so they are factorised once
per item, for all estimates and for the mixture. Energies are those of explicit residuals in the
frequency domain (Parseval); the transform is long enough for linear convolutions.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import fft, linalg

from evalsuite.metrics.item import Array, ScoringItem, full_scale
from evalsuite.metrics.metric import ReferenceMetric, mean_over_channels
from evalsuite.metrics.outcome import Missing, Reason, Score, Scores, decibels
from evalsuite.metrics.si_sdr import FLOOR_DB
from mixgen.core.vocabulary import SOUND_TASKS, SPEECH_TASKS

TAPS = 512

# With a condition number near 1 / eps, rounding errors of the normal equations lie this deep.
LIMIT_DB = 150.0

Spectrum = NDArray[np.complex128]
COLUMNS = ("sdr_bss512", "sir_bss512", "sar_bss512")


@dataclass(frozen=True)
class NormalEquations:
    """A factorised Gram matrix of delayed signals.

    Attributes:
        factor: upper Cholesky factor, or the matrix itself if it has none.
        route: "cholesky", "loaded cholesky" or "lstsq".
    """

    factor: Array
    route: str

    @classmethod
    def of(cls, gram: Array) -> "NormalEquations":
        """Factorise `gram` (n, n); only its lower triangle is read."""
        loading = np.finfo(np.float64).eps * float(np.trace(gram))
        for route, load in (("cholesky", 0.0), ("loaded cholesky", loading)):
            try:
                loaded = gram + load * np.eye(len(gram)) if load else gram
                # The matrix is symmetric, and its transpose has the memory order that LAPACK needs.
                return cls(linalg.cho_factor(loaded.T, check_finite=False)[0], route)
            except linalg.LinAlgError:
                continue
        return cls(np.tril(gram) + np.tril(gram, -1).T, "lstsq")

    def solve(self, right: Array) -> Array:
        """Return the least-squares solution for one right-hand side, shape (n,)."""
        if self.route == "lstsq":
            solution: Array = linalg.lstsq(self.factor, right)[0]
            return solution
        return np.asarray(linalg.cho_solve((self.factor, False), right, check_finite=False))


class DelaySpans:
    """The spans of references delayed by 0 to TAPS - 1 samples, to project estimates on."""

    def __init__(self, references: Array) -> None:
        """Transform the references of one channel, shape (n_src, time), none of them silent."""
        self.n_fft = int(fft.next_fast_len(references.shape[-1] + TAPS - 1, real=True))
        scaled = np.concatenate([full_scale(r[None])[0] for r in references])
        self.spectra: Spectrum = fft.rfft(scaled, self.n_fft)  # (n_src, frequency)
        self.gram = self._gram()

    def _gram(self) -> Array:
        """Return inner products of delayed references, (n_src * TAPS,) * 2, lower blocks only."""
        n_src = len(self.spectra)
        gram = np.zeros((n_src * TAPS, n_src * TAPS))
        for i, row in enumerate(self.spectra):
            for j, column in enumerate(self.spectra[: i + 1]):
                lags = fft.irfft(row.conj() * column, self.n_fft)
                negative = lags[-np.arange(TAPS)]  # lag 0, -1, ..., -(TAPS - 1)
                block = linalg.toeplitz(lags[:TAPS], negative)
                gram[i * TAPS : (i + 1) * TAPS, j * TAPS : (j + 1) * TAPS] = block
        return gram

    @cached_property
    def joint(self) -> NormalEquations:
        """The span of all references."""
        return NormalEquations.of(self.gram)

    @cached_property
    def single(self) -> list[NormalEquations]:
        """The span of each single reference."""
        if len(self.spectra) == 1:
            return [self.joint]
        starts = range(0, len(self.gram), TAPS)
        return [NormalEquations.of(self.gram[k : k + TAPS, k : k + TAPS]) for k in starts]

    @property
    def routes(self) -> set[str]:
        """The factorisations that were used: `NormalEquations.route` of every span."""
        return {equations.route for equations in (self.joint, *self.single)}

    def scores(self, own: int, estimate: Array) -> tuple[Score, Score, Score]:
        """Return SDR, SIR, SAR in dB of an estimate (time,) of reference number `own`."""
        spectrum = fft.rfft(*full_scale(estimate), self.n_fft)
        products = fft.irfft(self.spectra.conj() * spectrum, self.n_fft)[:, :TAPS]
        on_own = self._filtered(self.single[own].solve(products[own])[None], slice(own, own + 1))
        on_all = self._filtered(self.joint.solve(products.reshape(-1)).reshape(-1, TAPS))
        return (
            self._ratio(on_own, spectrum - on_own),
            self._ratio(on_own, on_all - on_own),
            self._ratio(on_all, spectrum - on_all),
        )

    def _filtered(self, filters: Array, which: slice = slice(None)) -> Spectrum:
        """Filter the chosen references and add them up: (n, TAPS) to (frequency,)."""
        summed: Spectrum = (fft.rfft(filters, self.n_fft) * self.spectra[which]).sum(axis=0)
        return summed

    def _ratio(self, target: Spectrum, residual: Spectrum) -> Score:
        target_energy, residual_energy = self._energy(target), self._energy(residual)
        return decibels(target=target_energy, residual=residual_energy, limit_db=LIMIT_DB)

    def _energy(self, spectrum: Spectrum) -> float:
        """Return the energy over time of a real signal, from the positive half of its spectrum."""
        power = spectrum.real**2 + spectrum.imag**2
        once = power[0] + (power[-1] if self.n_fft % 2 == 0 else 0.0)  # bins without a mirror image
        return float((2.0 * power.sum() - once) / self.n_fft)


def _score_channel(item: ScoringItem, channel: int, index: int, estimate: Array) -> Scores:
    if estimate.size < TAPS:
        detail = f"{estimate.size} samples; the filter alone has {TAPS}"
        return dict.fromkeys(COLUMNS, Missing(Reason.TOO_SHORT, detail))
    active = np.asarray(item.references[:, channel].any(axis=-1))
    if not active[index]:
        return dict.fromkeys(COLUMNS, Missing(Reason.SILENT_REFERENCE))
    if not estimate.any():
        return dict.fromkeys(COLUMNS, Missing(Reason.SILENT_ESTIMATE))
    own = int(active[:index].sum())  # silent references are not in the spans
    scores = dict(zip(COLUMNS, item.shared(_spans)[channel].scores(own, estimate), strict=True))
    if active.sum() == 1:
        scores["sir_bss512"] = Missing(Reason.ONE_REFERENCE)
    return scores


def _spans(item: ScoringItem) -> list[DelaySpans]:
    """Return one set of spans per channel; note if a matrix was not positive definite."""
    channels = np.moveaxis(item.references, 1, 0)  # (channels, n_src, time)
    spans = [DelaySpans(channel[channel.any(axis=-1)]) for channel in channels]
    routes = set[str]().union(*(span.routes for span in spans if len(span.spectra)))
    if routes - {"cholesky"}:
        item.notes["bss512_solver"] = ", ".join(sorted(routes))
    return spans


METRICS = (
    ReferenceMetric(
        name="bss512",
        columns=COLUMNS,
        score=mean_over_channels(_score_channel),
        unit="dB",
        tasks=SPEECH_TASKS | SOUND_TASKS,
        parameters={
            "taps": TAPS,
            "delays": "0 to 511 samples, causal",
            "window": "whole item",
            "channels": "mean of mono values",
            "limit_db": LIMIT_DB,
        },
        source="Vincent, Gribonval, Fevotte, IEEE TASLP 14(4), 2006; BSS Eval 3 sources",
        floor=FLOOR_DB,
        improvements=("sdr_bss512", "sir_bss512"),
    ),
)
