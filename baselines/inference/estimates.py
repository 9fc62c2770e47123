"""Estimates of one mixture: computing them, their names, their files and their peak."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from baselines.inference.counted import silence_inactive
from baselines.inference.device import device_of
from baselines.inference.long import separate_long
from baselines.separator import Separator
from mixgen.audio.formats import FORMATS
from mixgen.audio.read import read_audio
from mixgen.core.errors import InputError
from mixgen.core.progress import print_status

FORMAT = FORMATS["wav_float"]


def finite_estimates(
    separator: Separator, mixture: NDArray[Any], inputs: Mapping[str, NDArray[Any]]
) -> NDArray[np.float32]:
    """Return the estimates (n_src, channels, time) of a mixture (channels, time).

    Where the separator estimates the number of sources, estimates without a source are silent.

    Args:
        separator: in evaluation mode.
        mixture: at the separator's sample rate.
        inputs: what the separator gets beside it, without a batch axis.

    Raises:
        InputError: an estimate is not finite.
    """
    device = device_of(separator)

    def batch_of_one(samples: NDArray[Any]) -> Tensor:
        return torch.from_numpy(samples.astype(np.float32))[None].to(device)

    given = {name: batch_of_one(signal) for name, signal in inputs.items()}
    whole = batch_of_one(mixture)
    separated = separate_long(separator, whole, given)
    silence_inactive(separator, whole, separated)
    estimates = separated[0].cpu().numpy()
    if not np.isfinite(estimates).all():
        raise InputError(
            "The estimates hold NaN or infinite samples: check the mixture and the training of "
            "the separator."
        )
    return estimates


def numbered_names(n_src: int) -> list[str]:
    """Return the names of estimates whose order means nothing: est1, est2, ..."""
    return [f"est{number}" for number in range(1, n_src + 1)]


def largest_peak(paths: Iterable[Path]) -> float:
    """Return the largest sample of the estimates, where 1 is full scale; report what clips."""
    peaks = {path: float(np.abs(read_audio(path)[0]).max()) for path in paths}
    clipping = [path for path, peak in peaks.items() if peak > 1]
    if clipping:
        loudest = max(clipping, key=peaks.__getitem__)
        print_status(
            f"{len(clipping)} of {len(peaks)} estimates go beyond full scale, which players clip: "
            f"{loudest} peaks at {peaks[loudest]:.2f}. The files hold all of it (32-bit float)."
        )
    return max(peaks.values(), default=0.0)
