"""One mixture with its references, checked once: the input of every metric.

A mixture may be an empty scene, without any reference. Axes: references (n_src, channels, time),
mixture and every estimate (channels, time), float64.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mixgen.core.errors import InputError
from mixgen.core.vocabulary import Kind
from mixgen.manifest.mixture import Mixture, Source

Array = NDArray[np.float64]
T = TypeVar("T")

# Powers of two nearer to one than this neither overflow nor vanish.
FAR_EXPONENT = 1000


@dataclass(frozen=True)
class ScoringItem:
    """References and mixture of one item, and results that metrics share.

    Attributes:
        references: shape (n_src, channels, time).
        mixture: shape (channels, time); silence if there is none.
        sample_rate: in Hz.
        has_mixture: whether there is one.
        record: of the mixture in its manifest (activity, transcripts, number of sources); None if
            the signals come from elsewhere.
        read: returns another file of the mixture by its name (a far-end signal, an enrolment),
            shape (channels, time).
        named: whether each estimate was made for one of the references, so that none is permuted.
        counted: whether every estimate that is not silent counts as found, because the system
            decides how many sources a mixture has.
        n_est: number of the system's estimates, missing ones included.
        notes: what a metric did differently from its definition.
    """

    references: Array
    mixture: Array
    sample_rate: int
    has_mixture: bool = True
    record: Mixture | None = None
    read: Callable[[str], Array] | None = None
    named: bool = False
    counted: bool = False
    n_est: int = 0
    notes: dict[str, str] = field(default_factory=dict)
    _shared: dict[Callable[..., Any], Any] = field(default_factory=dict, repr=False)

    def source(self, index: int) -> Source | None:
        """Return the source that a reference is of; None where it is unknown, or a sum of some."""
        return self.shared(_sources)[index]

    def kind(self, index: int) -> Kind | None:
        """Return the kind of a reference; None where it is unknown."""
        source = self.source(index)
        return source.kind if source else None

    @classmethod
    def checked(
        cls,
        *,
        references: ArrayLike,
        mixture: ArrayLike | None,
        sample_rate: int,
        record: Mixture | None = None,
        read: Callable[[str], Array] | None = None,
        named: bool = False,
        counted: bool = False,
        n_est: int = 0,
    ) -> "ScoringItem":
        """Build an item from arrays or torch tensors of any real type.

        Raises:
            InputError: a shape is wrong, an axis is empty, or a sample is not finite.
        """
        signals = as_array(references)
        item = cls(
            signals,
            np.zeros(signals.shape[1:]) if mixture is None else as_array(mixture),
            int(sample_rate),
            mixture is not None,
            record,
            read,
            named,
            counted,
            n_est,
        )
        _check(item)
        return item

    def shared(self, make: Callable[["ScoringItem"], T]) -> T:
        """Return `make(self)`, computed at the first call and cached for all estimates."""
        if make not in self._shared:
            self._shared[make] = make(self)
        value: T = self._shared[make]
        return value


def _sources(item: ScoringItem) -> list[Source | None]:
    if item.record is None:
        return [None] * len(item.references)
    source_of = item.record.source_of
    return [source_of.get(name) for name in item.record.targets]


def as_array(signals: Any) -> Array:
    """Return samples as float64, without the gradient if they are a torch tensor on any device.

    Args:
        signals: an array of any real type, a tensor, or a list of these.
    """
    return np.asarray(_detached(signals), dtype=np.float64)


def _detached(signals: Any) -> Any:
    if isinstance(signals, list | tuple):
        return [_detached(s) if hasattr(s, "detach") else s for s in signals]
    return signals.detach().cpu().double().numpy() if hasattr(signals, "detach") else signals


def full_scale(*signals: Array) -> list[Array]:
    """Scale signals by one power of two, which is exact, to a common peak from 0.5 to 1.

    Energies of finite samples then neither overflow nor vanish. Silence stays as it is.
    """
    exponent = peak_exponent(*signals)
    return [scaled(samples, -exponent) for samples in signals]


def scaled(samples: Array, exponent: int, out: Array | None = None) -> Array:
    """Multiply samples by a power of two, which is exact; `out` is where to, if it is given."""
    if abs(exponent) < FAR_EXPONENT:
        return np.multiply(samples, 2.0**exponent, out=out)
    return np.ldexp(samples, exponent, out=out)  # slower


def peak_exponent(*signals: Array) -> int:
    """Return the power of two, next above the largest magnitude in signals; 0 for silence."""
    peak = max(max(samples.max(initial=0.0), -samples.min(initial=0.0)) for samples in signals)
    return int(np.frexp(peak)[1])


def _check(item: ScoringItem) -> None:
    shape = item.references.shape
    if item.references.ndim != 3 or 0 in shape[1:]:
        raise InputError(
            f"The references have shape {shape}; allowed is (n_src, channels, time), with at least "
            "one channel and one sample: add the missing axis."
        )
    if item.mixture.shape != shape[1:]:
        raise InputError(
            f"The mixture has shape {item.mixture.shape} and the references {shape}; channels and "
            "time must be the same: cut or render them together."
        )
    if item.sample_rate <= 0:
        raise InputError(f"The sample rate is {item.sample_rate} Hz; it must be positive.")
    if not (np.isfinite(item.references).all() and np.isfinite(item.mixture).all()):
        raise InputError("A reference or the mixture holds NaN or infinity: render the set again.")
