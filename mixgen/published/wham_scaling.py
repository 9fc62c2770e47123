"""The scaling_tr.npz, scaling_cv.npz and scaling_tt.npz that WHAM! noise comes with.

They have, for every mixture, the sample at which the talkers begin in the noise, and linear gains
for each rate and mode: of each talker as in wsj0-2mix, of both talkers, and of the noise.
"""

import pickle
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixgen.core.errors import InputError
from mixgen.core.files import reading

_NAMES = "utterance_id"
_STARTS = "speech_start_sample_16k"
_ADVICE = "give the wham_noise folder as its archive has it"


class Gains(NamedTuple):
    """Linear gains of a mixture: of each talker as in wsj0-2mix, then of both, and of the noise."""

    talkers: tuple[float, ...]
    speech: float
    noise: float


@dataclass(frozen=True)
class Scaling:
    """Starts and gains of the mixtures of a subset, from a file."""

    path: Path
    numbers: dict[str, int]
    arrays: dict[str, NDArray[Any]]

    def start(self, name: str) -> int:
        """Return the sample of the noise, at 16 kHz, at which the talkers of a mixture begin."""
        return int(self.arrays[_STARTS][self.numbers[name]])

    def gains(self, name: str, rate: int, mode: str) -> Gains:
        """Return the gains of a mixture at a rate in Hz and in a mode."""
        index, keys = self.numbers[name], _keys(rate, mode)
        talkers, speech, noise = (self.arrays[key][index] for key in keys)
        return Gains(tuple(map(float, talkers)), float(speech), float(noise))


def _keys(rate: int, mode: str) -> list[str]:
    variant = f"{rate // 1000}k_{mode}"
    return [f"scaling_{kind}_{variant}" for kind in ("wsjmix", "wham_speech", "wham_noise")]


def read_scaling(wham_noise: Path, subset: str, variants: Sequence[tuple[int, str]]) -> Scaling:
    """Read what a subset needs for pairs of a rate in Hz and a mode.

    Raises:
        InputError: the file is missing, damaged, or not one of WHAM!.
    """
    path = wham_noise / "metadata" / f"scaling_{subset}.npz"
    if not path.is_file():
        raise InputError(
            f"{path} is missing, which has the levels of all mixtures of {subset}: {_ADVICE}."
        )
    needed = {_STARTS: 1} | {
        key: 2 if "wsjmix" in key else 1 for variant in variants for key in _keys(*variant)
    }
    with reading(path):
        try:
            with zipfile.ZipFile(path) as archive:
                arrays = {key: _array(archive, key) for key in needed}
                names = _names(archive)
        except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise InputError(f"{path} has no scaling of WHAM! ({error}): {_ADVICE}.") from None
    for key, array in arrays.items():
        shape = (len(names), 2)[: needed[key]]
        if array.shape != shape or array.dtype.kind not in "iuf" or not np.isfinite(array).all():
            raise InputError(f"{path} does not hold {shape} numbers as {key!r}: {_ADVICE}.")
    if arrays[_STARTS].min(initial=0) < 0:
        raise InputError(f"{path} has a start before the noise: {_ADVICE}.")
    return Scaling(path, {name: index for index, name in enumerate(names)}, arrays)


def _array(archive: zipfile.ZipFile, key: str) -> NDArray[Any]:
    """Return an array of numbers or strings; raises ValueError if it holds objects."""
    with archive.open(f"{key}.npy") as member:
        return np.lib.format.read_array(member, allow_pickle=False)


def _names(archive: zipfile.ZipFile) -> list[str]:
    """Return the names of the mixtures; raises ValueError if they are none."""
    with archive.open(f"{_NAMES}.npy") as member:
        np.lib.format.read_magic(member)
        has_objects = np.lib.format.read_array_header_1_0(member)[2].hasobject
        names = _unpickled(member) if has_objects else _array(archive, _NAMES).tolist()
    if not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
        raise ValueError(f"{_NAMES} are no names")
    return names


def _unpickled(stream: IO[bytes]) -> object:
    """Return the items of the pickled array of strings, in which the official files have names."""
    try:
        return getattr(_Unpickler(stream).load(), "items", None)
    except Exception as error:  # of any kind: a damaged pickle raises whatever it likes
        raise ValueError(f"{_NAMES} cannot be read: {error}") from None


class _PickledArray:
    """Takes the place of a numpy array in a pickle, and keeps the list of its items."""

    items: object = None

    def __init__(self, *_: object) -> None: ...

    def __setstate__(self, state: object) -> None:
        self.items = state[-1] if isinstance(state, tuple) and state else None


class _Unpickler(pickle.Unpickler):
    """Reads a pickle of which everything that it can call is `_PickledArray`: it runs no code."""

    def find_class(self, module: str, name: str) -> type[_PickledArray]:
        """Return the stand-in for the three names that the pickle of an array has."""
        if module.partition(".")[0] != "numpy" or name not in ("_reconstruct", "ndarray", "dtype"):
            raise pickle.UnpicklingError(f"it calls {module}.{name}")
        return _PickledArray
