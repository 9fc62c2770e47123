"""A plain folder: the label of a file is the name of the folder it is in."""

from collections.abc import Iterator
from pathlib import Path

from mixgen.core.vocabulary import Kind
from mixgen.corpora.layout import Found, Layout, audio_files


def _find(root: Path, kind: Kind) -> Iterator[Found]:
    for path in audio_files(root):
        label = path.parent.name or root.resolve().name
        # One group per recording, so that its excerpts never reach two splits.
        yield Found(path.as_posix(), kind, label, group=path.with_suffix("").as_posix())


LAYOUT = Layout(
    name="folder",
    summary="any folder of audio; the innermost folder is the label",
    find=_find,
)
