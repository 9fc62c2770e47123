"""DNS Challenge: clean and noise folders of datasets/ or datasets_fullband/, any edition.

Layout source: Reddy et al., "The INTERSPEECH 2020 Deep Noise Suppression Challenge", and the
download scripts of https://github.com/microsoft/DNS-Challenge. Impulse responses and test sets are
skipped. Where the path of a file does not name the talker, its folder is the label: the talkers of
this folder count as one, so that no mixture holds one talker twice.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from mixgen.core.vocabulary import Kind
from mixgen.corpora.layout import Found, Layout, audio_files

_NOISE = {"noise", "noise_fullband"}
_SPEECH = {"clean", "clean_fullband", "VocalSet_48kHz_mono", "vctk_wav48_silence_trimmed"}
_SKIPPED = {"dev_testset", "test_set", "impulse_responses"}
_CHAPTER = re.compile(r"(?P<group>book_\d+_chp_\d+_(?P<label>reader_\d+))_.*")
_FREESOUND = re.compile(r"(?P<group>(?P<label>.+)_Freesound_.+)_\d+")
_READER_FOLDER = re.compile(r"/(?:fe)?male/([^/]+)/")  # of M-AILABS, in most languages


def _find(root: Path, _kind: Kind) -> Iterator[Found]:
    for path in audio_files(root):
        folders = (root.resolve().name, *path.parent.parts)
        if not _SKIPPED.isdisjoint(folders):
            continue
        if not _NOISE.isdisjoint(folders):
            yield _noise(path)
            continue
        speech = any(folder in _SPEECH or folder.endswith("_speech") for folder in folders)
        # The second microphone of VCTK recorded the same utterances.
        if speech and not path.stem.endswith("_mic2"):
            yield _speech(path, folders[-1])


def _noise(path: Path) -> Found:
    if match := _FREESOUND.fullmatch(path.stem):
        return Found(path.as_posix(), "noise", match["label"], match["group"])
    return Found(path.as_posix(), "noise", "noise", group=path.stem)


def _speech(path: Path, folder: str) -> Found:
    if match := _CHAPTER.fullmatch(path.stem):
        return Found(path.as_posix(), "speech", match["label"], match["group"])
    reader = _READER_FOLDER.search(path.as_posix())
    label = reader[1] if reader else folder
    return Found(path.as_posix(), "speech", label, group=path.parent.as_posix())


LAYOUT = Layout(
    name="dns",
    summary="speech and noise of the DNS Challenges",
    citation=(
        "Reddy et al., The INTERSPEECH 2020 Deep Noise Suppression Challenge, Interspeech 2020"
    ),
    home="https://github.com/microsoft/DNS-Challenge",
    find=_find,
)
