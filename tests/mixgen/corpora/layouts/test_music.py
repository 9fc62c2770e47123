"""Layouts of multitrack songs: instruments, songs, splits, and skipped files."""

import re
from pathlib import Path

import pytest

from mixgen.core.errors import InputError
from mixgen.corpora.index import index_corpus
from mixgen.corpora.layout import get_layout
from tests.mixgen.corpora.layouts.conftest import Find, LayOut


@pytest.mark.parametrize("start", ["", "Track00001"])
def test_slakh_labels_are_the_classes_of_a_real_excerpt(
    real_data: Path, find: Find, start: str
) -> None:
    found = find("slakh", real_data / "music" / "babyslakh-mirdata" / start)
    labels = {Path(path).stem: item.label for path, item in found.items()}
    assert len(labels) == 10
    assert [labels[stem] for stem in ("S00", "S01", "S02", "S03")] == [
        "guitar",
        "drums",
        "piano",
        "bass",
    ]
    assert {(item.kind, item.group, item.split) for item in found.values()} == {
        ("music", "Track00001", "")
    }


def test_slakh_silent_stems_are_refused_when_indexed(real_data: Path) -> None:
    root = real_data / "music" / "babyslakh-mirdata"
    index = index_corpus(get_layout("slakh"), root, corpus="babyslakh")
    assert [row.path for row in index.rows] == ["Track00001/stems/S00.wav"]
    assert len(index.refused) == 9
    assert all("digital silence" in reason for _, reason in index.refused)


def test_slakh_splits_come_from_the_folders(lay_out: LayOut, find: Find) -> None:
    tracks = [f"{split}/Track0000{n}" for n, split in enumerate(("train", "validation", "test"))]
    tracks.append("omitted/Track00007")
    root = lay_out(
        *(f"{track}/stems/S01.flac" for track in tracks),
        "train/Track00000/mix.flac",
        texts={
            f"{track}/metadata.yaml": "stems:\n  S01:\n    inst_class: Chromatic Percussion\n"
            for track in tracks
        },
    )
    found = find("slakh", root)
    assert {item.group: item.split for item in found.values()} == {
        "Track00000": "train",
        "Track00001": "valid",
        "Track00002": "test",
        "Track00007": "omitted",
    }
    assert {item.label for item in found.values()} == {"chromatic percussion"}


def test_slakh_stem_without_an_entry_is_refused(lay_out: LayOut, find: Find) -> None:
    root = lay_out(
        "Track00001/stems/S06.flac",
        texts={"Track00001/metadata.yaml": "stems: {S00: {inst_class: Guitar}}\n"},
    )
    with pytest.raises(InputError, match=r"metadata\.yaml has no value stems\.S06\.inst_class"):
        find("slakh", root)


def test_slakh_without_metadata_is_refused(lay_out: LayOut, find: Find) -> None:
    with pytest.raises(InputError, match=r"no file .*Track00001.metadata\.yaml"):
        find("slakh", lay_out("Track00001/stems/S00.flac"))


# As published, without some of the fields that the layout does not read.
ROCK = """\
artist: Music Delta Multitracks
excerpt: 'yes'
has_bleed: 'no'
mix_filename: MusicDelta_80sRock_MIX.wav
stem_dir: MusicDelta_80sRock_STEMS
stems:
  S01:
    component: ''
    filename: MusicDelta_80sRock_STEM_01.wav
    instrument: drum set
    raw:
      R01:
        filename: MusicDelta_80sRock_RAW_01_01.wav
        instrument: drum set
  S02:
    component: bass
    filename: MusicDelta_80sRock_STEM_02.wav
    instrument: [electric bass, double bass]
title: 80s Rock
version: 1.2
"""
SONG = "Audio/MusicDelta_80sRock/MusicDelta_80sRock"


@pytest.mark.parametrize(
    "metadata", [f"{SONG}_METADATA.yaml", "Metadata/MusicDelta_80sRock_METADATA.yaml"]
)
def test_medleydb_labels_are_the_instruments_in_the_metadata(
    lay_out: LayOut, find: Find, metadata: str
) -> None:
    root = lay_out(
        f"{SONG}_MIX.wav",
        f"{SONG}_RAW/MusicDelta_80sRock_RAW_01_01.wav",
        f"{SONG}_STEMS/MusicDelta_80sRock_STEM_01.wav",
        f"{SONG}_STEMS/MusicDelta_80sRock_STEM_02.wav",
        texts={metadata: ROCK},
    )
    assert [(f.label, f.group, f.kind) for f in find("medleydb", root).values()] == [
        ("drum set", "MusicDelta_80sRock", "music"),
        ("electric bass, double bass", "MusicDelta_80sRock", "music"),
    ]


@pytest.mark.parametrize("spelling", ["'yes'", "yes"])
def test_medleydb_songs_with_bleed_are_skipped(lay_out: LayOut, find: Find, spelling: str) -> None:
    root = lay_out(
        f"{SONG}_STEMS/MusicDelta_80sRock_STEM_01.wav",
        texts={f"{SONG}_METADATA.yaml": ROCK.replace("has_bleed: 'no'", f"has_bleed: {spelling}")},
    )
    assert find("medleydb", root) == {}


def test_medleydb_without_metadata_is_refused(lay_out: LayOut, find: Find) -> None:
    root = lay_out(f"{SONG}_STEMS/MusicDelta_80sRock_STEM_01.wav")
    with pytest.raises(InputError, match=r"No MusicDelta_80sRock_METADATA\.yaml found for"):
        find("medleydb", root)


def test_stems_of_a_real_album_are_found(real_data: Path, find: Find) -> None:
    found = find("stems", real_data / "music" / "everything-is-free")
    assert {(item.group, item.label) for item in found.values()} == {
        (song, stem)
        for song in ("lithium", "potassium")
        for stem in ("vocals", "drums", "bass", "other")
    }


@pytest.mark.parametrize("name", ["A - Song.stem.mp4", "A - Song.STEM.MP4"])
def test_compressed_songs_are_sent_to_the_converter(lay_out: LayOut, find: Find, name: str) -> None:
    root = lay_out(f"train/{name}", f"train/._{name}")
    words = r"A - Song.* decode .* `mixgen convert .* --out FOLDER`"
    assert re.search(words, find("stems", root)[f"train/{name}"].unusable)
    with pytest.raises(InputError, match=f"None of the 1 audio files .*{words}"):
        index_corpus(get_layout("stems"), root, corpus="c")


def test_compressed_songs_do_not_stop_decoded_ones(lay_out: LayOut, find: Find) -> None:
    root = lay_out(
        "musdb18/train/A - Song.stem.mp4",
        "musdb18/train/B - Song.stem.mp4",
        "decoded/train/A - Song/drums.wav",
    )
    found = find("stems", root)
    assert [path for path, item in found.items() if not item.unusable] == [
        "decoded/train/A - Song/drums.wav"
    ]
    assert [path for path, item in found.items() if item.unusable] == [
        "musdb18/train/B - Song.stem.mp4"
    ]


def test_compressed_songs_beside_their_decoded_folders_are_skipped(
    lay_out: LayOut, find: Find
) -> None:
    root = lay_out("train/A - Song.stem.mp4", "train/A - Song/vocals.wav")
    assert list(find("stems", root)) == ["train/A - Song/vocals.wav"]
