"""WSJ0: SUBSET/TALKER/UTTERANCE.wav, converted from the SPHERE files (.wv1) of the discs.

Layout source: Garofolo et al., "CSR-I (WSJ0) Complete", LDC93S6A, 1993. An utterance is called
SSSTEEUU: talker, type of speech, session, number. The split of a file is its subset, because
wsj0-2mix draws both its training and its validation mixtures from one subset, si_tr_s.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from mixgen.core.errors import InputError
from mixgen.core.vocabulary import Kind
from mixgen.corpora.layout import Found, Layout, audio_files, files_named

# Some converters keep the suffix .wv1; .wv2 is the second microphone.
_UTTERANCE = re.compile(r"(?P<session>(?P<talker>\w{3})\w{3})\w{2}(\.wv1)?", re.IGNORECASE)


def _find(root: Path, _kind: Kind) -> Iterator[Found]:
    found = False
    for path in audio_files(root):
        match = _UTTERANCE.fullmatch(path.stem)
        talker = path.parent.name
        if match and talker and match["talker"].lower() == talker.lower():
            found = True
            subset = (root.resolve().name, *path.parts)[-3]
            yield Found(path.as_posix(), "speech", talker, group=match["session"], split=subset)
    if not found:
        _refuse_sphere(root)


def _refuse_sphere(root: Path) -> None:
    """Raise an InputError if the utterances are still in the compressed files of the discs."""
    sphere = files_named(root, ".wv1")
    if sphere:
        raise InputError(
            f"{sphere[0]} is a compressed SPHERE file, which this layout cannot read: convert all "
            ".wv1, as in `sph2pipe -f wav 01to030v.wv1 01to030v.wav`, and index again."
        )


LAYOUT = Layout(
    name="wsj0",
    summary="WSJ0 converted to WAV, first microphone",
    licence="LDC User Agreement",
    citation="Garofolo et al., CSR-I (WSJ0) Complete, LDC93S6A, 1993",
    home="https://catalog.ldc.upenn.edu/LDC93S6A",
    find=_find,
)
