"""One mixture to score: where its files are, and what is known of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from evalsuite.metrics.item import Array
from evalsuite.scoring.estimates import Estimate, load_estimate
from mixgen.audio.read import read_audio
from mixgen.core.errors import InputError
from mixgen.manifest.mixture import Mixture


@dataclass(frozen=True, kw_only=True)
class Scene:
    """The files of a mixture, its references and its estimates.

    Attributes:
        id: of the mixture.
        references: name to file, in the order of the targets.
        estimates: name to file, in the order of the system's outputs; a file may be missing, and
            None is a target without an estimate.
        mixture: the file of the mixture, if there is one.
        sample_rate: in Hz.
        duration_s: length in seconds.
        labels: name of a reference to its talker or stem.
        conditions: of each target, and of the whole under None: see `inputs.conditions_of`.
        others: name to file of what else belongs to the mixture: a far-end signal, an enrolment.
        record: of the mixture in its manifest.
        failure: why the separator failed on it.
    """

    id: str
    references: Mapping[str, Path]
    estimates: Mapping[str, Path | None]
    mixture: Path | None
    sample_rate: int
    duration_s: float
    labels: Mapping[str, str] = field(default_factory=dict)
    conditions: Mapping[str | None, dict[str, float]] = field(default_factory=dict)
    others: Mapping[str, Path] = field(default_factory=dict)
    record: Mixture | None = None
    failure: str | None = None

    def load_mixture(self) -> Array | None:
        """Return the samples of the mixture, shape (channels, time); None without a mixture."""
        return None if self.mixture is None else self._load(self.mixture)

    def load_references(self) -> Array:
        """Return the samples of the references, shape (n_src, channels, time).

        Raises:
            InputError: a file cannot be read, or has another rate or size than the others.
        """
        signals = [self._load(path) for path in self.references.values()]
        if not signals:
            mixture = self.load_mixture()
            return np.zeros((0, 1, 1) if mixture is None else (0, *mixture.shape))
        for path, signal in zip(self.references.values(), signals, strict=True):
            if signal.shape != signals[0].shape:
                raise InputError(
                    f"{path} has {signal.shape[0]} channels of {signal.shape[1]} samples, and "
                    f"another reference of {self.id} {signals[0].shape[0]} of "
                    f"{signals[0].shape[1]}: cut them to one size."
                )
        return np.stack(signals)

    def load_estimates(self) -> list[Estimate]:
        """Return each estimate, or why there is none."""
        return [
            None if path is None else load_estimate(path, self.sample_rate)
            for path in self.estimates.values()
        ]

    def read(self, name: str) -> Array:
        """Return another file of the mixture, shape (channels, time)."""
        return self._load(self.others[name])

    def _load(self, path: Path) -> Array:
        samples, rate = read_audio(path)
        if rate != self.sample_rate:
            raise InputError(
                f"{path} has {rate} Hz, and the set {self.sample_rate} Hz: resample one of them."
            )
        return samples
