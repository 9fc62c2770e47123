"""MUSDB18's compressed songs (SONG.stem.mp4), decoded once into the folders of MUSDB18-HQ.

Source: Rafii et al., "The MUSDB18 corpus for music separation", 2017, doi:10.5281/zenodo.1117372.
A file holds five AAC streams, which ffmpeg decodes. Decoded, the stems do not add up to the mixture
exactly: compression did not treat them alike. Sets made here use their own sum.
"""

import contextlib
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from mixgen.core.errors import InputError, MachineError
from mixgen.core.files import atomic_path

STEMS = ("mixture", "drums", "bass", "other", "vocals")  # in the order of the streams

_SUFFIX = ".stem.mp4"
_COMPONENT = re.compile(r"^\[[^]]*\] ")  # the part of ffmpeg that speaks


def stem_mp4_files(root: Path) -> list[Path]:
    """Return the compressed songs below `root`, sorted, without hidden ones."""
    return sorted(
        path
        for path in root.rglob("*")
        if path.name.lower().endswith(_SUFFIX)
        and not any(part.startswith(".") for part in path.relative_to(root).parts)
    )


def song_name(path: Path) -> str:
    """Return the song that SONG.stem.mp4 holds.

    Raises:
        InputError: the file is named otherwise.
    """
    song = path.name[: -len(_SUFFIX)]
    if not path.name.lower().endswith(_SUFFIX) or not song or song.startswith("."):
        raise InputError(f"{path} is not named SONG{_SUFFIX}: give a song of MUSDB18.")
    return song


def convert_stem_mp4(path: Path, folder: Path) -> list[Path]:
    """Decode one song to FOLDER/[train/ or test/]SONG/{mixture,drums,bass,other,vocals}.wav.

    The split is the folder that the song lies in. Samples are 32-bit floats, as decoded: AAC may
    overshoot full scale, which integers would clip.

    Returns:
        The five files, in the order of the streams.

    Raises:
        InputError: the file is missing, cut short, or does not hold five streams of audio.
        MachineError: ffmpeg is not installed, or the folder cannot be written.
    """
    if shutil.which("ffmpeg") is None:
        raise MachineError(f"Decoding {path} takes the program ffmpeg: install it and run again.")
    song = song_name(path)
    if not path.is_file():
        raise InputError(f"There is no file {path}: check the path.")
    if _is_cut(path):
        raise InputError(f"{path} is cut short: get it again.")
    split = path.absolute().parent.name
    target = folder / split / song if split in ("train", "test") else folder / song
    files = [target / f"{stem}.wav" for stem in STEMS]
    with contextlib.ExitStack() as stack:
        _decode(path, [stack.enter_context(atomic_path(file)) for file in files])
    return files


def _decode(path: Path, outputs: Sequence[Path]) -> None:
    # "file:" keeps names with a colon from being taken for a protocol; -bitexact leaves out the
    # version of ffmpeg, so that the bytes do not depend on it; -xerror stops at the first defect.
    command = ["ffmpeg", "-nostdin", "-v", "error", "-xerror", "-i", f"file:{path}"]
    for stream, output in enumerate(outputs):
        command += ["-map", f"0:a:{stream}", "-c:a", "pcm_f32le", "-map_metadata", "-1"]
        command += ["-bitexact", "-f", "wav", "-y", f"file:{output}"]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        said = _COMPONENT.sub("", (done.stderr.strip() or "nothing").splitlines()[0]).rstrip(".")
        raise InputError(f"{path} cannot be decoded; ffmpeg says: {said}.")


def _is_cut(path: Path) -> bool:
    """Tell whether the last box of an MP4 file ends beyond the file.

    ffmpeg decodes such a file without a word if the cut lies between two packets.
    """
    size = path.stat().st_size
    end = 0
    with open(path, "rb") as stream:
        while end < size:
            stream.seek(end)
            head = stream.read(16)
            length = int.from_bytes(head[:4], "big")
            if length == 1:  # the length follows in 64 bits
                length = int.from_bytes(head[8:], "big")
            no_mp4 = end == 0 and head[4:8] != b"ftyp"  # which ffmpeg will tell
            if no_mp4 or length < 8:  # a length of 0: up to the end of the file
                return False
            end += length
    return end > size
