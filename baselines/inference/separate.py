"""Separate a rendered set, or one recording, with a checkpoint or a system that needs none."""

import gc
import platform
import resource
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from baselines.checkpoint import (
    checkpoint_sha256,
    count_parameters,
    is_checkpoint,
    load,
    read_meta,
    versions,
)
from baselines.compatibility import build_for, check_fit
from baselines.inference.device import choose_device, set_threads
from baselines.inference.long import separate_long
from baselines.inference.macs import macs_per_second
from baselines.registry import names
from baselines.separator import Separator
from mixgen.audio.formats import FORMATS, write_samples
from mixgen.audio.read import read_audio, resample, to_channels
from mixgen.core.errors import InputError, PartialFailure, SuiteError, UsageError
from mixgen.core.files import machine_errors, read_json, write_json
from mixgen.core.progress import say, track
from mixgen.manifest.mixture import Mixture
from mixgen.sets.rendered import RenderedSet

SCHEMA = "estimates/1"
RUN_FILE = "run.json"
# Written first: says whose estimates a folder holds while run.json is not there yet.
PLAN_FILE = "plan.json"

_FORMAT = FORMATS["wav_float"]


@dataclass(frozen=True)
class System:
    """A separator with what a leaderboard says of it."""

    separator: Separator
    model: str
    checkpoint_sha256: str | None


@dataclass
class Stopwatch:
    """Seconds spent separating, and seconds of audio separated."""

    busy_s: float = 0.0
    audio_s: float = 0.0
    failures: list[dict[str, str]] = field(default_factory=list)

    @property
    def real_time_factor(self) -> float | None:
        """Seconds of work per second of audio."""
        return self.busy_s / self.audio_s if self.audio_s else None


def open_system(system: str | Path, mixtures: Sequence[Mixture]) -> System:
    """Open a checkpoint folder, or build a system without parameters by its name.

    A checkpoint in a folder that is called like a system goes before the system.

    Raises:
        InputError: the checkpoint is not whole, or does not fit the mixtures.
        UsageError: the name is unknown, or is of a system that has to be trained first.
    """
    if str(system) in names() and not is_checkpoint(Path(system)):
        separator = build_for(str(system), mixtures).eval()
        if separator.trainable:
            raise UsageError(
                f"{system} is not trained: give a checkpoint folder, or make one with "
                f"`baselines train {system} --out FOLDER`."
            )
        return System(separator, str(system), None)
    folder = Path(system)
    if not folder.exists() and not is_checkpoint(folder):
        raise UsageError(
            f"{system} is neither a checkpoint folder nor a separator; those that need no "
            "checkpoint are mixture and oracle:ibm, irm, psm, mwf."
        )
    separator = load(folder)
    check_fit(separator, mixtures)
    return System(separator, read_meta(folder).model, checkpoint_sha256(folder))


