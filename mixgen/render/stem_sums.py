"""The file of a mixture as the sum of those of its stems, for published sets."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from mixgen.audio.encoded import EncodedFile
from mixgen.audio.formats import SampleFormat, file_samples, file_steps
from mixgen.core.errors import InputError
from mixgen.manifest.mixture import Mixture

_CLOSE = 1e-5  # to the sum of the stems, full scale 1.0, as in the scripts of FUSS
_CLOSE_TO_LOUD = 1e-4  # of a sample


def _total_of(
    files: Iterable[EncodedFile], mixture: Mixture, sample_format: SampleFormat
) -> NDArray[np.int32]:
    """Return the sum of the stems of a mixture in steps of their format: (channels, frames)."""
    total = np.zeros((mixture.channels, mixture.frames), np.int32)
    for file in files:
        total += file_steps(file.samples, sample_format)
    return total


def sum_of_files(
    files: Iterable[EncodedFile], mixture: Mixture, sample_format: SampleFormat
) -> EncodedFile:
    """Return the file of the mixture whose samples are the sums of those of its stems."""
    total = _total_of(files, mixture, sample_format)
    # A file of floats goes on beyond full scale; it holds the steps up to twice of it.
    highest = 2 ** (sample_format.bits - (sample_format.subtype != "FLOAT"))
    if not -highest <= total.min() <= total.max() < highest:
        raise InputError(
            f"The stems of mixture {mixture.id} sum to more than full scale, so no file holds "
            "their sum: import it without --fixed."
        )
    return EncodedFile(file_samples(total, sample_format), mixture.sample_rate, sample_format)


def corrected(
    whole: EncodedFile,
    files: Iterable[EncodedFile],
    mixture: Mixture,
    sample_format: SampleFormat,
) -> EncodedFile:
    """Return the file of the mixture, or the sum of its stems where it is not close to that."""
    total = _total_of(files, mixture, sample_format)
    if is_close_to_sum(file_steps(whole.samples, sample_format), total, sample_format):
        return whole
    cut = cut_to_full_scale(total, sample_format)
    return EncodedFile(file_samples(cut, sample_format), mixture.sample_rate, sample_format)


def is_close_to_sum(
    steps: NDArray[np.int32], total: NDArray[np.integer], sample_format: SampleFormat
) -> bool:
    """Return whether no sample is off the sum x of the stems by more than 1e-5 + 1e-4 |x|."""
    limit = _CLOSE / sample_format.step + _CLOSE_TO_LOUD * np.abs(total)
    return bool((np.abs(steps - total) <= limit).all())


def cut_to_full_scale(total: NDArray[np.integer], sample_format: SampleFormat) -> NDArray[np.int32]:
    """Return steps of a format without those beyond full scale."""
    highest = 2 ** (sample_format.bits - 1)
    return np.asarray(np.clip(total, -highest, highest - 1), np.int32)
