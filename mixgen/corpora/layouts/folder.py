"""A plain folder: the label of a file is the name of the folder it is in.

For room responses, folders of one name in different places are different rooms, and the label is
the path of each: small/Room001 and large/Room001, as in OpenSLR 28.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from mixgen.core.vocabulary import Kind
from mixgen.corpora.layout import Found, Layout, audio_files


def _find(root: Path, kind: Kind) -> Iterator[Found]:
    paths = list(audio_files(root))
    folders = Counter(folder.name for folder in {path.parent for path in paths})
    for path in paths:
        label = path.parent.name or root.resolve().name
        if kind == "rir" and folders[path.parent.name] > 1:
            label = path.parent.as_posix()
        # One group per recording, so that its excerpts never reach two splits.
        yield Found(path.as_posix(), kind, label, group=path.with_suffix("").as_posix())


LAYOUT = Layout(
    name="folder",
    summary="any folder of audio; the innermost folder is the label",
    find=_find,
)
