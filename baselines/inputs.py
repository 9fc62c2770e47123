"""The signals that a separator gets beside the mixture, which it names in `Separator.inputs`.

- references (batch, n_src, channels, time): for oracles;
- far_end (batch, channels, time): the sum of what the loudspeakers play, whose echoes are in the
  mixture; silence where no far end talks;
- enrolment (batch, n_src, channels, time_e): another recording of each target, of any length;
  shorter ones are followed by zeros. The estimates are in the order of the targets.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from baselines.separator import Separator
from mixgen.audio.read import to_channels
from mixgen.core.errors import InputError
from mixgen.dataset import MixtureItem
from mixgen.manifest.file import Manifest
from mixgen.manifest.mixture import Mixture, file_name
from mixgen.sets.rendered import RenderedSet

Samples = NDArray[np.floating[Any]]


def enrolment_files(mixture: Mixture) -> list[str]:
    """Return the name of the enrolment of each target, in their order, whether it exists or not."""
    source_of = mixture.source_of
    return [file_name(source_of[target].name, "enrolment") for target in mixture.targets]


def check_inputs(separator: Separator, manifest: Manifest, split: str | None) -> None:
    """Check that a split has what the separator gets beside the mixture.

    A mixture without a far end is one in which only the near end talks, if another one of the
    manifest, in any split, has a far end.

    Raises:
        InputError: it has not.
    """
    if "far_end" in separator.inputs and not any(m.far_end_files for m in manifest.mixtures):
        raise InputError(
            "The separator needs the far end, which no mixture of this set has: use a set with "
            "sources of the role far_end, such as that of the recipe echo."
        )
    if "enrolment" not in separator.inputs:
        return
    for mixture in manifest.of_split(split):
        lacking = set(enrolment_files(mixture)) - set(mixture.file_names)
        if lacking:
            raise InputError(
                f"The separator needs an enrolment of each target, and mixture {mixture.id} has no "
                f"{min(lacking)}: use a set whose targets have an `enrolment`, such as that of the "
                "recipe speech_enrolment."
            )


def load_inputs(inputs: Sequence[str], rendered: RenderedSet, mixture: Mixture) -> dict[str, Any]:
    """Read the inputs of a mixture of a rendered set, shapes as above without the batch axis.

    Raises:
        InputError: a file cannot be read.
    """
    readers: dict[str, Callable[[], Samples]] = {
        "references": lambda: rendered.load_references(mixture.id),
        "far_end": lambda: rendered.load_far_end(mixture.id),
        "enrolment": lambda: side_by_side(
            [rendered.load_source(mixture.id, name) for name in enrolment_files(mixture)],
            mixture.channels,
        ),
    }
    return {name: readers[name]() for name in inputs}


def inputs_of(inputs: Sequence[str], item: MixtureItem) -> dict[str, Samples]:
    """Return the inputs of a mixture in memory, shapes as above without the batch axis."""
    readers: dict[str, Callable[[], Samples]] = {
        "references": lambda: item.references,
        "far_end": lambda: np.zeros_like(item.mixture) if item.far_end is None else item.far_end,
        "enrolment": lambda: side_by_side(enrolments_of(item), item.record.channels),
    }
    return {name: readers[name]() for name in inputs}


def enrolments_of(item: MixtureItem) -> list[Samples]:
    """Return the enrolment of each target of a mixture in memory, (1, time_e) each."""
    names = [file.name for file in item.record.source_files if file.part == "enrolment"]
    signal_of = dict(zip(names, item.enrolments, strict=True))
    return [signal_of[name] for name in enrolment_files(item.record)]


def side_by_side(signals: Sequence[Samples], channels: int) -> Samples:
    """Return recordings (channels, time) in one array (n_src, channels, time), as long as any.

    Shorter ones are followed by zeros: what a system makes of one then depends on no other.
    """
    longest = max((signal.shape[-1] for signal in signals), default=0)
    together = np.zeros((len(signals), channels, longest))
    for row, signal in zip(together, signals, strict=True):
        row[:, : signal.shape[-1]] = to_channels(np.asarray(signal, np.float64), channels)
    return together


def unpadded(recording: Samples) -> Samples:
    """Return a recording (channels, time) without the zeros at its end; of silence, one sample."""
    sounding = np.flatnonzero(recording.any(axis=0))
    return recording[:, : sounding[-1] + 1 if len(sounding) else 1]


def looped(signal: Samples, start: int, frames: int) -> Samples:
    """Return `frames` samples from `start` on of a signal that starts again at its end."""
    return signal.take(np.arange(start, start + frames), axis=-1, mode="wrap")


def silent_inputs(separator: Separator, mixture: Tensor) -> dict[str, Tensor]:
    """Return silence of the right shape for every input of the separator, as long as the mixture.

    Args:
        separator: whose inputs to make.
        mixture: (batch, channels, time).
    """
    of_sources = mixture.new_zeros(mixture.shape[0], separator.n_src, *mixture.shape[1:])
    return {
        name: mixture.new_zeros(mixture.shape) if name == "far_end" else of_sources
        for name in separator.inputs
    }


def cut_inputs(inputs: Mapping[str, Tensor], samples: slice) -> dict[str, Tensor]:
    """Return the inputs for a part of the mixture: the same part, and whole enrolments."""
    return {
        name: signal if name == "enrolment" else signal[..., samples]
        for name, signal in inputs.items()
    }
