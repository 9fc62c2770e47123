"""Files of a mixture that exist already: a record with them points at audio, and makes none."""

from pydantic import Field

from mixgen.core.records import ExactRecord, RelativePath


class FinishedFile(ExactRecord):
    """A file of a mixture, in the folder that it was imported from.

    `sha256` is of the bytes, as in an event, and `samples_sha256` of the samples (see
    `mixgen.audio.formats.file_samples`). `frames` is its length where that is not the mixture's: a
    far-end signal may be longer or shorter.
    """

    corpus: str
    path: RelativePath
    sha256: str
    samples_sha256: str
    peak: float = Field(ge=0)
    licence: str = ""
    frames: int | None = Field(default=None, ge=1)


class Finished(ExactRecord):
    """The files of a mixture by their names: of the mixture itself, and of every source.

    `sums` says whether the sources add up to the mixture exactly, in whole steps of the format of
    the manifest.
    """

    files: dict[str, FinishedFile]
    sums: bool
