"""CREMA-D: AudioWAV/1001_DFA_ANG_XX.wav: actor, sentence, emotion, intensity.

Layout source: Cao, Cooper, Keutmann, Gur, Nenkova, Verma, "CREMA-D: crowd-sourced emotional
multimodal actors dataset", IEEE Transactions on Affective Computing 5(4), 2014. Emotions are those
that the actors were asked for, not those that listeners heard.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from mixgen.core.vocabulary import Kind
from mixgen.corpora.layout import Found, Layout, audio_files

_CLIP = re.compile(
    r"(?P<actor>1\d{3})_(?P<sentence>[A-Z]{3})_(?P<emotion>ANG|DIS|FEA|HAP|NEU|SAD)_(LO|MD|HI|XX?)"
)

_EMOTIONS = {
    "ANG": "anger",
    "DIS": "disgust",
    "FEA": "fear",
    "HAP": "happiness",
    "NEU": "neutral",
    "SAD": "sadness",
}
_SENTENCES = {
    "IEO": "It's eleven o'clock",
    "TIE": "That is exactly what happened",
    "IOM": "I'm on my way to the meeting",
    "IWW": "I wonder what this is about",
    "TAI": "The airplane is almost full",
    "MTI": "Maybe tomorrow it will be cold",
    "IWL": "I would like a new alarm clock",
    "ITH": "I think I have a doctor's appointment",
    "DFA": "Don't forget a jacket",
    "ITS": "I think I've seen this before",
    "TSI": "The surface is slick",
    "WSI": "We'll stop in a couple of minutes",
}


def _find(root: Path, _kind: Kind) -> Iterator[Found]:
    for path in audio_files(root):
        match = _CLIP.fullmatch(path.stem)
        if match:
            text = _SENTENCES.get(match["sentence"], "")
            yield Found(path.as_posix(), "speech", match["actor"], match["actor"], text=text)


def _emotion(name: str) -> str:
    match = _CLIP.fullmatch(name)
    return _EMOTIONS[match["emotion"]] if match else ""


LAYOUT = Layout(
    name="crema_d",
    summary="CREMA-D, the sound of its clips",
    licence="ODbL 1.0",
    citation=(
        "Cao et al., CREMA-D: Crowd-Sourced Emotional Multimodal Actors Dataset, IEEE Transactions "
        "on Affective Computing 5(4), 2014"
    ),
    home="https://github.com/CheyneyComputerScience/CREMA-D",
    find=_find,
    emotion=_emotion,
)
