"""Separating one recording: of any length and sample rate, in memory or in a file."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from baselines.checkpoint import is_checkpoint, load
from baselines.inference.counted import TRUE, check_unnamed, split_count
from baselines.inference.device import choose_device, set_threads
from baselines.inference.estimates import FORMAT, finite_estimates, largest_peak, numbered_names
from baselines.inputs import side_by_side
from baselines.registry import build, names, without_training
from baselines.separator import Separator, require
from mixgen.audio.formats import write_samples
from mixgen.audio.read import as_long, read_audio, resample, to_channels
from mixgen.core.errors import InputError, UsageError
from mixgen.core.progress import print_status

_Signal = NDArray[np.float64]


def separate(
    separator: Separator,
    mixture: ArrayLike,
    *,
    sample_rate: int,
    far_end: ArrayLike | None = None,
    enrolment: ArrayLike | Sequence[ArrayLike] | None = None,
) -> NDArray[np.float32]:
    """Separate one mixture of any length in memory.

    All signals are converted to the separator's sample rate and channels, and the estimates are
    converted back to the mixture's sample rate and length.

    Args:
        separator: as `load` or `build` returns it.
        mixture: shape (channels, time) or (time,).
        sample_rate: of all signals and of the estimates, in Hz.
        far_end: what the loudspeaker plays meanwhile, for an echo canceller; shape as the mixture,
            cut to its length or followed by silence.
        enrolment: for an extractor, another recording of the talker, or a list of them, one for
            each talker; shapes as the mixture, each of any length.

    Returns:
        The estimates, shape (n_src, channels of the separator, time).

    Raises:
        UsageError: a signal has another shape, the separator needs one that is not given or has no
            use for one that is, or it is an oracle.
        InputError: the estimates are not finite.
    """
    if "references" in separator.inputs:
        raise UsageError("An oracle needs references, which a recording does not have.")
    _check_given(separator, far_end=far_end, enrolment=enrolment)

    def convert(signal: ArrayLike, what: str) -> _Signal:
        samples = to_channels(_samples(signal, what), separator.channels)
        return resample(samples, sample_rate, separator.sample_rate)

    samples = _samples(mixture, "mixture")
    converted = convert(samples, "mixture")
    inputs: dict[str, NDArray[Any]] = {}
    if far_end is not None:
        inputs["far_end"] = as_long(convert(far_end, "far end"), converted.shape[1])
    if enrolment is not None:
        signals = [convert(signal, "enrolment") for signal in _one_each(enrolment)]
        for number, signal in enumerate(signals, start=1):
            require(
                bool(signal.any()),
                f"Enrolment {number} is silent and names nobody: give a recording in which the "
                "talker speaks.",
            )
        inputs["enrolment"] = side_by_side(signals, separator.channels)
    estimates = finite_estimates(separator, converted, inputs)
    if separator.sample_rate == sample_rate:
        return estimates
    resampled = np.stack(
        [
            resample(estimate.astype(np.float64), separator.sample_rate, sample_rate)
            for estimate in estimates
        ]
    )
    # Resampling there and back can end a few samples early.
    return as_long(resampled, samples.shape[1]).astype(np.float32)


def _check_given(separator: Separator, **given: Any) -> None:
    """Check that exactly the signals are given which the separator gets beside the mixture."""
    for name, signal in given.items():
        words = name.replace("_", " ")
        if name in separator.inputs:
            require(
                signal is not None,
                f"This separator needs the {words} beside the recording: give {name} "
                f"(--{name.replace('_', '-')} FILE).",
            )
        else:
            require(
                signal is None,
                f"This separator has no use for the {words}: leave it out, or use one whose "
                f"`baselines info` lists {name} in `inputs`.",
            )


def _samples(signal: ArrayLike, what: str) -> _Signal:
    samples = np.atleast_2d(np.asarray(signal, np.float64))
    require(
        samples.ndim == 2 and samples.shape[1] > 0,
        f"The {what} has shape {np.shape(signal)}: give (channels, time) with at least one sample.",
    )
    return samples


def _one_each(enrolment: ArrayLike | Sequence[ArrayLike]) -> list[ArrayLike]:
    """Return the recordings of a list or a stack of them, or the only one in a list."""
    if isinstance(enrolment, list | tuple):
        return list(enrolment)
    signals = np.asarray(enrolment)
    return list(signals) if signals.ndim == 3 else [signals]


def separate_file(
    system: Path,
    audio: Path,
    out: Path,
    *,
    far_end: Path | None = None,
    enrolment: Sequence[Path] = (),
    device: str = "auto",
    threads: int | None = None,
) -> list[Path]:
    """Separate one recording of any length into the folder `out`, and return the files written.

    The estimates have the recording's sample rate and length, and the separator's channels.

    Args:
        system: a checkpoint folder, or the name of a separator that needs no training; with a count
            in front, so many of its loudest estimates are kept.
        audio: the recording.
        out: folder of the estimates.
        far_end: recording of the far end, for an echo canceller.
        enrolment: recordings of the talkers to extract, for an extractor.
        device: as `choose_device` takes it.
        threads: of the CPU.

    Raises:
        UsageError: the system has to be trained first; or as `separate`.
        InputError: the checkpoint or a recording cannot be read, or the estimates are not finite.
    """
    set_threads(threads)
    samples, rate = _read(audio)
    separator = _open(system, rate, len(samples)).to(choose_device(device))
    _report_conversions(separator, rate, len(samples))
    beside = [resample(*_read(path), rate) for path in enrolment]
    estimates = separate(
        separator,
        samples,
        sample_rate=rate,
        far_end=None if far_end is None else resample(*_read(far_end), rate),
        enrolment=beside or None,
    )
    paths = []
    estimate_names = separator.source_names or numbered_names(len(estimates))
    for name, estimate in zip(estimate_names, estimates, strict=True):
        path = Path(out) / f"{name}.{FORMAT.extension}"
        write_samples(path, estimate.T.astype("<f4"), rate, FORMAT)
        paths.append(path)
    largest_peak(paths)
    return paths


def _open(system: Path, rate: int, channels: int) -> Separator:
    """Load a checkpoint, or build a system that needs no training for a kind of recording.

    A count may stand in front, see `baselines.inference.counted`.
    """
    count, name = split_count(str(system))
    if count is not None:
        separator = _open(Path(name), rate, channels)
        check_unnamed(separator, name, count)
        require(
            count != TRUE,
            "count:true: takes the number of targets, which a recording does not tell: write "
            f"count:NUMBER:{name}.",
        )
        separator.count = int(count)
        return separator
    if name not in names() or is_checkpoint(system):
        return load(system)
    return without_training(name, build(name, sample_rate=rate, channels=channels))


def _read(path: Path) -> tuple[_Signal, int]:
    samples, rate = read_audio(path)
    if samples.shape[1] == 0:
        raise InputError(f"{path} holds no samples: give a recording.")
    return samples, rate


def _report_conversions(separator: Separator, rate: int, channels: int) -> None:
    if rate != separator.sample_rate:
        print_status(
            f"The recording has {rate} Hz: separated at {separator.sample_rate} Hz and back."
        )
    if channels != separator.channels:
        print_status(
            f"The recording has {channels} channel(s): separated with {separator.channels}."
        )
