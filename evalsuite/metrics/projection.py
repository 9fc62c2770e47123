"""Projections of estimates on the spans of delayed references, and the energies of what remains.

BSS Eval (Vincent, Gribonval, Fevotte, IEEE Trans. ASLP 14(4), 2006) splits an estimate into what
distortion filters of 512 taps make of its own reference, what they make of all references beyond
that, and the rest. Signals are far longer than the filters, so correlations and filtered signals
are computed in short blocks (overlap-save), in bounded memory.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from evalsuite.metrics.block_toeplitz import EPSILON, BlockToeplitz, Spectrum
from evalsuite.metrics.item import Array, peak_exponent
from evalsuite.metrics.si_sdr import energy

TAPS = 512
BLOCK = 4096
HOP = BLOCK - TAPS + 1
# Blocks that are transformed together: few, so that spectra stay in the processor's cache.
GROUP = 4
# A channel that differs from a multiple of another by this share of its energy is that multiple.
SAME = 1e-28
# Of solutions of nearly singular equations.
REFINEMENTS = 2
# Energies from inner products are used where their rounding errors stay below this share of them.
TOLERANCE = 1e-8
# The powers of two between an estimate and its reference that energies can hold.
LARGEST_EXPONENT = 400


@dataclass(frozen=True)
class Energies:
    """Energies of the parts of estimates, over channels and time, (n_est,) each.

    `own` is the projection of an estimate on the span of its own reference, `every` that on the
    span of all references.
    """

    reference: Array
    own: Array
    every: Array
    estimate_minus_reference: Array
    estimate_minus_own: Array
    estimate_minus_every: Array
    every_minus_own: Array
    own_minus_reference: Array

    def of(self, number: int) -> "Energies":
        """Return the energies of one estimate, each an array of one number."""
        return Energies(*(getattr(self, field.name)[number] for field in fields(self)))


@dataclass(frozen=True)
class Projection:
    """Estimates with the filters that project them; n signals span the delayed references.

    Attributes:
        signals: that span, (n, time).
        equations: the inner products of the signals at every delay.
        estimates: (n_est, channels, time).
        references: of the estimates, at their scale, (n_est, channels, time).
        products: of signals at every delay and estimates, (n_est, channels, n, TAPS).
        own: filters of the signals of the own reference, (n_est, channels, n, TAPS).
        every: filters of all signals, (n_est, channels, n, TAPS).
        identity: filters that give the references, (n_est, channels, n, TAPS).
    """

    signals: Array
    equations: BlockToeplitz
    estimates: Array
    references: Array
    products: Array
    own: Array
    every: Array
    identity: Array

    def energies(self) -> Energies:
        """Return the energies of whole signals."""
        products = self._from_products(self.equations, self.products, slice(None))
        return products or self._from_signals(slice(None))

    def energies_of_frame(self, start: int, stop: int) -> Energies:
        """Return the energies of the samples from `start` to `stop`, as if nothing was beside them.

        The filters' tails beyond `stop` are included.
        """
        frame, n_signals = slice(start, stop), len(self.signals)
        estimates = self.estimates[..., frame].reshape(-1, stop - start)
        signals = self.signals[:, frame]
        sums = correlations(signals, np.concatenate([signals, estimates]))
        equations = BlockToeplitz(sums[:, :n_signals])
        products = sums[:, n_signals:].swapaxes(0, 1).reshape(self.products.shape)
        return self._from_products(equations, products, frame) or self._from_signals(frame)

    def _from_products(
        self, equations: BlockToeplitz, products: Array, window: slice
    ) -> Energies | None:
        """Return energies from inner products alone; None where these lose too many digits."""
        filters = np.stack([self.own, self.every, self.identity])
        own, every, identity = zip(filters, equations.multiply(filters), strict=True)

        def between(a: tuple[Array, Array], b: tuple[Array, Array]) -> Array:
            """Return the energies of the differences of two parts."""
            return _inner(a[0] - b[0], a[1] - b[1])

        estimates, references = self.estimates[..., window], self.references[..., window]
        whole, of_own, of_every = _energy(estimates), _inner(*own), _inner(*every)
        from_filters = {
            "own": of_own,
            "every": of_every,
            "estimate_minus_own": whole - 2.0 * _inner(self.own, products) + of_own,
            "estimate_minus_every": whole - 2.0 * _inner(self.every, products) + of_every,
            "every_minus_own": between(every, own),
            "own_minus_reference": between(own, identity),
        }
        error = 10.0 * EPSILON * (whole + equations.bound(filters).sum(axis=(0, 2)))
        one_span = {"every_minus_own"} if np.array_equal(self.every, self.own) else set()
        for name in from_filters.keys() - one_span:
            if (TOLERANCE * from_filters[name] < error).any():
                return None
        return Energies(
            reference=_energy(references),
            estimate_minus_reference=_energy(estimates - references),
            **from_filters,
        )

    @cached_property
    def _spectra(self) -> Spectrum:
        """Spectra of the filters `own` and then `every`, (frequency, filters, n)."""
        return spectra(np.stack([self.own, self.every]).reshape(-1, *self.own.shape[-2:]))

    def _from_signals(self, window: slice) -> Energies:
        """Return the energies of the parts themselves."""
        shape = (2, *self.estimates.shape[:2], -1)
        sums = np.zeros((len(fields(Energies)), len(self.estimates)))
        for first, filtered in filtered_blocks(self.signals[:, window], self._spectra):
            own, every = filtered.reshape(shape)
            estimate, reference = (
                _stretch(signals[..., window], first, first + own.shape[-1])
                for signals in (self.estimates, self.references)
            )
            parts = Energies(
                reference=reference,
                own=own,
                every=every,
                estimate_minus_reference=estimate - reference,
                estimate_minus_own=estimate - own,
                estimate_minus_every=estimate - every,
                every_minus_own=every - own,
                own_minus_reference=own - reference,
            )
            sums += [_energy(getattr(parts, field.name)) for field in fields(Energies)]
        return Energies(*sums)


@dataclass(frozen=True)
class Span:
    """The span of signals (n, time) at all delays, and its normal equations."""

    signals: Array
    equations: BlockToeplitz

    def filters(self, estimates: Array, products: Array) -> Array:
        """Return the filters that project estimates (n_est, time) on the span, (n_est, n, TAPS).

        Nearly singular equations leave more of an estimate than the projection does, so their
        solutions are refined with what they leave (corrected semi-normal equations; A. Bjorck,
        Linear Algebra and its Applications 88/89, 1987).

        Args:
            estimates: shape (n_est, time).
            products: of estimates and signals, as `correlations` returns them, (n_est, n, TAPS).
        """
        filters = self.equations.solve(products)
        if self.equations.routes - {"recursion"}:
            for _ in range(REFINEMENTS):
                filters = filters + self.equations.solve(self._left(estimates, filters))
        return filters

    def _left(self, estimates: Array, filters: Array) -> Array:
        """Return the products of the signals with what filters leave of estimates."""
        products = np.zeros_like(filters)
        for first, filtered in filtered_blocks(self.signals, spectra(filters)):
            start, stop = first - TAPS + 1, first + filtered.shape[-1]
            left = _stretch(estimates, first, stop) - filtered
            signals = _stretch(self.signals, start, stop)
            left = _stretch(left, start - first, stop - first)
            products += correlations(signals, left).swapaxes(0, 1)
        return products


class DelaySpans:
    """The spans of references delayed by 0 to TAPS - 1 samples.

    Silent channels, and channels that are a multiple of another one of the same reference, add
    nothing to a span and are left out.
    """

    def __init__(self, references: Array) -> None:
        """Correlate the references of one item, shape (n_src, channels, time)."""
        _, channels, n_samples = references.shape
        flat, exponents = _within_range(references.reshape(-1, 1, n_samples))
        self._references = flat.reshape(references.shape)
        self._exponents = exponents.reshape(-1, channels)
        used, self._identity = _basis(self._references)
        signals = _chosen(flat[:, 0], used)
        self._joint = Span(signals, BlockToeplitz(correlations(signals, signals)))
        ends = np.searchsorted(used // channels, np.arange(len(references) + 1))
        self._mine = [slice(*pair) for pair in pairwise(ends)]  # the signals of each reference
        self._own = {
            source: self._alone(mine)
            for source, mine in enumerate(self._mine)
            if mine.start < mine.stop
        }

    def _alone(self, mine: slice) -> Span:
        signals = self._joint.signals[mine]
        if len(signals) == len(self._joint.signals):
            return self._joint
        return Span(signals, BlockToeplitz(self._joint.equations.correlations[mine, mine]))

    @property
    def routes(self) -> set[str]:
        """How the normal equations were solved: `BlockToeplitz.routes` of every span."""
        spans = (self._joint, *self._own.values())
        return set[str]().union(*(span.equations.routes for span in spans))

    def project(self, estimates: Mapping[int, Array]) -> Projection:
        """Find the filters of estimates.

        Args:
            estimates: number of a reference that is not silent to its estimate, (channels, time).
        """
        owners = list(estimates)
        signals, exponents = _within_range(np.stack(list(estimates.values())))
        n_est, channels, n_samples = signals.shape
        rows = signals.reshape(-1, n_samples)
        products = np.ascontiguousarray(correlations(self._joint.signals, rows).swapaxes(0, 1))
        every = self._joint.filters(rows, products)
        own = np.zeros_like(every)
        for number, source in enumerate(owners):
            mine, these = self._mine[source], slice(number * channels, (number + 1) * channels)
            own[these, mine] = self._own[source].filters(rows[these], products[these, mine])
        shape = (n_est, channels, *every.shape[1:])
        gains = self._exponents[owners] - exponents[:, None]
        gains = np.clip(gains, -LARGEST_EXPONENT, LARGEST_EXPONENT)[..., None]
        identity = np.zeros(shape)
        identity[..., 0] = np.ldexp(self._identity[owners], gains)
        references = _chosen(self._references, owners)
        return Projection(
            signals=self._joint.signals,
            equations=self._joint.equations,
            estimates=signals,
            references=np.ldexp(references, gains) if gains.any() else references,
            products=products.reshape(shape),
            own=own.reshape(shape),
            every=every.reshape(shape),
            identity=identity,
        )

    def energies(self, estimates: Mapping[int, Array]) -> dict[int, Energies]:
        """Return the energies of whole signals, for estimates as in `project`."""
        energies = self.project(estimates).energies()
        return {owner: energies.of(number) for number, owner in enumerate(estimates)}


def _within_range(signals: Array) -> tuple[Array, NDArray[np.intp]]:
    """Scale signals (n, channels, time) whose energies could overflow or vanish; copy no others.

    Returns:
        The signals, and the powers of two by which they were divided, (n,).
    """
    exponents = np.array([peak_exponent(signal) for signal in signals], dtype=np.intp)
    exponents[abs(exponents) <= LARGEST_EXPONENT // 4] = 0
    if not exponents.any():
        return signals, exponents
    return np.ldexp(signals, -exponents[:, None, None]), exponents


def _chosen(signals: Array, numbers: Sequence[int] | NDArray[np.intp]) -> Array:
    """Return `signals[numbers]`, without a copy if these are all."""
    return signals if np.array_equal(numbers, range(len(signals))) else signals[numbers]


def _energy(signals: Array) -> Array:
    """Return energies per estimate of (n_est, channels, time)."""
    return np.asarray(np.einsum("ect,ect->e", signals, signals))


def _inner(x: Array, y: Array) -> Array:
    """Return inner products per estimate of (n_est, channels, n, TAPS)."""
    return np.asarray(np.einsum("ecnl,ecnl->e", x, y))


def _basis(references: Array) -> tuple[NDArray[np.intp], Array]:
    """Choose channels of references (n_src, channels, time) from which all channels follow.

    Returns:
        Numbers of the chosen channels, counted over all references, and the coefficients
        (n_src, channels, n_chosen) that give every channel from them.
    """
    n_src, channels, _ = references.shape
    chosen: list[int] = []
    coefficients = np.zeros((n_src, channels, n_src * channels))
    for source, reference in enumerate(references):
        mine: list[int] = []
        for channel, samples in enumerate(reference):
            if not samples.any():
                continue
            for other in mine:
                like = reference[other]
                gain = (samples @ like) / (like @ like)
                if energy(samples - gain * like) <= SAME * energy(samples):
                    coefficients[source, channel, source * channels + other] = gain
                    break
            else:
                mine.append(channel)
                coefficients[source, channel, source * channels + channel] = 1.0
        chosen += [source * channels + channel for channel in mine]
    return np.array(chosen, dtype=np.intp), coefficients[..., chosen]


def correlations(x: Array, y: Array) -> Array:
    """Return sums over t of x_i(t) y_j(t + lag), (n_x, n_y, TAPS), of (n_x, time), (n_y, time)."""
    sums = np.zeros((BLOCK // 2 + 1, len(x), len(y)), dtype=complex)
    for first in _groups(x.shape[-1]):
        of_x = fft.rfft(_windows(x, first, HOP), BLOCK, axis=0)  # (frequency, n_x, blocks)
        of_y = fft.rfft(_windows(y, first, BLOCK), BLOCK, axis=0)
        sums += np.matmul(of_x.conj(), of_y.swapaxes(1, 2))
    return np.ascontiguousarray(fft.irfft(sums, BLOCK, axis=0)[:TAPS].transpose(1, 2, 0))


def spectra(filters: Array) -> Spectrum:
    """Return the spectra of filters (n_filtered, n, TAPS) for `filtered_blocks`."""
    return np.ascontiguousarray(fft.rfft(filters, BLOCK).transpose(2, 0, 1))


def filtered_blocks(signals: Array, filters: Spectrum) -> Iterator[tuple[int, Array]]:
    """Yield (first sample, filtered signals) along time, tails of TAPS - 1 samples included.

    Args:
        signals: (n, time).
        filters: their `spectra`, (frequency, n_filtered, n).
    """
    length = signals.shape[-1] + TAPS - 1
    for first in _groups(length):
        windows = _windows(signals, first, BLOCK, past=TAPS - 1)
        spectrum = fft.rfft(windows, axis=0)  # (frequency, n, blocks)
        blocks = fft.irfft(np.matmul(filters, spectrum), BLOCK, axis=0)[TAPS - 1 :]
        start = first * HOP
        yield start, blocks.transpose(1, 2, 0).reshape(filters.shape[1], -1)[:, : length - start]


def _groups(length: int) -> Iterable[int]:
    """Return the first block of every group of blocks that cover `length` samples."""
    return range(0, -(-length // HOP), GROUP)


def _windows(signals: Array, first: int, width: int, *, past: int = 0) -> Array:
    """Cut a group of blocks, HOP apart, out of (n, time) after `past` zeros; (width, n, blocks)."""
    n_blocks = min(GROUP, -(-(signals.shape[-1] + past) // HOP) - first)
    start = first * HOP - past
    stretch = _stretch(signals, start, start + (n_blocks - 1) * HOP + width)
    windows = np.lib.stride_tricks.sliding_window_view(stretch, width, axis=-1)[:, ::HOP]
    return windows.transpose(2, 0, 1)


def _stretch(signals: Array, start: int, stop: int) -> Array:
    """Return the samples from `start` to `stop`, with zeros where a signal has none."""
    inside, before = signals[..., max(start, 0) : stop], max(-start, 0)
    if inside.shape[-1] == stop - start:
        return inside
    padded = np.zeros((*signals.shape[:-1], stop - start))  # np.pad takes longer to begin
    padded[..., before : before + inside.shape[-1]] = inside
    return padded
