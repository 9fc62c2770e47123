"""Layouts of sounds and noise: classes, groups of recordings, folds, licences."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from mixgen.core.errors import InputError
from mixgen.corpora.index import index_corpus
from mixgen.corpora.layout import get_layout
from tests.mixgen.corpora.layouts.conftest import Find, LayOut


def test_esc50_real_excerpt_has_categories_recordings_and_folds(
    real_data: Path, find: Find
) -> None:
    found = find("esc50", real_data / "noise" / "esc50-samples-speechbrain")
    assert [(f.label, f.group, f.split, f.kind) for f in found.values()] == [
        ("dog", "100032", "fold1", "noise"),
        ("car_horn", "100648", "fold2", "noise"),
        ("thunderstorm", "103051", "fold3", "noise"),
    ]


def test_licence_of_a_file_replaces_the_corpus_licence_and_the_users_replaces_both(
    real_data: Path,
) -> None:
    root = real_data / "noise" / "esc50-samples-speechbrain"
    rows = index_corpus(get_layout("esc50"), root, corpus="esc50").rows
    assert [row.licence for row in rows] == ["CC BY 3.0", "CC BY-NC 3.0", "CC BY-NC 3.0"]
    rows = index_corpus(get_layout("esc50"), root, corpus="esc50", licence="mine").rows
    assert {row.licence for row in rows} == {"mine"}


def test_esc50_as_published_has_one_group_per_recording(lay_out: LayOut, find: Find) -> None:
    table = (
        "filename,fold,target,category,esc10,src_file,take\n"
        "5-9032-A-0.wav,5,0,dog,True,9032,A\n5-9032-B-0.wav,5,0,dog,False,9032,B\n"
    )
    root = lay_out(
        "ESC-50-master/audio/5-9032-A-0.wav",
        "ESC-50-master/audio/5-9032-B-0.wav",
        "ESC-50-master/audio/mine.wav",
        texts={"ESC-50-master/meta/esc50.csv": table},
    )
    found = find("esc50", root)
    assert len(found) == 2
    assert {(item.group, item.split) for item in found.values()} == {("9032", "fold5")}


def test_esc50_without_its_table_is_refused(lay_out: LayOut, find: Find) -> None:
    with pytest.raises(InputError, match=r"No meta/esc50\.csv found for .*holds the labels"):
        find("esc50", lay_out("audio/1-100032-A-0.wav"))


DEV = """\
fname,labels,mids,split
64760,"Electric_guitar,Guitar,Plucked_string_instrument,Musical_instrument,Music","/m/02sgy",train
16399,"Acoustic_guitar,Guitar,Plucked_string_instrument,Musical_instrument,Music","/m/042v_gx",val
10000,"Music,Musical_instrument,Piano","/m/05r5c",train
10001,"Music,Musical_instrument,Piano","/m/05r5c",train
"""
EVAL = """\
fname,labels,mids
37199,"Electric_guitar,Guitar,Plucked_string_instrument,Musical_instrument,Music","/m/02sgy"
64760,Bark,/m/05tny_
"""
DEV_INFO = """\
{"64760": {"title": "g.wav", "license": "http://creativecommons.org/licenses/by-nc/3.0/",
"uploader": "casualdave"}, "16399": {"license": "http://creativecommons.org/licenses/sampling+/1.0/"},
"10000": {"license": "http://creativecommons.org/publicdomain/zero/1.0/", "uploader": "joe"}}
"""
FSD50K = {
    "FSD50K.ground_truth/dev.csv": DEV,
    "FSD50K.ground_truth/eval.csv": EVAL,
    "FSD50K.metadata/dev_clips_info_FSD50K.json": DEV_INFO,
}


def test_fsd50k_labels_are_the_most_specific_classes(lay_out: LayOut, find: Find) -> None:
    names = ("64760", "16399", "10000", "10001", "99999")
    root = lay_out(
        *(f"FSD50K.dev_audio/{name}.wav" for name in names),
        *(f"FSD50K.eval_audio/{name}.wav" for name in ("37199", "64760")),
        texts=FSD50K,
    )
    assert [(f.label, f.group, f.split, f.licence) for f in find("fsd50k", root).values()] == [
        ("Piano", "joe", "train", "CC0 1.0"),
        ("Piano", "10001", "train", ""),
        ("Acoustic_guitar", "16399", "valid", "CC Sampling+ 1.0"),
        ("Electric_guitar", "casualdave", "train", "CC BY-NC 3.0"),
        ("Electric_guitar", "37199", "test", ""),
        ("Bark", "64760", "test", ""),
    ]


def test_fsd50k_without_its_tables_is_refused(lay_out: LayOut, find: Find) -> None:
    with pytest.raises(InputError, match=r"no file .*FSD50K\.ground_truth.dev\.csv"):
        find("fsd50k", lay_out("FSD50K.dev_audio/64760.wav"))


@pytest.mark.parametrize("infos", ["[]", '{"64760": 3}', "{}"])
def test_fsd50k_licences_are_empty_where_the_metadata_lack_them(
    lay_out: LayOut, find: Find, infos: str
) -> None:
    texts = {**FSD50K, "FSD50K.metadata/dev_clips_info_FSD50K.json": infos}
    (item,) = find("fsd50k", lay_out("FSD50K.dev_audio/64760.wav", texts=texts)).values()
    assert (item.licence, item.group) == ("", "64760")


# Header and columns as in the README of the set.
WHAM_TABLE = (
    "utterance_id,Noise Band,File ID,L to R Width (cm),Reverberation Level,Location ID,"
    "Location Day ID\n"
    "40pc020b_0.52421_409c021e_-0.52421.wav,1,F7,17 cm,m,L3,L3D1\n"
    "403c020u_0.79183_015o0301_-0.79183.wav,2,F8,17 cm,h,L3,L3D2\n"
)


@pytest.mark.parametrize("start", ["", "wham_noise", "wham_noise/cv"])
def test_wham_recordings_of_one_place_are_one_group(
    lay_out: LayOut, find: Find, start: str
) -> None:
    root = lay_out(
        "wham_noise/cv/40pc020b_0.52421_409c021e_-0.52421.wav",
        "wham_noise/cv/40pc020b_0.52421_409c021e_-0.52421sp08.wav",
        "wham_noise/cv/403c020u_0.79183_015o0301_-0.79183.wav",
        texts={"wham_noise/metadata/noise_meta_cv.csv": WHAM_TABLE},
    )
    found = find("wham", root / start)
    assert len(found) == 3
    assert {(f.kind, f.label, f.group, f.split) for f in found.values()} == {
        ("noise", "ambience", "L3", "valid")
    }


def test_wham_without_tables_keeps_copies_at_other_speeds_together(
    lay_out: LayOut, find: Find
) -> None:
    name = "01vc0218_1.5416_01tc0209_-1.5416"
    root = lay_out(*(f"tr/{name}{mark}.wav" for mark in ("", "sp08", "sp12")), "tt/x.wav")
    found = find("wham", root)
    assert {(item.group, item.split) for item in found.values()} == {
        (name, "train"),
        ("x", "test"),
    }


def test_wham_files_of_real_lists_are_found(real_data: Path, lay_out: LayOut, find: Find) -> None:
    lines = (real_data / "metadata/librimix/Wham_noise/dev.csv").read_text().splitlines()[1:50]
    paths = [line.rpartition(",")[2] for line in lines]
    found = find("wham", lay_out(*paths))
    assert sorted(found) == sorted(paths)
    assert {item.group for item in found.values()} == {Path(path).stem for path in paths}


DNS = {
    "clean_fullband/read_speech/book_00000_chp_0009_reader_06709_0_seg_1_seg1.wav": (
        "speech",
        "reader_06709",
        "book_00000_chp_0009_reader_06709",
    ),
    "french_speech/M-AILABS_Speech_Dataset/fr_FR_190hrs_16k/female/ezwa/book/wavs/x_f01.wav": (
        "speech",
        "ezwa",
        "french_speech/M-AILABS_Speech_Dataset/fr_FR_190hrs_16k/female/ezwa/book/wavs",
    ),
    "emotional_speech/crema_d/1001_DFA_ANG_XX.wav": (
        "speech",
        "crema_d",
        "emotional_speech/crema_d",
    ),
    "vctk_wav48_silence_trimmed/p225/p225_001_mic1.wav": (
        "speech",
        "p225",
        "vctk_wav48_silence_trimmed/p225",
    ),
    "noise_fullband/door_Freesound_validated_349356_0.wav": (
        "noise",
        "door",
        "door_Freesound_validated_349356",
    ),
    "noise_fullband/breath_spit_Freesound_validated_26803_1.wav": (
        "noise",
        "breath_spit",
        "breath_spit_Freesound_validated_26803",
    ),
    "noise_fullband/---1_cCGK4M.wav": ("noise", "noise", "---1_cCGK4M"),
}


def test_dns_finds_speech_and_noise_without_test_sets_and_responses(
    lay_out: LayOut, find: Find
) -> None:
    root = lay_out(
        *(f"datasets_fullband/{path}" for path in DNS),
        "datasets_fullband/vctk_wav48_silence_trimmed/p225/p225_001_mic2.wav",
        "datasets_fullband/dev_testset/noisy_testclips/french_speech/x.wav",
        "datasets/impulse_responses/SLR26/simulated_rirs_48k/smallroom/Room001/Room001-00001.wav",
        "elsewhere/x.wav",
    )
    found = find("dns", root / "datasets_fullband")
    assert {path: (f.kind, f.label, f.group) for path, f in found.items()} == DNS
    assert len(find("dns", root)) == len(DNS)


def test_dns_can_be_indexed_from_its_noise_folder(lay_out: LayOut) -> None:
    root = lay_out() / "datasets" / "noise"
    root.mkdir(parents=True)
    noise = np.random.default_rng(0).uniform(-0.1, 0.1, 8000)
    soundfile.write(root / "fan_Freesound_validated_437341_3.wav", noise, 16000)
    (row,) = index_corpus(get_layout("dns"), root, corpus="dns").rows
    assert (row.kind, row.label, row.split, row.licence) == ("noise", "fan", "", "")
