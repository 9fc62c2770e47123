"""Properties of every layout: each new layout is tested here as soon as it has a miniature."""

import contextlib
from pathlib import Path, PurePosixPath
from typing import get_args

import pytest

from mixgen.core.errors import SuiteError
from mixgen.core.vocabulary import Kind
from mixgen.corpora.layout import get_layout, layouts
from tests.mixgen.corpora.layouts.conftest import LayOut

LAYOUTS = sorted(layouts())

# For each layout, the paths of a few audio files that it finds and the tables that it reads.
MINIATURES: dict[str, tuple[tuple[str, ...], dict[str, str]]] = {
    "common_voice": (
        ("en/clips/common_voice_en_1.mp3",),
        {"en/train.tsv": "client_id\tpath\tsentence\na\tcommon_voice_en_1.mp3\tHi\n"},
    ),
    "crema_d": (("AudioWAV/1001_DFA_ANG_XX.wav", "AudioWAV/1088_IEO_SAD_HI.wav"), {}),
    "dns": (("datasets/clean/book_00000_chp_0009_reader_06709_0.wav", "datasets/noise/x.wav"), {}),
    "emodb": (("wav/03a01Fa.wav", "wav/16b10Wb.wav"), {}),
    "esc50": (
        ("audio/1-100032-A-0.wav",),
        {
            "meta/esc50.csv": "filename,fold,target,category,esc10,src_file,take\n"
            "1-100032-A-0.wav,1,0,dog,True,100032,A\n"
        },
    ),
    "folder": (("anna/1.wav",), {}),
    "fsd50k": (
        ("FSD50K.dev_audio/64760.wav",),
        {
            "FSD50K.ground_truth/dev.csv": "fname,labels,mids,split\n64760,Bark,/m/05tny_,train\n",
            "FSD50K.ground_truth/eval.csv": "fname,labels,mids\n37199,Bark,/m/05tny_\n",
        },
    ),
    "librispeech": (("test-other/1088/134315/1088-134315-0000.flac",), {}),
    "ljspeech": (("LJSpeech-1.1/wavs/LJ001-0001.wav",), {}),
    "medleydb": (
        ("A_B/A_B_STEMS/A_B_STEM_01.wav",),
        {"A_B/A_B_METADATA.yaml": "has_bleed: 'no'\nstems: {S01: {instrument: drum set}}\n"},
    ),
    "ravdess": (("Actor_12/03-01-06-01-02-01-12.wav",), {}),
    "slakh": (
        ("train/Track00001/stems/S00.flac",),
        {"train/Track00001/metadata.yaml": "stems: {S00: {inst_class: Guitar}}\n"},
    ),
    "stems": (("train/A - Song/vocals.wav",), {}),
    "vctk": (("wav48_silence_trimmed/p225/p225_001_mic1.flac",), {}),
    "wham": (("wham_noise/cv/40pc020b_0.52421_409c021e_-0.52421.wav",), {}),
    "wsj0": (("wsj0/si_tr_s/01t/01to030v.wav",), {}),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_has_a_miniature_here_and_is_in_the_docs(name: str) -> None:
    assert name in MINIATURES
    page = Path(__file__).parents[4] / "docs" / "corpora.md"
    assert f"| `{name}` |" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", LAYOUTS)
def test_finds_its_files_with_kind_label_and_group(name: str, lay_out: LayOut) -> None:
    audio, texts = MINIATURES[name]
    root = lay_out(*audio, texts=texts)
    found = list(get_layout(name).find(root, "speech"))
    assert sorted(item.path for item in found) == sorted(audio)
    for item in found:
        assert not PurePosixPath(item.path).is_absolute()
        assert ".." not in item.path
        assert (root / item.path).is_file()
        assert item.kind in get_args(Kind)
        assert item.label
        assert item.group


@pytest.mark.parametrize("name", LAYOUTS)
def test_hidden_and_macos_files_are_skipped(name: str, lay_out: LayOut) -> None:
    audio, texts = MINIATURES[name]
    shadows = [str(PurePosixPath(p).with_name(f"._{PurePosixPath(p).name}")) for p in audio]
    root = lay_out(*audio, *shadows, *(f".Trash/{path}" for path in audio), texts=texts)
    found = get_layout(name).find(root, "speech")
    assert sorted(item.path for item in found) == sorted(audio)


@pytest.mark.parametrize("name", LAYOUTS)
def test_suffixes_in_capitals_are_audio_too(name: str, lay_out: LayOut) -> None:
    audio, texts = MINIATURES[name]
    capitals = [str(PurePosixPath(p).with_suffix(PurePosixPath(p).suffix.upper())) for p in audio]
    # ESC-50's table holds the whole file name.
    texts = {name: text.replace("A-0.wav", "A-0.WAV") for name, text in texts.items()}
    root = lay_out(*capitals, texts=texts)
    assert len(list(get_layout(name).find(root, "speech"))) == len(audio)


@pytest.mark.parametrize("name", LAYOUTS)
def test_line_ends_of_windows_and_a_byte_order_mark_change_nothing(
    name: str, lay_out: LayOut
) -> None:
    audio, texts = MINIATURES[name]
    root = lay_out(*audio, texts=texts)
    plain = list(get_layout(name).find(root, "speech"))
    marked = {path: "\ufeff" + text.replace("\n", "\r\n") for path, text in texts.items()}
    lay_out(texts=marked)
    assert list(get_layout(name).find(root, "speech")) == plain


@pytest.mark.parametrize("name", LAYOUTS)
def test_an_empty_folder_holds_nothing(name: str, tmp_path: Path) -> None:
    assert list(get_layout(name).find(tmp_path, "noise")) == []


@pytest.mark.parametrize("name", sorted(set(LAYOUTS) - {"folder"}))
def test_unrelated_files_are_skipped_or_refused_with_a_suite_error(
    name: str, lay_out: LayOut
) -> None:
    root = lay_out(
        "holiday/IMG_0001.wav",
        "a.flac",
        "b.mp3",
        texts={"metadata.csv": "x;y\n1;2\n", "notes.yaml": "- 1\n", "train.tsv": "\x00"},
    )
    with contextlib.suppress(SuiteError):
        assert list(get_layout(name).find(root, "speech")) == []


BROKEN = {
    "empty": b"",
    "not text": b"\xff\xfe\x00\x9c" * 9,
    "another table": b"x,y\n1,2\n",
    "an open quotation": b'"fname,labels,filename',
    "nested": b"[" * 1000,
    "a list": b"- 1\n- 2\n",
    "a very long line": b"a" * 200_000,
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("name", sorted(name for name, (_, texts) in MINIATURES.items() if texts))
def test_broken_tables_are_refused_in_one_sentence(
    name: str, content: bytes, lay_out: LayOut
) -> None:
    audio, texts = MINIATURES[name]
    root = lay_out(*audio, texts=texts)
    for path in texts:
        (root / path).write_bytes(content)
    with pytest.raises(SuiteError) as refusal:
        list(get_layout(name).find(root, "speech"))
    assert str(root) in str(refusal.value)
    assert "\n" not in str(refusal.value)
