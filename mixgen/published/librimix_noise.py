"""The copies of WHAM! noises at other speeds, which lists of LibriMix for training name.

LibriMix's augment_train_noise.py sends the first channel of tr/X.wav through the effect `speed` of
sox, in 64-bit floats at a rate that is called 44.1 kHz, and writes it as tr/Xsp08.wav or Xsp12.wav.
The same is done here, so with one version of sox the files have the same samples.
"""

import functools
import re
import shutil
import subprocess
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from mixgen.audio.formats import FORMATS, encode_samples, rounded_samples
from mixgen.audio.read import read_audio
from mixgen.core.errors import InputError, MachineError
from mixgen.core.files import write_bytes
from mixgen.core.paths import inside
from mixgen.core.progress import track
from mixgen.core.workers import bounded_map, default_workers

_COPY = re.compile(r"sp(08|12)\.wav$")
_CALLED_RATE = 44100


def make_missing_copies(root: Path, paths: Iterable[str]) -> int:
    """Make copies at other speeds that are missing, beside their originals; return how many.

    Args:
        root: folder of WHAM! noise.
        paths: of noises, relative to the root; those that are no copies are skipped.

    Raises:
        InputError: an original cannot be read, or sox refuses it.
        MachineError: sox is not installed, or the folder cannot be written.
    """
    missing = [path for path in sorted(set(paths)) if _is_to_be_made(root, path)]
    if missing and shutil.which("sox") is None:
        raise MachineError(
            f"{missing[0]} is made from its original by the program sox: install it, or run "
            "augment_train_noise.py of LibriMix."
        )
    with ThreadPoolExecutor(default_workers()) as pool:
        make = functools.partial(_make, root)
        made = bounded_map(make, missing, window=64, executor=pool)
        for _ in track(made, "making noises at other speeds", len(missing)):
            pass
    return len(missing)


def _is_to_be_made(root: Path, path: str) -> bool:
    if _COPY.search(path) is None or inside(root, path).exists():
        return False
    return (root / _COPY.sub(".wav", path)).is_file()


def _make(root: Path, path: str) -> None:
    original = root / _COPY.sub(".wav", path)
    digits = path.removesuffix(".wav")[-2:]
    samples, rate = read_audio(original)
    raw = ["-t", "f64", "-r", str(_CALLED_RATE), "-c", "1", "-"]
    command = ["sox", "-N", "-V1", *raw, *raw, "speed", f"{digits[0]}.{digits[1]}"]
    done = subprocess.run(command, input=samples[0].tobytes(), capture_output=True, check=False)
    if done.returncode or not done.stdout:
        reason = done.stderr.decode(errors="replace").strip() or "it returned no sound"
        raise InputError(f"sox cannot change the speed of {original} ({reason}).")
    changed = np.frombuffer(bytearray(done.stdout), "<f8")[None]
    content = rounded_samples(changed, FORMATS["wav16"], down=True)
    write_bytes(root / path, encode_samples(content, rate, FORMATS["wav16"]), flush=False)
