"""The check of a set's files on disk: their sizes and headers, and their hashes."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mixgen.audio.read import audio_info, is_cut_short, read_audio
from mixgen.core.errors import InputError
from mixgen.core.files import sha256_file
from mixgen.core.paths import leads_out
from mixgen.manifest.mixture import Mixture
from mixgen.report.checks import Check, Fault, Judged
from mixgen.report.rows import Rows
from mixgen.sets.rendered import FileRow
from mixgen.verify.set import fits

_GONE, _UNREADABLE, _OTHER_SIZE, _OTHER_CONTENT = 4.0, 3.0, 2.0, 1.0


def file_check(folder: Path, *, hashes: bool) -> Check:
    """Return the check that compares the files of a set with their records.

    Without `hashes`, each file is opened and its last sample is read; with them, all bytes are.
    """
    return Check(
        name="files",
        of="files",
        fails="not as they were rendered",
        passes=(
            "every file has the bytes that were rendered"
            if hashes
            else "every file has the length, sample rate and channels of its record"
        ),
        advice="`mixgen render` with the set's manifest makes them again.",
        severity="error",
        judge=_Files(folder, hashes).judge,
    )


@dataclass(frozen=True)
class _Files:
    """The files of a set, to be compared with their rows."""

    folder: Path
    hashes: bool

    def judge(self, mixture: Mixture, rows: Rows) -> Iterator[Judged]:
        """Judge every recorded file of a mixture."""
        for row in rows.values():
            try:
                fault = self._size_fault(mixture, row)
                if fault is None and self.hashes:
                    fault = self._hash_fault(row, rows)
            except InputError as error:
                # Without the folder: a page may be passed on.
                reason = str(error).replace(f"{self.folder}/", "").rstrip(".")
                fault = Fault(_UNREADABLE, reason)
            except OSError as error:
                fault = Fault(_UNREADABLE, f"it cannot be read: {error.strerror}")
            yield row.path, fault

    def _size_fault(self, mixture: Mixture, row: FileRow) -> Fault | None:
        path = self.folder / row.path
        if leads_out(self.folder, row.path):
            return Fault(_UNREADABLE, "a link leads out of the set")
        if not path.is_file():
            return Fault(_GONE, "it does not exist")
        if path.stat().st_size == 0:
            return Fault(_UNREADABLE, "it is empty")
        info = audio_info(path)
        found = (info.frames, info.sample_rate, info.channels)
        recorded = (row.frames, row.sample_rate, row.channels)
        if found != recorded:
            return Fault(_OTHER_SIZE, f"it has {_size(*found)} instead of {_size(*recorded)}")
        if not fits(row, mixture):
            return Fault(_OTHER_SIZE, f"it has {_size(*found)}, which do not fit the mixture")
        if is_cut_short(path):
            return Fault(_OTHER_SIZE, "it is cut short")
        read_audio(path, start=max(0, info.frames - 1))  # a cut FLAC has a whole header
        return None

    def _hash_fault(self, row: FileRow, rows: Rows) -> Fault | None:
        found = sha256_file(self.folder / row.path)
        if found == row.file_sha256:
            return None
        holds = next((other.name for other in rows.values() if other.file_sha256 == found), None)
        if holds is not None:
            return Fault(_OTHER_CONTENT, f"it holds what was rendered as {holds}")
        return Fault(_OTHER_CONTENT, "its content differs from what was rendered")


def _size(frames: int, sample_rate: int, channels: int) -> str:
    return f"{frames} samples at {sample_rate} Hz in {channels} channel(s)"
