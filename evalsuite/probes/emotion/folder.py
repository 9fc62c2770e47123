"""A trained classifier of emotion as a folder: emotion.json, and weights without pickle."""

from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from mixgen.core.errors import InputError, MachineError
from mixgen.core.files import atomic_folder, canonical_json, read_json, sha256_file, write_json
from mixgen.core.records import Record, parse_record

META_FILE = "emotion.json"
WEIGHTS_FILE = "model.safetensors"


class EmotionMeta(Record):
    """What a classifier tells apart, what it hears, and what it was trained on."""

    schema_: Literal["emotion/1"] = Field(alias="schema", default="emotion/1")
    emotions: list[str]
    kinds: list[Literal["encoder", "acoustic", "text"]]
    """Of the features, one branch each."""
    fusion: Literal["joint", "frozen"]
    encoder_sha256: str
    """Of the recogniser whose encoder is heard."""
    epochs: int
    seed: int
    n_clips: int
    talkers: list[str]
    """That it was trained on: it should not judge them."""
    weights_sha256: str


def save(folder: Path, network: Any, meta: dict[str, Any]) -> None:
    """Write a network (`EmotionNetwork`) and its record; the folder appears whole.

    Raises:
        MachineError: the folder cannot be written.
    """
    from safetensors.torch import save_file

    with atomic_folder(folder) as scratch:
        save_file(network.state_dict(), scratch / WEIGHTS_FILE)
        record = EmotionMeta(**meta, weights_sha256=sha256_file(scratch / WEIGHTS_FILE))
        write_json(scratch / META_FILE, _plain(record))


@cache
def read_meta(folder: Path) -> EmotionMeta:
    """Return the record of a classifier, after checking the hash of its weights.

    Raises:
        InputError: the folder holds no classifier, or its weights were changed.
    """
    path = folder / META_FILE
    if not path.is_file():
        raise InputError(
            f"{folder} holds no classifier of emotion (no {META_FILE}): train one with "
            "`evalsuite train-emotion`."
        )
    meta: EmotionMeta = parse_record(EmotionMeta, read_json(path), str(path))
    if sha256_file(folder / WEIGHTS_FILE) != meta.weights_sha256:
        raise InputError(f"{folder / WEIGHTS_FILE} was changed after training: train it again.")
    return meta


def definition_of(folder: Path) -> dict[str, str | int]:
    """Return the record of a classifier as parameters of a metric."""
    return {
        name: value if isinstance(value, str | int) else canonical_json(value)
        for name, value in _plain(read_meta(folder)).items()
    }


def _plain(meta: EmotionMeta) -> dict[str, Any]:
    """Return the record under the names of its file."""
    return meta.model_dump(mode="json", by_alias=True)


@cache
def load(folder: Path) -> Any:
    """Return the network of a folder, an `EmotionNetwork`, once in each process.

    Raises:
        InputError: as in `read_meta`, or the weights are not those of such a network.
    """
    meta = read_meta(folder)
    from safetensors.torch import load_file

    from evalsuite.probes._recognisers import WHISPER_WEIGHTS
    from evalsuite.probes.emotion.network import EmotionNetwork

    if "encoder" in meta.kinds and meta.encoder_sha256 != WHISPER_WEIGHTS.sha256:
        raise MachineError(
            f"{folder} was trained on the encoder {meta.encoder_sha256[:12]}, and this version has "
            f"{WHISPER_WEIGHTS.sha256[:12]}: train it again."
        )
    network = EmotionNetwork(meta.kinds, len(meta.emotions))
    try:
        network.load_state_dict(load_file(folder / WEIGHTS_FILE))
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{folder} does not hold a classifier of emotion ({reason}).") from None
    return network.eval()
