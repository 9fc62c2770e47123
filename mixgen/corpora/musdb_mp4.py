"""Decode MUSDB18's compressed songs (SONG.stem.mp4) into the folders of MUSDB18-HQ.

Source: Rafii et al., "The MUSDB18 corpus for music separation", 2017, doi:10.5281/zenodo.1117372.
A file holds five AAC streams, which ffmpeg decodes. The decoded stems do not add up exactly to the
decoded mixture, because each stream was compressed separately. Sets made here use the sum of stems.
"""

import contextlib
import errno
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from mixgen.core.errors import InputError, MachineError
from mixgen.core.files import atomic_path
from mixgen.core.progress import track
from mixgen.corpora.layout import files_named

STEMS = ("mixture", "drums", "bass", "other", "vocals")  # in the order of the streams

_SUFFIX = ".stem.mp4"
_COMPONENT = re.compile(r"^\[[^]]*\] ")  # the component of ffmpeg that reports


def stem_mp4_files(root: Path) -> list[Path]:
    """Return the compressed songs below `root`, sorted; hidden files and folders are skipped."""
    return files_named(root, _SUFFIX)


def song_name(path: Path) -> str:
    """Return the SONG in the name SONG.stem.mp4 of a file.

    Raises:
        InputError: the name has another form.
    """
    song = path.name[: -len(_SUFFIX)]
    if not path.name.lower().endswith(_SUFFIX) or not song or song.startswith("."):
        raise InputError(f"{path} is not named SONG{_SUFFIX}: give a song of MUSDB18.")
    return song


def convert_songs(root: Path, folder: Path) -> tuple[list[Path], list[tuple[str, str]]]:
    """Decode all songs below `root`, each as `convert_stem_mp4` does.

    Returns:
        The songs that are decoded, and those that cannot be, as (path below root, reason).

    Raises:
        InputError: there is no song.
        MachineError: as there.
    """
    songs = stem_mp4_files(root)
    if not songs:
        raise InputError(f"There is no {_SUFFIX} file below {root}: check the folder.")
    decoded, failures = [], []
    for song in track(songs, "converting"):
        try:
            convert_stem_mp4(song, folder)
            decoded.append(song)
        except InputError as error:
            failures.append((song.relative_to(root).as_posix(), str(error)))
    return decoded, failures


def convert_stem_mp4(path: Path, folder: Path) -> list[Path]:
    """Decode one song to FOLDER/[train/ or test/]SONG/{mixture,drums,bass,other,vocals}.wav.

    The split is the name of the folder with the song. The WAV files hold the decoded 32-bit floats:
    AAC may overshoot full scale, which integers would clip.

    Returns:
        The five files, in the order of the streams.

    Raises:
        InputError: the file is missing, truncated, or does not hold five streams of audio.
        MachineError: ffmpeg is not installed, or the folder cannot be written.
    """
    if shutil.which("ffmpeg") is None:
        raise MachineError(f"Decoding {path} needs the program ffmpeg: install it and run again.")
    files = decoded_files(path, folder)
    if not path.is_file():
        raise InputError(f"There is no file {path}: check the path.")
    if _is_truncated(path):
        raise InputError(f"{path} is cut short: get it again.")
    with contextlib.ExitStack() as stack:
        _decode(path, [stack.enter_context(atomic_path(file)) for file in files])
    return files


def decoded_files(path: Path, folder: Path) -> list[Path]:
    """Return where `convert_stem_mp4` puts the streams of a song, in their order.

    Raises:
        InputError: the name of the song has another form.
    """
    song = song_name(path)
    split = path.absolute().parent.name
    target = folder / split / song if split in ("train", "test") else folder / song
    return [target / f"{stem}.wav" for stem in STEMS]


def _decode(path: Path, outputs: Sequence[Path]) -> None:
    # "file:" marks a path, so that ffmpeg reads no protocol from a name with a colon; -bitexact
    # omits the version of ffmpeg, on which the bytes would depend; -xerror stops at the first
    # defect.
    command = ["ffmpeg", "-nostdin", "-v", "error", "-xerror", "-i", f"file:{path}"]
    for stream, output in enumerate(outputs):
        command += ["-map", f"0:a:{stream}", "-c:a", "pcm_f32le", "-map_metadata", "-1"]
        command += ["-bitexact", "-f", "wav", "-y", f"file:{output}"]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        first_line = (done.stderr.strip() or "nothing").splitlines()[0]
        report = _COMPONENT.sub("", first_line).rstrip(".")
        if os.strerror(errno.ENOSPC) in done.stderr:
            raise MachineError(
                f"No space left on the disk while decoding {path}: free some and run again."
            )
        raise InputError(f"{path} cannot be decoded: ffmpeg reports {report!r}, get it again.")


def _is_truncated(path: Path) -> bool:
    """Return whether the last box of an MP4 file ends beyond the file.

    ffmpeg decodes a truncated file without an error if the cut lies between two packets.
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
            is_mp4 = end > 0 or head[4:8] == b"ftyp"  # ffmpeg reports other files
            if not is_mp4 or length < 8:  # a box of length 0 extends to the end of the file
                return False
            end += length
    return end > size
