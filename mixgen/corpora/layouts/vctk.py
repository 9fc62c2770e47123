"""VCTK: wav48_silence_trimmed/TALKER/TALKER_NUMBER_mic1.flac or wav48/TALKER/*.wav, and txt/.

Layout source: Yamagishi, Veaux, MacDonald, "CSTR VCTK Corpus", version 0.92, 2019,
doi:10.7488/ds/2645. Only the first microphone is listed: the second recorded the same utterances,
but not those of every talker.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from mixgen.core.vocabulary import Kind
from mixgen.corpora.layout import Found, Layout, audio_files

_UTTERANCE = re.compile(r"(?P<name>(?P<talker>[ps]\d+)_\d+)(_mic1)?")


def _find(root: Path, _kind: Kind) -> Iterator[Found]:
    for path in audio_files(root):
        match = _UTTERANCE.fullmatch(path.stem)
        if match and path.parent.name == match["talker"]:
            text = _text(root.resolve() / path, f"{match['talker']}/{match['name']}.txt")
            yield Found(
                path.as_posix(), "speech", match["talker"], group=match["talker"], text=text
            )


def _text(audio: Path, name: str) -> str:
    """Return the text that the talker read, empty for p315, whose texts were not published."""
    path = audio.parent.parent.parent / "txt" / name
    return path.read_text(encoding="utf-8-sig", errors="replace").strip() if path.is_file() else ""


LAYOUT = Layout(
    name="vctk",
    summary="VCTK 0.92 or older, first microphone",
    licence="CC BY 4.0",
    citation="Yamagishi, Veaux and MacDonald, CSTR VCTK Corpus 0.92, 2019, doi 10.7488/ds/2645",
    home="https://datashare.ed.ac.uk/handle/10283/3443",
    find=_find,
)
