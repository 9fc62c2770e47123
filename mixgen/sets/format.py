"""The sample format of a rendered set, as its files have it."""

from pathlib import Path

import soundfile

from mixgen.audio.formats import FORMATS, SampleFormat
from mixgen.core.errors import InputError
from mixgen.sets.rendered import RENDERED_FILE, RenderedFile, is_whole


def check_format(record: RenderedFile) -> None:
    """Check that the first file, if it is as recorded, has the format that is in the header.

    Raises:
        InputError: it has another one, so the header is wrong.
    """
    folder, sample_format = record.root, FORMATS[record.header.format]
    row = next(iter(record), None)
    if (
        row is not None
        and is_whole(row, folder)
        and not _is_of_format(folder / row.path, sample_format)
    ):
        raise InputError(
            f"{record.path} has the format {sample_format.name} in its header, which {row.path} is "
            f"not: remove {RENDERED_FILE} and run `mixgen render` with the set's manifest and "
            "format; files that are whole stay."
        )


def _is_of_format(path: Path, sample_format: SampleFormat) -> bool:
    try:
        info = soundfile.info(path)
    except soundfile.LibsndfileError:
        return False
    return (info.format, info.subtype) == (sample_format.extension.upper(), sample_format.subtype)
