"""Checkpoints: a folder of safetensors, JSON and their hashes. No pickle is ever read.

model.safetensors   the weights that separate
meta.json           which model they belong to, and how they were made
state.safetensors   what training needs to go on
history.jsonl       one line per validation
SHA256SUMS          hashes of all of these, as `sha256sum --check` reads them
"""

import os
import platform
import shutil
import tempfile
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from pydantic import Field
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from baselines.registry import model_spec
from baselines.separator import Separator
from mixgen.core.errors import InputError, SuiteError, UsageError
from mixgen.core.files import (
    machine_errors,
    read_json,
    read_jsonl,
    read_text,
    sha256_file,
    write_json,
    write_jsonl,
    write_text,
)
from mixgen.core.records import Record, parse_record
from mixgen.core.versions import __version__

SCHEMA = "checkpoint/1"
MODEL_FILE = "model.safetensors"
META_FILE = "meta.json"
STATE_FILE = "state.safetensors"
HISTORY_FILE = "history.jsonl"
SUMS_FILE = "SHA256SUMS"

Tensors = dict[str, Tensor]

_PICKLE_SUFFIXES = {".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".bin", ".th", ".pt2"}
_PICKLE_OR_ZIP = (b"\x80", b"PK")


class Meta(Record):
    """What a checkpoint says of itself."""

    schema_: str = Field(alias="schema", default=SCHEMA)
    model: str
    config: dict[str, Any]
    parameters: int
    manifest_sha256: str | None
    step: int
    training: dict[str, Any]
    progress: dict[str, Any]
    versions: dict[str, str]

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON-able data under the names used in the file."""
        return self.model_dump(mode="json", by_alias=True)


def versions() -> dict[str, str]:
    """Versions of what can change an estimate."""
    libraries = ("torch", "numpy", "safetensors")
    return {
        "separation-suite": __version__,
        "python": platform.python_version(),
        **{name: version(name) for name in libraries},
    }


def count_parameters(separator: Separator) -> int:
    """Number of trained values."""
    return sum(parameter.numel() for parameter in separator.parameters())


def check_place(folder: Path, *, overwrite: bool) -> None:
    """Check, before any work is done, that a checkpoint can be written to `folder`.

    Raises:
        UsageError: something is there already that is not to be replaced.
        MachineError: the place cannot be written.
    """
    if is_checkpoint(folder):
        if not overwrite:
            raise UsageError(
                f"{folder} holds a checkpoint: give --resume to go on with it, --overwrite to "
                "replace it, or another --out."
            )
    elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is in use and holds no checkpoint: give another --out.")
    with machine_errors(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        Path(tempfile.mkdtemp(prefix=".tmp.", dir=folder.parent)).rmdir()


def save_checkpoint(
    folder: Path,
    meta: Meta,
    weights: Mapping[str, Tensor],
    *,
    state: Mapping[str, Tensor] | None = None,
    history: list[dict[str, Any]] | None = None,
) -> None:
    """Write a checkpoint to a folder of its own, which then takes the place of `folder`.

    Raises:
        MachineError: the disk is full or the place cannot be written.
    """
    folder = Path(folder)
    with machine_errors(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".tmp.{folder.name}.", dir=folder.parent))
        try:
            _write_files(temporary, meta, weights, state, history)
            temporary.chmod(0o755)
            _take_the_place_of(folder, temporary)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def _write_files(
    folder: Path,
    meta: Meta,
    weights: Mapping[str, Tensor],
    state: Mapping[str, Tensor] | None,
    history: list[dict[str, Any]] | None,
) -> None:
    _write_tensors(folder / MODEL_FILE, weights)
    write_json(folder / META_FILE, meta.as_dict())
    if state is not None:
        _write_tensors(folder / STATE_FILE, state)
    write_jsonl(folder / HISTORY_FILE, history or [])
    names = sorted(path.name for path in folder.iterdir())
    sums = [f"{sha256_file(folder / name)}  {name}\n" for name in names]
    write_text(folder / SUMS_FILE, "".join(sums))


def _write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    try:
        save_file(plain, path)
    except SafetensorError as error:  # how safetensors tells that the disk is full
        raise OSError(f"{error}") from error
    path.chmod(0o644)
    with open(path, "rb") as stream:
        os.fsync(stream.fileno())


def _take_the_place_of(folder: Path, new: Path) -> None:
    """Rename `new` to `folder`; an older checkpoint there steps aside first and then goes."""
    old = _aside(folder)
    if folder.exists():
        shutil.rmtree(old, ignore_errors=True)
        os.rename(folder, old)
    os.rename(new, folder)
    shutil.rmtree(old, ignore_errors=True)


def _aside(folder: Path) -> Path:
    return folder.with_name(f".old.{folder.name}")


def is_checkpoint(folder: Path) -> bool:
    """Tell whether `folder` holds a checkpoint, after finishing an interrupted replacement."""
    folder = Path(folder)
    if not folder.exists() and (_aside(folder) / SUMS_FILE).is_file():
        os.rename(_aside(folder), folder)
    return (folder / SUMS_FILE).is_file()


def load(folder: str | Path) -> Separator:
    """Rebuild the separator of a checkpoint, in evaluation mode.

    Raises:
        InputError: it is no checkpoint, a file is missing, altered or not what its model takes, or
            the model is not known.
    """
    folder = Path(folder)
    meta = read_meta(folder)
    try:
        separator = model_spec(meta.model).separator.from_config(meta.config)
    except (SuiteError, TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{folder} is of no separator known here: {error}") from None
    fill(separator, load_weights(folder), folder / MODEL_FILE)
    return separator.eval()


def read_meta(folder: Path) -> Meta:
    """What a checkpoint says of itself.

    Raises:
        InputError: it is no checkpoint, or its meta.json is missing, altered or not valid.
    """
    path = _checked(folder, META_FILE)
    meta: Meta = parse_record(Meta, read_json(path), str(path))
    if meta.schema_ != SCHEMA:
        raise InputError(f"{path} has schema {meta.schema_!r}; this version reads {SCHEMA!r}.")
    return meta


def load_weights(folder: Path) -> Tensors:
    """The weights that separate; raises InputError as `load`."""
    return _read_tensors(_checked(folder, MODEL_FILE))


def load_state(folder: Path) -> Tensors:
    """What training needs to go on; raises InputError as `load`."""
    return _read_tensors(_checked(folder, STATE_FILE))


def load_history(folder: Path) -> list[dict[str, Any]]:
    """One row per validation; raises InputError as `load`."""
    return read_jsonl(_checked(folder, HISTORY_FILE))


def checkpoint_sha256(folder: Path) -> str:
    """The hash of the weights' file, which names a checkpoint; raises InputError if altered."""
    return sha256_file(_checked(folder, MODEL_FILE))


def fill(separator: Separator, weights: Tensors, where: Path) -> None:
    """Put weights into a separator.

    Raises:
        InputError: a weight is missing, has another shape, or is not the separator's.
    """
    expected = {name: tuple(tensor.shape) for name, tensor in separator.state_dict().items()}
    given = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    for name in sorted(expected.keys() | given.keys()):
        if expected.get(name) != given.get(name):
            raise InputError(
                f"{where} does not fit its model: {name} has shape {given.get(name, 'nowhere')}, "
                f"and the model has it {expected.get(name, 'nowhere')}."
            )
    separator.load_state_dict(weights)


def _checked(folder: Path, name: str) -> Path:
    """The path of a checkpoint's file once its hash has been found right."""
    folder = Path(folder)
    _refuse_pickle(folder)
    if not is_checkpoint(folder):
        raise InputError(
            f"{folder} is not a checkpoint (no {SUMS_FILE}): give the folder that "
            "`baselines train --out` wrote."
        )
    lines = [line.split("  ", 1) for line in read_text(folder / SUMS_FILE).splitlines()]
    sums = {line[1]: line[0] for line in lines if len(line) == 2}
    path = folder / name
    if name not in sums or not path.is_file():
        raise InputError(f"{folder} has no {name}: the checkpoint is not whole, copy it again.")
    if sha256_file(path) != sums[name]:
        raise InputError(
            f"{path} was altered or cut: its SHA-256 is not the one in {SUMS_FILE}; copy it again."
        )
    return path


def _refuse_pickle(path: Path) -> None:
    if path.is_file():
        raise InputError(
            f"{path} is a file, and a checkpoint is a folder"
            + (
                "; pickled weights can run any program when they are read, so they never are: "
                "convert them to safetensors."
                if path.suffix in _PICKLE_SUFFIXES or _starts_like_pickle(path)
                else " with model.safetensors and meta.json: give that folder."
            )
        )


def _starts_like_pickle(path: Path) -> bool:
    with open(path, "rb") as stream:
        return stream.read(2).startswith(_PICKLE_OR_ZIP)


def _read_tensors(path: Path) -> Tensors:
    if _starts_like_pickle(path):
        raise InputError(
            f"{path} is a pickle under another name: pickled weights can run any program when "
            "they are read, so they never are."
        )
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(f"{path} is not a safetensors file ({error}).") from None


def tensors_under(prefix: str, tensors: Mapping[str, Tensor]) -> Tensors:
    """The tensors whose names begin with `prefix/`, without it."""
    start = f"{prefix}/"
    return {k.removeprefix(start): v for k, v in tensors.items() if k.startswith(start)}


def with_prefix(prefix: str, tensors: Mapping[str, Tensor]) -> Tensors:
    """The tensors under names that begin with `prefix/`."""
    return {f"{prefix}/{name}": tensor for name, tensor in tensors.items()}


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> Tensors:
    """An optimizer's memory as named tensors: `<parameter number>/<what>`."""
    state = optimizer.state_dict()["state"]
    return {
        f"{number}/{name}": torch.as_tensor(value)
        for number, values in state.items()
        for name, value in values.items()
    }


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Give an optimizer the memory that `optimizer_tensors` took from one like it."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        number, name = key.split("/", 1)
        state.setdefault(int(number), {})[name] = tensor
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})
