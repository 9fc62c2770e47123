"""Programs of others that separate, behind the interface of a separator.

- `module:function`: called with a mixture, float32 (channels, time), and its sample rate; returns
  an array of this shape for each source, in a list, stacked, or in a dict by the names of stems.
- `module:Class`: a torch module that is built without arguments and maps (batch, channels, time)
  to (batch, n_src, channels, time), as `Separator.forward` does.
- `FILE.onnx`: a model of the same shapes, run by onnxruntime.
- a command line with `{mixture}`, the WAV file to read, and `{out}`, the folder to write one WAV
  file per source to: its name is that of the stem, or any.

A program names the signals that it gets beside the mixture, `far_end` and `enrolment`
(`baselines.inputs`): a function and the `forward` of a class by the names of their arguments, an
ONNX model by those of its inputs, a command by `{far_end}` and `{enrolment}`, WAV files too. A
command with `{enrolment}` runs once for each target, and writes one file.

Each gets one whole mixture at a time. A program may return fewer estimates than the set has
sources: the others are silent. `NAME=` in front gives a system another name in tables.

A program whose estimates come late declares by how much: a function or class by its attribute
`latency_s`, any system by `NAME@0.005s=` in front. It then gets the mixture with as much silence at
the end, and as much is cut from the start of its estimates: they are aligned with the mixture, as
those of all separators are.
"""

import hashlib
import inspect
import math
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from baselines.inputs import unpadded
from baselines.separator import Hyperparameters, Separator
from mixgen.core.errors import InputError, SuiteError, UsageError
from mixgen.core.files import sha256_file
from mixgen.core.imports import import_attribute

Signal = NDArray[np.float32]
Answer = Mapping[str, Any] | Sequence[Any] | NDArray[Any]
Call = Callable[..., Answer]
"""Takes the mixture, its sample rate, and by keyword what stands beside it in `inputs`."""

_NAMED = re.compile(r"([\w.-]+)(?:@(\d+\.?\d*)s)?=(.+)", re.DOTALL)
_ATTRIBUTE = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")
_BESIDE = ("far_end", "enrolment")


class External(Separator):
    """A separator whose work another program does.

    Its estimates come `latency_s` late; None declares nothing. `words` are those by which a program
    names what it takes.
    """

    external = True

    def __init__(
        self,
        hyperparameters: Hyperparameters,
        call: Call,
        words: Collection[str] = (),
        latency_s: float | None = None,
    ) -> None:
        super().__init__(hyperparameters)
        self.call = call
        self.inputs = tuple(name for name in _BESIDE if name in words)
        if latency_s is not None:
            self.look_ahead = round(latency_s * self.sample_rate)
        # The parameters of a torch module count as those of the system.
        self.module = call.module if isinstance(call, TorchCall) else None

    def forward(self, mixture: Tensor, **inputs: Tensor) -> Tensor:
        """Separate mixture (1, channels, time) into (1, n_src, channels, time).

        Inputs have a batch of one, too.

        Raises:
            InputError: the program failed, or returned something else than signals of this shape.
        """
        self.check_mixture(mixture)
        late = self.look_ahead or 0
        samples = np.pad(mixture[0].cpu().numpy(), ((0, 0), (0, late)))
        beside = {name: signal[0].cpu().numpy() for name, signal in inputs.items()}
        if "far_end" in beside:
            beside["far_end"] = np.pad(beside["far_end"], ((0, 0), (0, late)))
        try:
            answer = self.call(samples, self.sample_rate, **beside)
            n_src = len(beside["enrolment"]) if "enrolment" in beside else self.n_src
            estimates = self._stacked(answer, n_src, samples.shape)
        except SuiteError:
            raise
        except Exception as error:  # whatever the program of others raises
            raise InputError(f"{type(error).__name__}: {error}") from error
        return torch.from_numpy(estimates[..., late:])[None].to(mixture.device)

    def _stacked(self, answer: Answer, n_src: int, shape: tuple[int, ...]) -> Signal:
        """Return the estimates of an answer, (n_src, channels, time)."""
        if isinstance(answer, Mapping):
            answer = self._in_order(answer)
        signals = [np.asarray(signal, dtype=np.float32) for signal in answer]
        if shape[0] == 1:
            signals = [s[None] if s.ndim == 1 else s for s in signals]
        wrong = next((s.shape for s in signals if s.shape != shape), None)
        if wrong is not None:
            raise InputError(f"an estimate has shape {wrong}, the mixture {shape} (channels, time)")
        if len(signals) > n_src:
            raise InputError(f"{len(signals)} estimates, and the set has {n_src} sources")
        silence = [np.zeros(shape, np.float32)] * (n_src - len(signals))
        return np.stack([*signals, *silence])

    def _in_order(self, answer: Mapping[str, Any]) -> list[Any]:
        if self.source_names is None:
            return list(answer.values())
        missing = [name for name in self.source_names if name not in answer]
        if missing:
            raise InputError(f"no estimate of {', '.join(missing)}, but of {', '.join(answer)}")
        return [answer[name] for name in self.source_names]


