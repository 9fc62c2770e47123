"""Checkpoints: a folder of safetensors, JSON and their hashes. No pickle is ever read.

model.safetensors   weights of the separator
meta.json           the model that they belong to, and how it was trained
state.safetensors   what `resume` needs: last weights, their average, the optimiser's state
history.jsonl       one line per validation
SHA256SUMS          hashes of the other files, as `sha256sum --check` reads them
"""

import os
import platform
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pydantic import Field
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.modules.module import (
    register_module_module_registration_hook,
    register_module_parameter_registration_hook,
)

from baselines.fake_tensors import without_data
from baselines.registry import model_spec
from baselines.separator import Separator
from mixgen.core.errors import InputError, SuiteError, UsageError
from mixgen.core.files import (
    atomic_folder,
    canonical_json,
    machine_errors,
    moved_aside,
    read_json,
    read_jsonl,
    read_text,
    sha256_bytes,
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

# Some weights are built and then replaced; layers without weights and lists of layers count, too.
_BUILT_PER_VALUE = 2
_LAYERS_PER_WEIGHT = 20
_PICKLE_SUFFIXES = {".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".bin", ".th", ".pt2"}
_PICKLE_OR_ZIP = (b"\x80", b"PK")


class Meta(Record):
    """The content of meta.json."""

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

    @property
    def configuration_sha256(self) -> str:
        """Hash of the system and its training: equal for runs that differ in their seed alone."""
        training = {key: v for key, v in self.training.items() if key not in _NOT_CONFIGURATION}
        known = [self.model, self.config, self.manifest_sha256, training]
        return sha256_bytes(canonical_json(known).encode())


# Of a training: where and on what it ran, and the seed.
_NOT_CONFIGURATION = {"seed", "device", "threads", "workers", "memory_gb", "roots", "manifest"}


def versions() -> dict[str, str]:
    """Return the versions of the libraries that can change an estimate."""
    libraries = ("torch", "numpy", "safetensors")
    return {
        "separation-suite": __version__,
        "python": platform.python_version(),
        **{name: version(name) for name in libraries},
    }


def count_parameters(separator: Separator) -> int:
    """Return the number of trained values."""
    return sum(parameter.numel() for parameter in separator.parameters())


def check_destination(folder: Path, *, overwrite: bool) -> None:
    """Check that a checkpoint can be written to `folder`, before any work is done.

    Raises:
        UsageError: `folder` holds a checkpoint and `overwrite` is false, or holds other files.
        MachineError: `folder` cannot be written.
    """
    if is_checkpoint(folder):
        if not overwrite:
            raise UsageError(
                f"{folder} holds a checkpoint: give --resume to continue its run, --overwrite to "
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
    """Write a checkpoint to a temporary folder, which then replaces `folder`.

    Raises:
        MachineError: the disk is full or `folder` cannot be written.
    """
    with atomic_folder(Path(folder)) as temporary:
        _write_files(temporary, meta, weights, state, history)


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
    except SafetensorError as error:  # what safetensors raises for a full disk
        raise OSError(f"{error}") from error
    path.chmod(0o644)
    with open(path, "rb") as stream:
        os.fsync(stream.fileno())


def is_checkpoint(folder: Path) -> bool:
    """Return whether `folder` holds a checkpoint.

    If a replacement was interrupted, the checkpoint that was moved aside is moved back first.
    """
    folder = Path(folder)
    if not folder.exists() and (moved_aside(folder) / SUMS_FILE).is_file():
        os.rename(moved_aside(folder), folder)
    return (folder / SUMS_FILE).is_file()


def load(folder: str | Path) -> Separator:
    """Load the separator of a checkpoint, in evaluation mode.

    Raises:
        InputError: `folder` is not a checkpoint, a file is missing or altered, the model is
            unknown, or the weights do not fit it.
    """
    folder = Path(folder)
    meta, weights = read_meta(folder), load_weights(folder)
    with without_data(), no_larger_than(weights):
        check_weights(_build(meta, folder), weights, folder / MODEL_FILE)
    separator = _build(meta, folder)
    separator.load_state_dict(weights)
    return separator.eval()


def _build(meta: Meta, folder: Path) -> Separator:
    try:
        return model_spec(meta.model).separator.from_config(meta.config)
    except (SuiteError, TypeError, ValueError, RuntimeError, OverflowError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{folder} holds a separator that cannot be built: {reason}") from None


@contextmanager
def no_larger_than(weights: Tensors) -> Iterator[None]:
    """Stop building a separator here as soon as it is far larger than its weights.

    Raises:
        InputError: the separator has far more parameters or layers than the weights.
    """
    values_left = _BUILT_PER_VALUE * sum(tensor.numel() for tensor in weights.values())
    layers_left = _LAYERS_PER_WEIGHT * (len(weights) + 1)

    def count_values(_module: nn.Module, _name: str, parameter: Tensor | None) -> None:
        nonlocal values_left
        values_left -= 0 if parameter is None else parameter.numel()
        stop_if_negative(values_left)

    def count_layers(_module: nn.Module, _name: str, _layer: nn.Module | None) -> None:
        nonlocal layers_left
        layers_left -= 1
        stop_if_negative(layers_left)

    def stop_if_negative(left: int) -> None:
        if left < 0:
            raise InputError("its configuration is of a larger model than its weights are.")

    hooks = [
        register_module_parameter_registration_hook(count_values),
        register_module_module_registration_hook(count_layers),
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def read_meta(folder: Path) -> Meta:
    """Read the meta.json of a checkpoint.

    Raises:
        InputError: `folder` is not a checkpoint, or its meta.json is missing, altered or invalid.
    """
    path = _checked(folder, META_FILE)
    meta: Meta = parse_record(Meta, read_json(path), str(path))
    if meta.schema_ != SCHEMA:
        raise InputError(f"{path} has schema {meta.schema_!r}; this version reads {SCHEMA!r}.")
    return meta


def load_weights(folder: Path) -> Tensors:
    """Load the weights of the separator; raises InputError as `load` does."""
    return _read_tensors(_checked(folder, MODEL_FILE))


def load_state(folder: Path) -> Tensors:
    """Load the state of training that `resume` needs; raises InputError as `load` does."""
    return _read_tensors(_checked(folder, STATE_FILE))


def load_history(folder: Path) -> list[dict[str, Any]]:
    """Load the rows of the validations; raises InputError as `load` does."""
    return read_jsonl(_checked(folder, HISTORY_FILE))


def checkpoint_sha256(folder: Path) -> str:
    """Return the hash of the weights, which identifies a checkpoint; InputError if altered."""
    return sha256_file(_checked(folder, MODEL_FILE))


def assign_weights(separator: Separator, weights: Tensors, path: Path) -> None:
    """Copy weights that were read from `path` into a separator.

    Raises:
        InputError: as `check_weights`.
    """
    check_weights(separator, weights, path)
    separator.load_state_dict(weights)


def check_weights(separator: Separator, weights: Tensors, path: Path) -> None:
    """Check that weights that were read from `path` are those of a separator of this kind.

    Raises:
        InputError: a weight is missing, superfluous, of another shape, or holds integers where the
            separator has real values.
    """
    expected = {name: _kind(tensor) for name, tensor in separator.state_dict().items()}
    given = {name: _kind(tensor) for name, tensor in weights.items()}
    for name in sorted(expected.keys() | given.keys()):
        if expected.get(name) != given.get(name):
            raise InputError(
                f"{path} does not fit its model: {name} is {given.get(name, 'missing')} in the "
                f"file and {expected.get(name, 'missing')} in the model; use the version of the "
                "suite that wrote it."
            )


def _kind(tensor: Tensor) -> str:
    numbers = "real" if tensor.is_floating_point() else str(tensor.dtype).removeprefix("torch.")
    return f"{numbers} of shape {tuple(tensor.shape)}"


def _checked(folder: Path, name: str) -> Path:
    """Return the path of a file of a checkpoint, after checking its hash."""
    folder = Path(folder)
    _require_folder(folder)
    if not is_checkpoint(folder):
        raise InputError(
            f"{folder} is not a checkpoint (no {SUMS_FILE}): give the folder that "
            "`baselines train --out` wrote."
        )
    lines = [line.split("  ", 1) for line in read_text(folder / SUMS_FILE).splitlines()]
    sums = {line[1]: line[0] for line in lines if len(line) == 2}
    path = folder / name
    if name not in sums or not path.is_file():
        raise InputError(f"{folder} has no {name}: the checkpoint is incomplete, copy it again.")
    if sha256_file(path) != sums[name]:
        raise InputError(
            f"{path} was altered or truncated: its SHA-256 is not the one in {SUMS_FILE}; copy it "
            "again."
        )
    return path


def _require_folder(path: Path) -> None:
    if not path.is_file():
        return
    if path.suffix in _PICKLE_SUFFIXES or _starts_like_pickle(path):
        raise InputError(
            f"{path} holds pickled weights, which are never read because they can run any program: "
            "convert them to safetensors."
        )
    raise InputError(
        f"{path} is a file, and a checkpoint is a folder with {MODEL_FILE} and {META_FILE}: give "
        "that folder."
    )


def _starts_like_pickle(path: Path) -> bool:
    with open(path, "rb") as stream:
        return stream.read(2).startswith(_PICKLE_OR_ZIP)


def _read_tensors(path: Path) -> Tensors:
    if _starts_like_pickle(path):
        raise InputError(
            f"{path} is a pickle under another name, which is never read because it can run any "
            "program: convert it to safetensors."
        )
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(f"{path} is not a safetensors file ({error}).") from None


def tensors_under(prefix: str, tensors: Mapping[str, Tensor]) -> Tensors:
    """Return the tensors whose names begin with `prefix/`, under names without it."""
    start = f"{prefix}/"
    return {k.removeprefix(start): v for k, v in tensors.items() if k.startswith(start)}


def with_prefix(prefix: str, tensors: Mapping[str, Tensor]) -> Tensors:
    """Return the tensors under names that begin with `prefix/`."""
    return {f"{prefix}/{name}": tensor for name, tensor in tensors.items()}
