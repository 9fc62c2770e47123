"""Weights of other implementations, as checkpoints of this suite.

Each model's module registers an importer for every peer whose weights it reads
(`ModelSpec.imports`). This module reads the peers' files: with torch's reader of plain data, which
runs no code from them.
"""

import json
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch
from torch.torch_version import TorchVersion

from baselines.checkpoint import (
    Meta,
    check_destination,
    count_parameters,
    no_larger_than,
    save_checkpoint,
    versions,
)
from baselines.fake_tensors import without_data
from baselines.model import ModelSpec, Weights
from baselines.peers.onnx_weights import read_onnx_weights
from baselines.peers.tensorflow_weights import read_tensorflow_weights
from baselines.registry import models
from baselines.separator import Separator
from mixgen.core.errors import InputError, UsageError
from mixgen.core.files import machine_errors, read_json, sha256_file
from mixgen.core.registry import choose


@dataclass(frozen=True)
class PeerModel:
    """What a peer's file holds.

    Attributes:
        weights: state dict under the peer's names.
        arguments: of the peer's constructor, by name, as far as the file has them.
        class_name: of the peer's model; None if the file does not have it.
    """

    weights: Weights
    arguments: Mapping[str, Any] = field(default_factory=dict)
    class_name: str | None = None


def peers() -> list[str]:
    """Return the names of the implementations whose weights can be imported, sorted."""
    return sorted({peer for spec in models().values() for peer in spec.importers})


def import_weights(
    peer: str,
    path: Path,
    out: Path,
    *,
    model: str | None = None,
    arguments: Mapping[str, Any] | None = None,
    overwrite: bool = False,
) -> Meta:
    """Write the checkpoint of a peer's weights to the folder `out`.

    Args:
        peer: name of the implementation that the weights come from.
        path: its file, or a folder of files where it writes several.
        out: folder of the checkpoint.
        model: the system here; found from the file if None.
        arguments: of the peer's constructor that the file does not have.
        overwrite: replace a checkpoint in `out`.

    Raises:
        UsageError: the peer or the model is unknown, or `out` is in use.
        InputError: the file cannot be read, or holds other weights than the model's.
    """
    if peer not in peers():
        raise UsageError(f"There is no peer {peer!r}: choose one of {', '.join(peers())}.")
    check_destination(out, overwrite=overwrite)
    found = _READERS.get(peer, _read_state_dict)(Path(path))
    spec = _spec_for(peer, found, model)
    separator = separator_from(spec, peer, found.weights, {**found.arguments, **(arguments or {})})
    separator.float()
    files = [path] if path.is_file() else sorted(file for file in path.iterdir() if file.is_file())
    meta = Meta(
        model=spec.name,
        config=separator.config,
        parameters=count_parameters(separator),
        manifest_sha256=None,
        step=0,
        training={
            "imported_from": peer,
            "sha256": {file.name: sha256_file(file) for file in files},
        },
        progress={},
        versions=versions(),
    )
    save_checkpoint(out, meta, separator.state_dict())
    return meta


def separator_from(
    spec: ModelSpec, peer: str, weights: Weights, arguments: Mapping[str, Any]
) -> Separator:
    """Build the separator that a peer's weights describe, in evaluation mode.

    Args:
        spec: the system.
        peer: name of the implementation that the weights come from.
        weights: state dict of the peer's model.
        arguments: of the peer's constructor, by name; those that are missing have its defaults.

    Raises:
        UsageError: the system reads no weights of this peer, or refuses an argument.
        InputError: the weights are not those of the peer's model.
    """
    importer = choose(spec.importers, peer, f"peer of {spec.name}")
    try:
        hyperparameters, ours = importer.convert(weights, arguments)
        with without_data(), no_larger_than(ours):
            spec.separator(hyperparameters)
        dtype = next(value.dtype for value in ours.values() if value.is_floating_point())
        separator = spec.separator(hyperparameters).to(dtype)
        separator.load_state_dict(ours)
    except (InputError, KeyError, RuntimeError, TypeError, ValueError, StopIteration) as error:
        raise InputError(
            f"The weights do not fit {spec.name} as {peer} configures it, or an argument is "
            f"missing (--arguments): {' '.join(str(error).split())}"
        ) from None
    return separator.eval()


def _spec_for(peer: str, found: PeerModel, model: str | None) -> ModelSpec:
    """Return the system that the weights are of."""
    candidates = {name: spec for name, spec in models().items() if peer in spec.importers}
    if model is not None:
        return choose(candidates, model, f"system with an importer for {peer}:")
    if found.class_name is not None:
        by_class = {spec.importers[peer].class_name: spec for spec in candidates.values()}
        return choose(by_class, found.class_name, f"importer for {peer}'s class")
    if len(candidates) > 1:
        raise UsageError(
            f"The file does not name its model: give --model, one of {', '.join(candidates)}."
        )
    return next(iter(candidates.values()))


# Classes of values that peers' files hold beside tensors: harmless, numbers and strings.
_PLAIN = [Fraction, TorchVersion]


