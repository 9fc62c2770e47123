"""Layouts of speech: talkers, sessions, subsets and texts of real excerpts and miniatures."""

import csv
from pathlib import Path

import pytest

from mixgen.core.errors import InputError
from mixgen.corpora.layout import Found, emotion_of
from tests.mixgen.corpora.layouts.conftest import Find, LayOut


def test_vctk_lists_only_the_first_microphone(lay_out: LayOut, find: Find) -> None:
    root = lay_out(
        "VCTK/wav48_silence_trimmed/p225/p225_001_mic1.flac",
        "VCTK/wav48_silence_trimmed/p225/p225_001_mic2.flac",
        "VCTK/wav48_silence_trimmed/s5/s5_003_mic1.flac",
        "VCTK/wav48_silence_trimmed/p315/p315_001_mic1.flac",
        texts={
            "VCTK/txt/p225/p225_001.txt": "Please call Stella.\r\n",
            "VCTK/txt/s5/s5_003.txt": "Six spoons.\n",
        },
    )
    found = find("vctk", root)
    assert [(item.label, item.group, item.text) for item in found.values()] == [
        ("p225", "p225", "Please call Stella."),
        ("p315", "p315", ""),
        ("s5", "s5", "Six spoons."),
    ]


@pytest.mark.parametrize("start", ["", "VCTK-Corpus", "VCTK-Corpus/wav48"])
def test_vctk_before_version_0_92_is_found(lay_out: LayOut, find: Find, start: str) -> None:
    root = lay_out(
        "VCTK-Corpus/wav48/p226/p226_002.wav",
        texts={"VCTK-Corpus/txt/p226/p226_002.txt": "Ask her.\n"},
    )
    (item,) = find("vctk", root / start).values()
    assert (item.label, item.text) == ("p226", "Ask her.")


def test_vctk_skips_similar_names_outside_the_folders_of_talkers(
    real_data: Path, find: Find
) -> None:
    assert find("vctk", real_data / "speech" / "voicebank-demand-p287-denoiser") == {}


@pytest.mark.parametrize("start", ["", "wsj0", "wsj0/si_tr_s"])
def test_wsj0_has_talkers_sessions_and_subsets(lay_out: LayOut, find: Find, start: str) -> None:
    root = lay_out("wsj0/si_tr_s/01t/01to030v.wav", "wsj0/si_tr_s/01t/readme.wav")
    (item,) = find("wsj0", root / start).values()
    assert (item.label, item.group, item.split) == ("01t", "01to03", "si_tr_s")


def test_wsj0_second_microphone_is_skipped(lay_out: LayOut, find: Find) -> None:
    root = lay_out(
        "11-1.1/wsj0/si_et_05/440/440c0201.wv1.wav", "11-1.1/wsj0/si_et_05/440/440c0201.wv2.wav"
    )
    (item,) = find("wsj0", root).values()
    assert (item.path.rpartition("/")[2], item.split) == ("440c0201.wv1.wav", "si_et_05")


def test_wsj0_as_on_the_discs_is_refused(lay_out: LayOut, find: Find) -> None:
    root = lay_out("wsj0/si_tr_s/01t/01to030v.WV1", "wsj0/si_tr_s/01t/01to030v.wv2")
    with pytest.raises(InputError, match=r"01to030v\.WV1 is a compressed SPHERE file.*sph2pipe"):
        find("wsj0", root)


def test_ljspeech_real_excerpt_has_one_talker_and_texts(real_data: Path, find: Find) -> None:
    found = find("ljspeech", real_data / "speech" / "ljspeech-coqui")
    assert len(found) == 10
    assert {(item.label, item.group) for item in found.values()} == {("LJ", "LJ001")}
    assert found["LJ001-0002.flac"].text == "in being comparatively modern."


def test_ljspeech_texts_are_normalised_and_may_hold_quotation_marks(
    lay_out: LayOut, find: Find
) -> None:
    lines = (
        'LJ001-0007|the "forty-two line Bible" of 1455,|the "forty-two line Bible" of fourteen\n'
    )
    root = lay_out("wavs/LJ001-0007.wav", "wavs/LJ001-0008.wav", texts={"metadata.csv": lines})
    texts = [item.text for item in find("ljspeech", root).values()]
    assert texts == ['the "forty-two line Bible" of fourteen', ""]


