"""WHAM! noise: wham_noise/{tr,cv,tt}/*.wav and metadata/noise_meta_{tr,cv,tt}.csv.

Layout source: Wichern et al., "WHAM!: Extending Speech Separation to Noisy Environments",
Interspeech 2019, and the README in metadata/. A file has the name of the wsj0-2mix mixture that it
belongs to. Its group is the recording location, which only the tables name; without the tables,
its group is its name. The copies at other speeds in LibriMix share the group of their original.
"""

import functools
import re
from collections.abc import Iterator
from pathlib import Path

from mixgen.core.vocabulary import Kind
from mixgen.corpora.layout import SPLITS, Found, Layout, audio_files
from mixgen.corpora.tables import read_table

_FOLDERS = ("tr", "cv", "tt")
_SPEED_MARK = re.compile(r"sp(08|12)$")


def _find(root: Path, _kind: Kind) -> Iterator[Found]:
    locations = functools.cache(_locations)
    for path in audio_files(root):
        folder = (root.resolve() / path).parent
        if folder.name in _FOLDERS:
            table = folder.parent / "metadata" / f"noise_meta_{folder.name}.csv"
            name = _SPEED_MARK.sub("", path.stem)
            group = locations(table).get(name, name)
            yield Found(path.as_posix(), "noise", "ambience", group, SPLITS[folder.name])


def _locations(table: Path) -> dict[str, str]:
    """Return the location of each recording, by its name; empty if the table is missing."""
    rows = read_table(table, ("utterance_id", "Location ID")) if table.is_file() else ()
    return {row["utterance_id"].removesuffix(".wav"): row["Location ID"] for row in rows}


LAYOUT = Layout(
    name="wham",
    summary="noise of WHAM! and WHAMR!",
    licence="CC BY-NC 4.0",
    citation=(
        "Wichern et al., WHAM!: Extending Speech Separation to Noisy Environments, Interspeech 2019"
    ),
    home="http://wham.whisper.ai",
    find=_find,
)