class _Marker:
    """Stands for a class that a file names; never called."""


def _load(path: Path, classes: tuple[str, ...] = ()) -> Any:
    """Read a file of torch's without running code from it.

    `classes` are names that the file may mention; they are replaced by an empty class.
    """
    markers = {name: type(name.rpartition(".")[2], (_Marker,), {}) for name in classes}
    allowed = [(marker, name) for name, marker in markers.items()]
    with machine_errors(path):
        try:
            with torch.serialization.safe_globals([*allowed, *_PLAIN]):
                return torch.load(path, map_location="cpu", weights_only=True)
        except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError):
            raise InputError(
                f"{path} is damaged, or holds objects that only the peer's code can read, which "
                "is never run: save its state dict alone (`torch.save(model.state_dict(), FILE)`)."
            ) from None


def _weights(value: object, path: Path) -> Weights:
    """Return a state dict in single precision, after checking that it is one."""
    is_weights = isinstance(value, Mapping) and all(
        isinstance(tensor, torch.Tensor) for tensor in value.values()
    )
    if not isinstance(value, Mapping) or not is_weights or not value:
        raise InputError(f"{path} holds no state dict: give the file of the model's weights.")
    return {
        str(name): tensor.float() if tensor.is_floating_point() else tensor
        for name, tensor in value.items()
    }


def _read_state_dict(path: Path) -> PeerModel:
    """Read a state dict alone, or under the key that many training scripts use."""
    content = _load(path)
    for key in ("state_dict", "state", "model", "model_state_dict"):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    return PeerModel(_weights(content, path))


def _read_asteroid(path: Path) -> PeerModel:
    """Read what `model.serialize()` returned, as asteroid's recipes and the model hub save it.

    A model that was exported to ONNX has its weights, but not its arguments.
    """
    if path.suffix == ".onnx":
        return PeerModel(read_onnx_weights(path))
    content = _load(path)
    if not isinstance(content, Mapping) or "model_args" not in content:
        return _read_state_dict(path)
    weights = _weights(content.get("state_dict"), path)
    return PeerModel(weights, content["model_args"], content.get("model_name"))


_DEMUCS_CLASSES = (
    "demucs.demucs.Demucs",
    "demucs.hdemucs.HDemucs",
    "demucs.htdemucs.HTDemucs",
)


def _read_demucs(path: Path) -> PeerModel:
    """Read a package of demucs: class, arguments and weights in half precision."""
    content = _load(path, _DEMUCS_CLASSES)
    if not isinstance(content, Mapping) or "kwargs" not in content:
        return _read_state_dict(path)
    sources = {"sources": content["args"][0]} if content.get("args") else {}
    weights = _weights(content.get("state"), path)
    return PeerModel(weights, {**sources, **content["kwargs"]}, content["klass"].__name__)


def _read_speechbrain(path: Path) -> PeerModel:
    """Read a folder of `encoder.ckpt`, `masknet.ckpt` and `decoder.ckpt`, or one state dict."""
    if path.is_file():
        return _read_state_dict(path)
    weights: Weights = {}
    for part in ("encoder", "masknet", "decoder"):
        loaded = _weights(_load(path / f"{part}.ckpt"), path / f"{part}.ckpt")
        weights |= {f"{part}.{name}": tensor for name, tensor in loaded.items()}
    return PeerModel(weights)


def _read_openunmix(path: Path) -> PeerModel:
    """Read a folder with a `TARGET*.pth` and a `TARGET.json` for every target."""
    if path.is_file():
        return _read_state_dict(path)
    weights: Weights = {}
    arguments: dict[str, Any] = {}
    targets = []
    for file in sorted(path.glob("*.pth")):
        target = file.stem.partition("-")[0]
        targets.append(target)
        weights |= {
            f"{target}.{name}": value for name, value in _weights(_load(file), file).items()
        }
        description = path / f"{target}.json"
        if description.is_file():
            arguments |= read_json(description).get("args", {})
    if not targets:
        raise InputError(f"{path} holds no .pth files: give the folder of the targets' weights.")
    return PeerModel(weights, {**arguments, "targets": targets})


def _read_spleeter(path: Path) -> PeerModel:
    """Read the folder of a checkpoint of TensorFlow, such as `pretrained_models/2stems`."""
    return PeerModel(read_tensorflow_weights(path))


_READERS: dict[str, Callable[[Path], PeerModel]] = {
    "asteroid": _read_asteroid,
    "demucs": _read_demucs,
    "openunmix": _read_openunmix,
    "speechbrain": _read_speechbrain,
    "spleeter": _read_spleeter,
}


def read_arguments(path: Path) -> dict[str, Any]:
    """Read constructor arguments from a JSON file; raises InputError if it is not an object."""
    arguments = read_json(path)
    if not isinstance(arguments, dict):
        raise InputError(f"{path} is {json.dumps(arguments)[:40]}: give an object of arguments.")
    return arguments