def test_ljspeech_truncated_table_is_refused(lay_out: LayOut, find: Find) -> None:
    root = lay_out("wavs/LJ001-0007.wav", texts={"metadata.csv": "LJ001-0007|the For"})
    with pytest.raises(InputError, match=r"metadata\.csv line 1 ends early"):
        find("ljspeech", root)


COLUMNS = "client_id\tpath\tsentence\tup_votes\tdown_votes\tage\tgender\taccent\tlocale\tsegment"


def _table(*rows: tuple[str, str, str]) -> str:
    lines = ("\t".join((*row, "2", "0", "", "", "", "en", "")) for row in rows)
    return "\n".join((COLUMNS, *lines)) + "\n"


def test_common_voice_has_talkers_splits_and_texts_of_its_tables(
    lay_out: LayOut, find: Find
) -> None:
    names = [f"en/clips/common_voice_en_{number}.mp3" for number in range(1, 6)]
    clips = {number: Path(name).name for number, name in enumerate(names, start=1)}
    root = lay_out(
        *names,
        "en/other/clip.mp3",
        texts={
            "en/train.tsv": _table(("ann", clips[1], '"Yes," he said.')),
            "en/dev.tsv": _table(("bob", clips[2], "Two")),
            "en/test.tsv": _table(("cid", "common_voice_en_3", "Three")),  # as before version 4
            "en/validated.tsv": _table(
                ("ann", clips[1], '"Yes," he said.'),
                ("bob", clips[2], "Two"),
                ("dot", clips[4], 'An open quote: "'),
            ),
            "en/invalidated.tsv": _table(("eve", clips[5], "Rejected")),
        },
    )
    assert [(f.label, f.split, f.text) for f in find("common_voice", root).values()] == [
        ("ann", "train", '"Yes," he said.'),
        ("bob", "valid", "Two"),
        ("cid", "test", "Three"),
        ("dot", "", 'An open quote: "'),
    ]


def test_common_voice_reads_the_tables_of_each_language(lay_out: LayOut, find: Find) -> None:
    root = lay_out(
        "cy/clips/1.mp3",
        "br/clips/1.mp3",
        texts={
            "cy/train.tsv": _table(("ann", "1.mp3", "Bore da")),
            "br/test.tsv": _table(("bob", "1.mp3", "Demat")),
        },
    )
    found = find("common_voice", root)
    assert [(item.label, item.split) for item in found.values()] == [
        ("bob", "test"),
        ("ann", "train"),
    ]


def test_common_voice_without_tables_is_refused(lay_out: LayOut, find: Find) -> None:
    with pytest.raises(InputError, match=r"en has clips but none of the tables validated"):
        find("common_voice", lay_out("en/clips/1.mp3"))


def test_common_voice_paths_that_lead_elsewhere_are_not_followed(
    lay_out: LayOut, find: Find
) -> None:
    root = lay_out(
        "en/clips/1.mp3",
        "secret.mp3",
        texts={"en/train.tsv": _table(("ann", "../../secret.mp3", ""), ("bob", "1.mp3", ""))},
    )
    assert [(item.path, item.label) for item in find("common_voice", root).values()] == [
        ("en/clips/1.mp3", "bob")
    ]


def test_emotional_speech_has_its_talker_sentence_and_emotion(lay_out: LayOut, find: Find) -> None:
    names = {
        "emodb": ("wav/03a01Fa.wav", "03", "Der Lappen liegt auf dem Eisschrank.", "happiness"),
        "ravdess": (
            "Actor_12/03-01-06-01-02-01-12.wav",
            "12",
            "Dogs are sitting by the door",
            "fear",
        ),
        "crema_d": ("AudioWAV/1001_DFA_ANG_XX.wav", "1001", "Don't forget a jacket", "anger"),
    }
    others = ("Actor_12/03-02-06-01-02-01-12.wav", "03a01Xa.wav", "1001_DFA_ANG.wav")
    root = lay_out(*(path for path, *_ in names.values()), *others)
    for layout, (path, talker, text, emotion) in names.items():
        assert find(layout, root) == {path: Found(path, "speech", talker, talker, text=text)}
        assert emotion_of(path) == emotion
    assert [emotion_of(path) for path in others] == ["", "", ""]


def test_clips_of_emodb_have_the_emotions_of_their_table(real_data: Path) -> None:
    root = real_data / "speech" / "emodb-voice-emotion-analysis"
    with open(root / "labels.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 408
    assert {row["file"]: emotion_of(row["file"]) for row in rows} == {
        row["file"]: row["emotion"] for row in rows
    }
