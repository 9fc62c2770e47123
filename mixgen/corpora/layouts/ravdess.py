"""RAVDESS: Actor_01/03-01-06-01-02-01-12.wav, seven numbers: see `_CLIP`.

Layout source: Livingstone and Russo, "The Ryerson Audio-Visual Database of Emotional Speech and
Song (RAVDESS)", PLoS ONE 13(5), 2018. Songs are skipped.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from mixgen.core.vocabulary import Kind
from mixgen.corpora.layout import Found, Layout, audio_files

# Modality (03: audio alone), vocal channel (01: speech), emotion, intensity, statement, repetition,
# actor.
_CLIP = re.compile(r"03-01-(?P<emotion>0[1-8])-0[12]-(?P<statement>0[12])-0[12]-(?P<actor>\d\d)")

_EMOTIONS = {
    "01": "neutral",
    "02": "calm",
    "03": "happiness",
    "04": "sadness",
    "05": "anger",
    "06": "fear",
    "07": "disgust",
    "08": "surprise",
}
_STATEMENTS = {"01": "Kids are talking by the door", "02": "Dogs are sitting by the door"}


def _find(root: Path, _kind: Kind) -> Iterator[Found]:
    for path in audio_files(root):
        match = _CLIP.fullmatch(path.stem)
        if match:
            text = _STATEMENTS[match["statement"]]
            yield Found(path.as_posix(), "speech", match["actor"], match["actor"], text=text)


def _emotion(name: str) -> str:
    match = _CLIP.fullmatch(name)
    return _EMOTIONS[match["emotion"]] if match else ""


LAYOUT = Layout(
    name="ravdess",
    summary="RAVDESS, speech alone",
    licence="CC BY-NC-SA 4.0",
    citation=(
        "Livingstone and Russo, The Ryerson Audio-Visual Database of Emotional Speech and Song, "
        "PLoS ONE 13(5), 2018, doi 10.1371/journal.pone.0196391"
    ),
    home="https://zenodo.org/records/1188976",
    find=_find,
    emotion=_emotion,
)