def separate_set(
    system: str | Path,
    set_folder: Path,
    out: Path,
    *,
    split: str | None = "test",
    device: str = "auto",
    threads: int | None = None,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Separate every mixture of a split into `out`, and return what run.json says.

    Mixtures whose estimates are there already, of the same system and set, are skipped.

    Raises:
        UsageError: `out` holds other estimates and `overwrite` is false; or as `open_system`.
        InputError: the set or checkpoint cannot be read, or do not fit each other.
        PartialFailure: some mixtures failed; each is told with its reason, here and in run.json.
    """
    out = Path(out)
    rendered = RenderedSet(set_folder)
    mixtures = rendered.mixtures(split)
    used_threads = set_threads(threads)
    opened = open_system(system, mixtures)
    separator = opened.separator.to(choose_device(device))
    estimate_names = _estimate_names(separator, mixtures[0])
    plan = {
        "schema": SCHEMA,
        "model": opened.model,
        "checkpoint_sha256": opened.checkpoint_sha256,
        "manifest_sha256": rendered.manifest.sha256,
        "split": split,
        "named": estimate_names == mixtures[0].targets,
        "estimates": estimate_names,
        "sample_rate": separator.sample_rate,
    }
    before = _begin(out, plan, overwrite=overwrite)
    todo = [m for m in mixtures if not _is_done(out, m, estimate_names)]
    watch = _separate_all(separator, rendered, todo, out, estimate_names)
    run = {**plan, **_measured(separator, watch, used_threads), "failures": watch.failures}
    if not todo and before is not None:
        run = before
    write_json(out / RUN_FILE, run)
    _report(watch, len(mixtures))
    return run


def _estimate_names(separator: Separator, mixture: Mixture) -> list[str]:
    """Target names where the estimates are of known targets, else est1, est2, ..."""
    if separator.source_names is not None:
        return list(separator.source_names)
    if separator.uses_references:
        return list(mixture.targets)
    return [f"est{number}" for number in range(1, separator.n_src + 1)]


def _begin(out: Path, plan: dict[str, Any], *, overwrite: bool) -> dict[str, Any] | None:
    """Note whose estimates `out` is for; returns run.json of an earlier run of the same."""
    path = out / PLAN_FILE
    same = path.is_file() and read_json(path) == plan
    if not same and out.is_dir() and any(out.iterdir()):
        _clear(out, path, overwrite=overwrite)
    before = read_json(out / RUN_FILE) if same and (out / RUN_FILE).is_file() else None
    write_json(path, plan)
    (out / RUN_FILE).unlink(missing_ok=True)
    return before


def _clear(out: Path, plan: Path, *, overwrite: bool) -> None:
    if not plan.is_file():
        raise UsageError(f"{out} is in use and holds no estimates: give another --out.")
    if not overwrite:
        raise UsageError(
            f"{out} holds the estimates of another system, set or split: give --overwrite to "
            "replace them, or another --out."
        )
    with machine_errors(out):
        shutil.rmtree(out)


def _estimate_path(out: Path, mixture: Mixture, name: str) -> Path:
    return out / mixture.id / f"{name}.{_FORMAT.extension}"


def _is_done(out: Path, mixture: Mixture, estimate_names: list[str]) -> bool:
    """Whether all estimates of a mixture are there; each is written whole or not at all."""
    return all(_estimate_path(out, mixture, name).is_file() for name in estimate_names)


def _separate_all(
    separator: Separator,
    rendered: RenderedSet,
    mixtures: list[Mixture],
    out: Path,
    estimate_names: list[str],
) -> Stopwatch:
    watch = Stopwatch()
    _warm_up(separator)
    for mixture in track(mixtures, "separate"):
        try:
            estimates = _separate_one(separator, rendered, mixture, watch)
        except (SuiteError, RuntimeError, MemoryError) as error:
            watch.failures.append({"id": mixture.id, "reason": _one_line(error)})
            gc.collect()
            continue
        for name, estimate in zip(estimate_names, estimates, strict=True):
            path = _estimate_path(out, mixture, name)
            write_samples(path, estimate.T, mixture.sample_rate, _FORMAT)
    return watch


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


@torch.no_grad()
def _warm_up(separator: Separator) -> None:
    """One second of silence, so that what is done once is not in the measurement."""
    mixture = torch.zeros(1, separator.channels, separator.sample_rate, device=_device(separator))
    silence = torch.zeros(1, separator.n_src, *mixture.shape[1:], device=mixture.device)
    separate_long(separator, mixture, silence if separator.uses_references else None)


def _device(separator: Separator) -> torch.device:
    tensors = [*separator.parameters(), *separator.buffers()]
    return tensors[0].device if tensors else torch.device("cpu")


def _separate_one(
    separator: Separator, rendered: RenderedSet, mixture: Mixture, watch: Stopwatch
) -> NDArray[np.float32]:
    """Estimates (n_src, channels, time) of a mixture; raises InputError if they are not finite."""
    samples = _tensor(rendered.load_mixture(mixture.id), separator)
    references = None
    if separator.uses_references:
        references = _tensor(rendered.load_references(mixture.id), separator)
    started = time.perf_counter()
    estimates = _estimates(separator, samples, references)
    watch.busy_s += time.perf_counter() - started
    watch.audio_s += mixture.duration_s
    return estimates


def _tensor(samples: NDArray[np.float64], separator: Separator) -> Tensor:
    """A batch of one, on the separator's device."""
    return torch.from_numpy(samples.astype(np.float32))[None].to(_device(separator))


def _estimates(
    separator: Separator, mixture: Tensor, references: Tensor | None = None
) -> NDArray[np.float32]:
    estimates = separate_long(separator, mixture, references)[0].cpu().numpy()
    if not np.isfinite(estimates).all():
        raise InputError("The estimates hold NaN or infinite samples; this mixture is left out.")
    return estimates


def _measured(separator: Separator, watch: Stopwatch, threads: int) -> dict[str, Any]:
    return {
        "parameters": count_parameters(separator),
        "macs_per_second": macs_per_second(separator),
        "real_time_factor": watch.real_time_factor,
        "peak_memory_mb": _peak_memory_mb(_device(separator)),
        "device": _device_name(_device(separator)),
        "threads": threads,
        "versions": versions(),
    }


def _peak_memory_mb(device: torch.device) -> float:
    """Most memory ever held: the GPU's where one is used, else the whole process's."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    bytes_per_unit = 1 if platform.system() == "Darwin" else 1024
    return peak * bytes_per_unit / 2**20


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)


def _report(watch: Stopwatch, mixtures: int) -> None:
    for failure in watch.failures:
        say(f"failed: {failure['id']}: {failure['reason']}")
    if watch.failures:
        raise PartialFailure(
            f"{len(watch.failures)} of {mixtures} mixtures could not be separated; the reasons "
            f"are above and in {RUN_FILE}."
        )


def separate(separator: Separator, mixture: ArrayLike, *, sample_rate: int) -> NDArray[np.float32]:
    """Separate one mixture of any length in memory.

    The mixture is resampled and its channels are mixed or copied where the separator wants it.

    Args:
        separator: as `load` or `build` returns it.
        mixture: shape (channels, time) or (time,).
        sample_rate: of the mixture and of the estimates, in Hz.

    Returns:
        The estimates, shape (n_src, channels of the separator, time).

    Raises:
        UsageError: the mixture has another shape, or the separator is an oracle.
        InputError: the estimates are not finite.
    """
    samples = np.atleast_2d(np.asarray(mixture, np.float64))
    if samples.ndim != 2 or samples.shape[1] == 0:
        raise UsageError(
            f"The mixture has shape {np.shape(mixture)}: give (channels, time) with at least one "
            "sample."
        )
    if separator.uses_references:
        raise UsageError("An oracle needs references; a recording alone has none.")
    own_rate = separator.sample_rate
    samples_in = resample(to_channels(samples, separator.channels), sample_rate, own_rate)
    estimates = _estimates(separator, _tensor(samples_in, separator))
    if own_rate == sample_rate:
        return estimates
    back = [resample(estimate.astype(np.float64), own_rate, sample_rate) for estimate in estimates]
    return np.stack([_fit_length(signal, samples.shape[1]) for signal in back]).astype(np.float32)


def separate_file(
    checkpoint: Path, audio: Path, out: Path, *, device: str = "auto", threads: int | None = None
) -> list[Path]:
    """Separate one recording of any length; returns the files written to the folder `out`.

    The estimates have the recording's rate and length, and the checkpoint's channels.

    Raises:
        InputError: the checkpoint or the recording cannot be read, or the estimates are not finite.
    """
    set_threads(threads)
    separator = load(checkpoint).to(choose_device(device))
    samples, rate = read_audio(audio)
    if samples.shape[1] == 0:
        raise InputError(f"{audio} holds no samples: give a recording.")
    _tell_conversions(separator, rate, len(samples))
    paths = []
    unnamed = [f"est{number}" for number in range(1, separator.n_src + 1)]
    estimates = separate(separator, samples, sample_rate=rate)
    for name, estimate in zip(separator.source_names or unnamed, estimates, strict=True):
        path = Path(out) / f"{name}.{_FORMAT.extension}"
        write_samples(path, estimate.T.astype("<f4"), rate, _FORMAT)
        paths.append(path)
    return paths


def _tell_conversions(separator: Separator, rate: int, channels: int) -> None:
    if rate != separator.sample_rate:
        say(f"The recording has {rate} Hz: separated at {separator.sample_rate} Hz and back.")
    if channels != separator.channels:
        say(f"The recording has {channels} channel(s): separated with {separator.channels}.")


def _fit_length(signal: NDArray[np.float64], frames: int) -> NDArray[np.float64]:
    """Cut or extend (channels, time) by the few samples that resampling adds or takes."""
    signal = signal[:, :frames]
    return np.pad(signal, ((0, 0), (0, frames - signal.shape[1])))
