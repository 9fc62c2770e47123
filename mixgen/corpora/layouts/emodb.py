"""EmoDB: wav/TTSSSEV.wav, as 03a01Fa: talker, sentence, emotion, version.

Layout source: Burkhardt, Paeschke, Rolfes, Sendlmeier, Weiss, "A database of German emotional
speech", Interspeech 2005. Ten actors speak ten sentences, which say nothing of the emotion.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from mixgen.core.vocabulary import Kind
from mixgen.corpora.layout import Found, Layout, audio_files

_CLIP = re.compile(r"(?P<talker>\d\d)(?P<sentence>[ab]\d\d)(?P<emotion>[AEFLNTW])[a-f]")

_EMOTIONS = {
    "A": "fear",
    "E": "disgust",
    "F": "happiness",
    "L": "boredom",
    "N": "neutral",
    "T": "sadness",
    "W": "anger",
}
_SENTENCES = {
    "a01": "Der Lappen liegt auf dem Eisschrank.",
    "a02": "Das will sie am Mittwoch abgeben.",
    "a04": "Heute abend könnte ich es ihm sagen.",
    "a05": "Das schwarze Stück Papier befindet sich da oben neben dem Holzstück.",
    "a07": "In sieben Stunden wird es soweit sein.",
    "b01": "Was sind denn das für Tüten, die da unter dem Tisch stehen?",
    "b02": "Sie haben es gerade hochgetragen und jetzt gehen sie wieder runter.",
    "b03": "An den Wochenenden bin ich jetzt immer nach Hause gefahren und habe Agnes besucht.",
    "b09": "Ich will das eben wegbringen und dann mit Karl was trinken gehen.",
    "b10": "Die wird auf dem Platz sein, wo wir sie immer hinlegen.",
}


def _find(root: Path, _kind: Kind) -> Iterator[Found]:
    for path in audio_files(root):
        match = _CLIP.fullmatch(path.stem)
        if match:
            text = _SENTENCES.get(match["sentence"], "")
            yield Found(path.as_posix(), "speech", match["talker"], match["talker"], text=text)


def _emotion(name: str) -> str:
    match = _CLIP.fullmatch(name)
    return _EMOTIONS[match["emotion"]] if match else ""


LAYOUT = Layout(
    name="emodb",
    summary="Berlin Database of Emotional Speech, and its clips elsewhere",
    citation=(
        "Burkhardt et al., A Database of German Emotional Speech, Interspeech 2005, "
        "doi 10.21437/Interspeech.2005-446"
    ),
    home="http://emodb.bilderbar.info",
    find=_find,
    emotion=_emotion,
)