class TorchCall:
    """Calls a torch module."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module.eval()

    def __call__(self, mixture: Signal, _sample_rate: int, **inputs: Signal) -> Answer:
        """Return the estimates of one mixture."""
        beside = {name: torch.from_numpy(signal)[None] for name, signal in inputs.items()}
        estimates: Tensor = self.module(torch.from_numpy(mixture)[None], **beside)
        return estimates[0].numpy()


class OnnxCall:
    """Calls an ONNX model."""

    def __init__(self, path: Path) -> None:
        try:
            import onnxruntime
        except ImportError:
            raise UsageError(
                f"{path} needs onnxruntime: pip install separation-suite[onnx]."
            ) from None
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        try:
            self.session = onnxruntime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime has its own errors, without a common base
            reason = " ".join(str(error).split())
            raise InputError(f"{path} is no ONNX model that can be run ({reason}).") from None
        self.inputs = [given.name for given in self.session.get_inputs()]

    def __call__(self, mixture: Signal, _sample_rate: int, **inputs: Signal) -> Answer:
        """Return the estimates of one mixture, which is the model's first input."""
        beside = {name: signal[None] for name, signal in inputs.items()}
        given = {self.inputs[0]: mixture[None], **beside}
        estimates: NDArray[Any] = self.session.run(None, given)[0][0]
        return estimates


class CommandCall:
    """Runs a command line."""

    def __init__(self, command: str) -> None:
        self.words = shlex.split(command)
        if shutil.which(self.words[0]) is None:
            raise UsageError(f"There is no program {self.words[0]}: check the command line.")

    def __call__(
        self,
        mixture: Signal,
        sample_rate: int,
        *,
        enrolment: Signal | None = None,
        **inputs: Signal,
    ) -> Answer:
        """Return the estimates of one mixture: by name, sorted, or in the order of enrolments."""
        files = {"mixture": mixture, **inputs}
        if enrolment is None:
            return self._estimates(files, sample_rate)
        return [
            self._of_one({**files, "enrolment": unpadded(one)}, sample_rate) for one in enrolment
        ]

    def _of_one(self, files: Mapping[str, Signal], sample_rate: int) -> Signal:
        found = list(self._estimates(files, sample_rate).values())
        if len(found) != 1:
            raise InputError(f"{len(found)} estimates for one enrolment")
        return found[0]

    def _estimates(self, files: Mapping[str, Signal], sample_rate: int) -> dict[str, Signal]:
        with tempfile.TemporaryDirectory(prefix="separation-") as folder:
            out = Path(folder, "out")
            out.mkdir()
            path_of = {"out": out}
            for name, signal in files.items():
                path_of[name] = Path(folder, f"{name}.wav")
                soundfile.write(path_of[name], signal.T, sample_rate, subtype="FLOAT")
            self._run([_filled_in(word, path_of) for word in self.words])
            return {file.stem: _read(file, sample_rate) for file in sorted(out.glob("*.wav"))}

    def _run(self, words: Sequence[str]) -> None:
        ended = subprocess.run(words, capture_output=True, text=True, errors="replace", check=False)
        if ended.returncode:
            last = (ended.stderr.strip().splitlines() or ["no message"])[-1]
            raise InputError(f"{words[0]} ended with code {ended.returncode}: {last}")


