"""Projections of estimates on the spans of delayed references, and the energies of what remains.

BSS Eval (Vincent, Gribonval, Fevotte, IEEE Trans. ASLP 14(4), 2006) splits an estimate into what
distortion filters of 512 taps make of its own reference, what they make of all references beyond
that, and the rest. Signals are far longer than the filters, so correlations and filtered signals
are computed in short blocks (overlap-save), in bounded memory.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from evalsuite.metrics.block_toeplitz import EPSILON, BlockToeplitz, Spectrum
from evalsuite.metrics.item import Array, peak_exponent

TAPS = 512
BLOCK = 4096
HOP = BLOCK - TAPS + 1
# Blocks that are transformed together: 4 s at 44.1 kHz.
GROUP = 48
# A channel whose squared correlation with another is this near to 1 is a multiple of it.
SAME = 1e-13
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
        estimates: (n_est, channels, time).
        references: of the estimates, at their scale, (n_est, channels, time).
        products: of signals at every delay and estimates, (n_est, channels, n, TAPS).
        own: filters of the signals of the own reference, (n_est, channels, n, TAPS).
        every: filters of all signals, (n_est, channels, n, TAPS).
        identity: filters that give the references, (n_est, channels, n, TAPS).
    """

    signals: Array
    estimates: Array
    references: Array
    products: Array
    own: Array
    every: Array
    identity: Array

    @cached_property
    def _spectra(self) -> Spectrum:
        """Spectra of the filters `own` and then `every`, (frequency, filters, n)."""
        filters = np.stack([self.own, self.every]).reshape(-1, *self.own.shape[-2:])
        return np.ascontiguousarray(fft.rfft(filters, BLOCK).transpose(2, 0, 1))

    def energies(self, start: int, stop: int) -> Energies:
        """Return the energies of the samples from `start` to `stop`, as if nothing was beside them.

        The filters' tails beyond `stop` are included.
        """
        shape = (2, *self.estimates.shape[:2], -1)
        sums = np.zeros((len(fields(Energies)), len(self.estimates)))
        window = slice(start, stop)
        for first, filtered in filtered_blocks(self.signals[:, window], self._spectra):
            own, every = filtered.reshape(shape)
            here = slice(first, first + own.shape[-1])
            estimate, reference = (
                _padded(signals[..., window][..., here], own.shape[-1])
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


class DelaySpans:
    """The spans of references delayed by 0 to TAPS - 1 samples.

    Silent channels, and channels that are a multiple of another one of the same reference, add
    nothing to a span and are left out.
    """

    def __init__(self, references: Array) -> None:
        """Correlate the references of one item, shape (n_src, channels, time)."""
        n_src, channels, _ = references.shape
        flat = references.reshape(n_src * channels, -1)
        self._exponents = np.array([peak_exponent(signal) for signal in flat], dtype=int)
        scaled = np.ldexp(flat, -self._exponents[:, None])
        products = correlations(scaled, scaled)
        source = np.arange(len(flat)) // channels
        within = np.where(source[:, None] == source, products[..., 0], 0.0)
        used, self._identity = _basis(within)
        self._source = source[used]
        self._scaled = scaled.reshape(references.shape)
        self._signals = scaled[used]
        self._joint = BlockToeplitz(products[np.ix_(used, used)])
        self._own = {int(source): self._alone(source) for source in np.unique(self._source)}

    def _alone(self, source: int) -> BlockToeplitz:
        mine = self._source == source
        if mine.all():
            return self._joint
        return BlockToeplitz(self._joint.correlations[np.ix_(mine, mine)])

    @property
    def routes(self) -> set[str]:
        """How the normal equations were solved: `BlockToeplitz.routes` of every span."""
        return set[str]().union(*(span.routes for span in (self._joint, *self._own.values())))

    def project(self, estimates: Mapping[int, Array]) -> Projection:
        """Find the filters of estimates.

        Args:
            estimates: number of a reference that is not silent to its estimate, (channels, time).
        """
        owners = list(estimates)
        _, channels, _ = self._scaled.shape
        exponents = np.array([peak_exponent(estimate) for estimate in estimates.values()])
        signals = np.stack(
            [np.ldexp(e, -x) for e, x in zip(estimates.values(), exponents, strict=True)]
        )
        rows = signals.reshape(len(owners) * channels, -1)
        products = np.ascontiguousarray(correlations(self._signals, rows).swapaxes(0, 1))
        every = self._joint.solve(products)
        own = np.zeros_like(every)
        for number, source in enumerate(owners):
            mine, these = self._source == source, slice(number * channels, (number + 1) * channels)
            own[these, mine] = self._own[source].solve(products[these, mine])
        identity = np.zeros_like(every)
        gains = self._exponents.reshape(-1, channels)[owners] - exponents[:, None]
        gains = np.clip(gains, -LARGEST_EXPONENT, LARGEST_EXPONENT)
        of_channels = self._identity.reshape(-1, channels, len(self._signals))[owners]
        identity[..., 0] = np.ldexp(of_channels, gains[..., None]).reshape(len(rows), -1)
        shape = (len(owners), channels, *every.shape[1:])
        return Projection(
            signals=self._signals,
            estimates=signals,
            references=np.ldexp(self._scaled[owners], gains[..., None]),
            products=products.reshape(shape),
            own=own.reshape(shape),
            every=every.reshape(shape),
            identity=identity.reshape(shape),
        )

    def energies(self, estimates: Mapping[int, Array]) -> dict[int, Energies]:
        """Return the energies of whole signals, for estimates as in `project`."""
        projection = self.project(estimates)
        energies = self._from_products(projection)
        if energies is None:
            energies = projection.energies(0, projection.estimates.shape[-1])
        return {owner: energies.of(number) for number, owner in enumerate(estimates)}

    def _from_products(self, p: Projection) -> Energies | None:
        """Return energies from inner products alone; None where these lose too many digits."""

        def filtered(filters: Array) -> Array:
            return _inner(filters, self._joint.multiply(filters))

        whole, own, every = _energy(p.estimates), filtered(p.own), filtered(p.every)
        from_filters = {
            "own": own,
            "every": every,
            "estimate_minus_own": whole - 2.0 * _inner(p.own, p.products) + own,
            "estimate_minus_every": whole - 2.0 * _inner(p.every, p.products) + every,
            "every_minus_own": filtered(p.every - p.own),
            "own_minus_reference": filtered(p.own - p.identity),
        }
        largest = sum(_inner(f, f) for f in (p.own, p.every, p.identity))
        error = 10.0 * EPSILON * (whole + self._joint.norm * largest)
        one_span = {"every_minus_own"} if len(self._own) == 1 else set()
        for name in from_filters.keys() - one_span:
            if (TOLERANCE * from_filters[name] < error).any():
                return None
        return Energies(
            reference=_energy(p.references),
            estimate_minus_reference=_energy(p.estimates - p.references),
            **from_filters,
        )


def _energy(signals: Array) -> Array:
    """Return energies per estimate of (n_est, channels, time)."""
    return np.asarray(np.einsum("ect,ect->e", signals, signals))


def _inner(x: Array, y: Array) -> Array:
    """Return inner products per estimate of (n_est, channels, n, TAPS)."""
    return np.asarray(np.einsum("ecnl,ecnl->e", x, y))


def _basis(energies: Array) -> tuple[NDArray[np.intp], Array]:
    """Choose channels that span all channels, from their products without delay, (n, n).

    Returns:
        Numbers of the chosen channels, and the coefficients (n, n_chosen) that give every channel
        from them.
    """
    chosen: list[int] = []
    source_of: dict[int, tuple[int, float]] = {}
    for k, row in enumerate(energies):
        if row[k] == 0.0:
            continue
        same = (j for j in chosen if row[j] ** 2 >= (1.0 - SAME) * row[k] * energies[j, j])
        like = next(same, None)
        if like is None:
            chosen.append(k)
            like = k
        source_of[k] = (chosen.index(like), row[like] / energies[like, like])
    coefficients = np.zeros((len(energies), len(chosen)))
    for k, (number, coefficient) in source_of.items():
        coefficients[k, number] = coefficient
    return np.array(chosen, dtype=np.intp), coefficients


def correlations(x: Array, y: Array) -> Array:
    """Return sums over t of x_i(t) y_j(t + lag), (n_x, n_y, TAPS), of (n_x, time), (n_y, time)."""
    sums = np.zeros((BLOCK // 2 + 1, len(x), len(y)), dtype=complex)
    for first in _groups(x.shape[-1]):
        of_x = fft.rfft(_windows(x, first, HOP), BLOCK)  # (n_x, blocks, frequency)
        of_y = fft.rfft(_windows(y, first, BLOCK), BLOCK)
        sums += np.matmul(of_x.conj().transpose(2, 0, 1), of_y.transpose(2, 1, 0))
    return np.asarray(fft.irfft(sums.transpose(1, 2, 0), BLOCK)[..., :TAPS])


def filtered_blocks(signals: Array, filters: Spectrum) -> Iterator[tuple[int, Array]]:
    """Yield (first sample, filtered signals) along time, tails of TAPS - 1 samples included.

    Args:
        signals: (n, time).
        filters: (frequency, n_filtered, n) spectra of BLOCK points, of impulse responses of TAPS.
    """
    length = signals.shape[-1] + TAPS - 1
    delayed = np.pad(signals, ((0, 0), (TAPS - 1, 0)))
    for first in _groups(length):
        spectra = fft.rfft(_windows(delayed, first, BLOCK), BLOCK)  # (n, blocks, frequency)
        product = np.matmul(filters, spectra.transpose(2, 0, 1))
        blocks = fft.irfft(product.transpose(1, 2, 0), BLOCK)[..., TAPS - 1 :]
        start = first * HOP
        yield start, blocks.reshape(len(blocks), -1)[:, : length - start]


def _groups(length: int) -> Iterable[int]:
    """Return the first block of every group of blocks that cover `length` samples."""
    return range(0, -(-length // HOP), GROUP)


def _windows(signals: Array, first: int, width: int) -> Array:
    """Cut a group of blocks, HOP apart, out of (n, time), with zeros beyond the end."""
    start, n_blocks = first * HOP, min(GROUP, -(-signals.shape[-1] // HOP) - first)
    stretch = _padded(signals[:, start:], (n_blocks - 1) * HOP + width)
    return np.lib.stride_tricks.sliding_window_view(stretch, width, axis=-1)[:, ::HOP]


def _padded(samples: Array, length: int) -> Array:
    """Return `length` samples, with zeros beyond the end."""
    missing = length - samples.shape[-1]
    if missing <= 0:
        return samples[..., :length]
    return np.pad(samples, [(0, 0)] * (samples.ndim - 1) + [(0, missing)])