def _filled_in(word: str, path_of: Mapping[str, Path]) -> str:
    for name, path in path_of.items():
        word = word.replace(f"{{{name}}}", str(path))
    return word


def _read(path: Path, sample_rate: int) -> Signal:
    try:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, RuntimeError):
        raise InputError(f"{path.name} of the command cannot be read") from None
    if rate != sample_rate:
        raise InputError(f"{path.name} of the command has {rate} Hz, the mixture {sample_rate} Hz")
    return np.ascontiguousarray(samples.T)


def is_external(system: str) -> bool:
    """Return whether a system, neither registered nor a checkpoint, is a program of others."""
    _, system = split_name(system)
    is_command = "{mixture}" in system and "{out}" in system
    return is_command or system.endswith(".onnx") or _ATTRIBUTE.fullmatch(system) is not None


def split_name(system: str) -> tuple[str, str]:
    """Return the name in front of a system, or the system itself, and the system."""
    named = _NAMED.fullmatch(system)
    return (named[1], named[3]) if named else (system, system)


def declared_latency_s(system: str) -> float | None:
    """Return the latency that stands in front of a system: 0.005 in `NAME@0.005s=...`."""
    named = _NAMED.fullmatch(system)
    return float(named[2]) if named and named[2] else None


def open_external(
    system: str, hyperparameters: Hyperparameters, latency_s: float | None = None
) -> tuple[Separator, str | None]:
    """Return the separator, and the hash of its file; a command has none.

    Args:
        system: `module:function`, `module:Class`, an ONNX file or a command line.
        hyperparameters: sources, rate, channels and names of the set.
        latency_s: by which the estimates come late; by default what a function or class declares.

    Raises:
        UsageError: the module, its attribute or the program does not exist, or declares a latency
            that is no time.
        InputError: the ONNX file cannot be read, or the module or class fails.
    """
    if "{mixture}" in system:
        words = re.findall(r"\{(\w+)\}", system)
        return External(hyperparameters, CommandCall(system), words, latency_s), None
    if system.endswith(".onnx"):
        path = Path(system)
        if not path.is_file():
            raise UsageError(f"There is no ONNX file {path}: check the path.")
        onnx = OnnxCall(path)
        return External(hyperparameters, onnx, onnx.inputs, latency_s), sha256_file(path)
    found = import_attribute(system, what="registered separator")
    source = inspect.getsourcefile(found) if callable(found) else None
    sha256 = None if source is None else hashlib.sha256(Path(source).read_bytes()).hexdigest()
    if isinstance(found, type) and issubclass(found, nn.Module):
        try:
            found = found()
        except Exception as error:  # whatever the program of others raises
            raise InputError(
                f"{system} cannot be built without arguments ({type(error).__name__}: {error}): "
                "give them defaults, or name a function."
            ) from error
    if not callable(found):
        raise UsageError(f"{system} is neither a function nor a torch module.")
    if latency_s is None:
        latency_s = _latency_of(found, system)
    call, taking = found, found
    if isinstance(found, nn.Module):
        call, taking = TorchCall(found), found.forward
    return External(hyperparameters, call, _arguments_of(taking), latency_s), sha256


def _arguments_of(function: Callable[..., Any]) -> Collection[str]:
    """Return the names of a function's arguments; none where they cannot be known."""
    try:
        return inspect.signature(function).parameters
    except (TypeError, ValueError):  # some compiled functions do not tell
        return ()


def _latency_of(found: Any, system: str) -> float | None:
    """Return what a function or module declares as its latency in seconds."""
    latency_s = getattr(found, "latency_s", None)
    if latency_s is None:
        return None
    if not (isinstance(latency_s, int | float) and math.isfinite(latency_s) and latency_s >= 0):
        raise UsageError(
            f"{system} declares latency_s = {latency_s!r}: give the seconds by which its estimates "
            "come late, 0 or more."
        )
    return float(latency_s)
