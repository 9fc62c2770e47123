"""Indexing: what layouts read from paths, what is measured, and which files are refused and why."""

import contextlib
import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from mixgen.core.errors import InputError, UsageError
from mixgen.core.files import sha256_file
from mixgen.corpora.index import SplitPlan, assign_splits, index_corpus, parse_parts
from mixgen.corpora.layout import Found, get_layout, layouts
from tests.mixgen.conftest import flac_that_claims, forbid


def _sound(path: Path, frames: int = 4000, channels: int = 1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    seed = int.from_bytes(hashlib.sha256(path.name.encode()).digest()[:4], "big")
    noise = np.random.default_rng(seed).uniform(-0.5, 0.5, (frames, channels))
    soundfile.write(path, noise, 8000)
    return path


def test_every_layout_has_a_name_and_a_summary() -> None:
    assert set(layouts()) >= {"folder", "librispeech", "stems"}
    assert all(name == layout.name and layout.summary for name, layout in layouts().items())


def test_an_unknown_layout_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(UsageError, match=r"no layout 'librispech'.*Did you mean 'librispeech'"):
        get_layout("librispech")


def test_folder_labels_files_by_their_innermost_folder(tmp_path: Path) -> None:
    for name in ("anna/x/1.wav", "anna/2.FLAC", "top.ogg", ".hidden/3.wav", "anna/notes.txt"):
        if name.endswith("txt"):
            (tmp_path / name).write_text("no sound")
        else:
            _sound(tmp_path / name)
    found = {item.path: item for item in get_layout("folder").find(tmp_path, "noise")}
    assert {path: item.label for path, item in found.items()} == {
        "anna/x/1.wav": "x",
        "anna/2.FLAC": "anna",
        "top.ogg": tmp_path.name,
    }
    assert found["anna/x/1.wav"].group == "anna/x/1"
    assert {item.kind for item in found.values()} == {"noise"}


@pytest.mark.parametrize("root", ["LibriSpeech", "LibriSpeech/test-other"])
def test_librispeech_has_talkers_chapters_subsets_and_texts(tmp_path: Path, root: str) -> None:
    chapter = tmp_path / "LibriSpeech/test-other/1088/134315"
    _sound(chapter / "1088-134315-0000.flac")
    _sound(chapter / "noise.flac")
    (chapter / "1088-134315.trans.txt").write_text("1088-134315-0000 HELLO THERE\n")
    (found,) = get_layout("librispeech").find(tmp_path / root, "speech")
    assert (found.label, found.group, found.split) == ("1088", "1088-134315", "test-other")
    assert found.text == "HELLO THERE"
    row = index_corpus(get_layout("librispeech"), tmp_path / root, corpus="libri").rows[0]
    assert row.licence == "CC BY 4.0"


def test_librispeech_without_chapter_folders_is_found(tmp_path: Path) -> None:
    _sound(tmp_path / "train-clean-100/19/19-198-0001.flac")
    (found,) = get_layout("librispeech").find(tmp_path, "speech")
    assert (found.label, found.group, found.split) == ("19", "19-198", "train-clean-100")


@pytest.mark.parametrize(
    ("root", "path", "split"),
    [
        ("corpus", "19/198/19-198-0001.flac", ""),
        ("corpus", "19-198-0001.flac", ""),
        ("19", "198/19-198-0001.flac", ""),
        ("LibriSpeech", "books/19/198/19-198-0001.flac", ""),
        ("dev-clean", "19/198/19-198-0001.flac", "dev-clean"),
        ("corpus", "valid/19/19-198-0001.flac", "valid"),
        ("19", "test-other/19/198/19-198-0001.flac", "test-other"),
    ],
)
def test_librispeech_takes_no_other_folder_for_a_subset(
    tmp_path: Path, root: str, path: str, split: str
) -> None:
    _sound(tmp_path / root / path)
    (found,) = get_layout("librispeech").find(tmp_path / root, "speech")
    assert (found.label, found.split) == ("19", split)


def test_librispeech_splits_of_a_real_excerpt_share_no_speaker(real_data: Path) -> None:
    root = real_data / "speech" / "librispeech-resemblyzer"
    found = list(get_layout("librispeech").find(root, "speech"))
    splits = {item.split for item in found}
    speakers = {split: {f.label for f in found if f.split == split} for split in splits}
    assert {split: len(names) for split, names in speakers.items()} == {
        "train-clean-100": 195,
        "test-other": 6,
    }
    assert speakers["train-clean-100"].isdisjoint(speakers["test-other"])


def test_stems_are_listed_without_the_mixture(tmp_path: Path) -> None:
    for stem in ("vocals", "drums", "bass", "other", "mixture"):
        _sound(tmp_path / "train" / "A - Song" / f"{stem}.wav", channels=2)
    found = sorted(get_layout("stems").find(tmp_path, "speech"), key=lambda item: item.path)
    assert [item.label for item in found] == ["bass", "drums", "other", "vocals"]
    assert {(f.kind, f.group, f.split) for f in found} == {("music", "train/A - Song", "train")}


def test_a_row_holds_the_measures_of_its_file(tmp_path: Path) -> None:
    path = _sound(tmp_path / "anna" / "1.wav", frames=12000, channels=2)
    index = index_corpus(get_layout("folder"), tmp_path, corpus="mine", licence="CC0")
    (row,) = index.rows
    peak = np.abs(soundfile.read(path)[0]).max()
    assert (row.source_id, row.path, row.label) == ("mine/anna/1", "anna/1.wav", "anna")
    assert (row.duration_s, row.sample_rate, row.channels) == (1.5, 8000, 2)
    assert row.peak == pytest.approx(peak, abs=1e-6)
    assert row.sha256 == sha256_file(path)
    assert (row.licence, row.kind) == ("CC0", "speech")
    assert row.active == "0.0-1.5"


def _songs(root: Path, tags: str) -> Path:
    for song in ("train/A - Song", "train/B"):
        for stem in ("vocals", "drums"):
            _sound(root / song / f"{stem}.wav", channels=2)
    (root / "tags.csv").write_text(f"group,tempo_bpm,key,beat_s\n{tags}\n", encoding="utf-8")
    return root


def test_tags_of_songs_come_from_a_table_in_the_root(tmp_path: Path) -> None:
    root = _songs(tmp_path, "train/A - Song,120,A minor,")
    rows = index_corpus(get_layout("stems"), root, corpus="c").rows
    assert {row.group: row.text for row in rows} == {
        "train/A - Song": "tempo_bpm=120.0 key=A_minor",
        "train/B": "",
    }
    assert len(rows) == 4


def test_tags_of_an_unknown_song_are_refused(tmp_path: Path) -> None:
    root = _songs(tmp_path, "A - Song,120,A minor,")
    with pytest.raises(InputError, match=r"tags\.csv line 2: the corpus has no song 'A - Song'"):
        index_corpus(get_layout("stems"), root, corpus="c")


def test_a_table_of_tags_in_a_corpus_of_speech_is_not_read(tmp_path: Path) -> None:
    root = _songs(tmp_path, "not,a,row,of,tags")
    assert len(index_corpus(get_layout("folder"), root, corpus="c").rows) == 4


def _truncated_wav(path: Path) -> None:
    _sound(path).write_bytes(path.read_bytes()[:-1000])


def _truncated_flac(path: Path) -> None:
    _sound(path.with_suffix(".flac"), frames=40000)
    content = path.with_suffix(".flac").read_bytes()
    path.with_suffix(".flac").write_bytes(content[: len(content) // 2])


def _not_finite(path: Path) -> None:
    soundfile.write(path, np.array([0.1, np.nan]), 8000, subtype="FLOAT")


def _header_only(path: Path) -> None:
    soundfile.write(path, np.zeros(0), 8000)


def _silent(path: Path) -> None:
    soundfile.write(path, np.zeros(8000), 8000)


def _another_kind_of_file(path: Path) -> None:
    path.write_bytes(b"%PDF-1.4 " * 100)


def _too_fast(path: Path) -> None:
    soundfile.write(path, np.full(100, 0.1), 2_000_000_000)


def _too_slow(path: Path) -> None:
    soundfile.write(path, np.full(8000, 0.1), 1)


def _too_long(path: Path) -> None:
    flac_that_claims(path.with_suffix(".flac"), 68_719_476_735)


def _of_no_length(path: Path) -> None:
    flac_that_claims(path.with_suffix(".flac"), 0)


def _too_loud(path: Path) -> None:
    soundfile.write(path, np.array([0.1, -1e300]), 8000, subtype="DOUBLE")


def _truncated_aiff(path: Path) -> None:
    path = path.with_suffix(".aiff")
    _sound(path).write_bytes(path.read_bytes()[:-1000])


def _dangling_link(path: Path) -> None:
    path.symlink_to(path.parent / "none.wav")


def _link_out(path: Path) -> None:
    outside = _sound(path.parent.parent / "outside.wav")
    path.symlink_to(outside)


BAD_FILES: dict[Callable[[Path], object], str] = {
    Path.touch: "has zero bytes",
    _truncated_wav: "is cut short",
    _truncated_flac: "bad.flac",
    _not_finite: "holds NaN or infinite samples",
    _header_only: "holds no samples",
    _silent: "is digital silence",
    _another_kind_of_file: "is not audio that can be read",
    _link_out: "leads out of",
    _dangling_link: "does not exist",
    _too_fast: "claims a sample rate of 2000000000 Hz: from 4000 to 768000 Hz are allowed",
    _too_slow: "claims a sample rate of 1 Hz",
    _too_long: "claims 68719476735 samples, which its",
    _of_no_length: "does not say how long it is",
    _too_loud: "has a peak of 1e+300, and 1000 (+60 dB full scale) is the most",
    _truncated_aiff: "is cut short",
}


@pytest.mark.parametrize(("make", "words"), BAD_FILES.items())
def test_bad_files_are_refused_with_the_reason(
    tmp_path: Path, make: Callable[[Path], object], words: str
) -> None:
    root = tmp_path / "root"
    _sound(root / "good.wav")
    make(root / "bad.wav")
    index = index_corpus(get_layout("folder"), root, corpus="c")
    assert [row.path for row in index.rows] == ["good.wav"]
    ((path, reason),) = index.refused
    assert path.startswith("bad.")
    assert words in reason


def test_files_that_do_not_fit_into_the_memory_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _sound(tmp_path / "long.wav")
    _sound(tmp_path / "short.wav", frames=1000)
    pages = {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 16}
    monkeypatch.setattr("mixgen.corpora.index.os.sysconf", pages.__getitem__)
    index = index_corpus(get_layout("folder"), tmp_path, corpus="c")
    assert [row.path for row in index.rows] == ["short.wav"]
    ((path, reason),) = index.refused
    assert path == "long.wav"
    assert "of memory to be measured, and this machine has 0 GB: cut it into parts" in reason


@pytest.mark.parametrize("rate", [4000, 768_000])
def test_the_highest_and_the_lowest_rate_are_accepted(tmp_path: Path, rate: int) -> None:
    soundfile.write(tmp_path / "a.wav", np.full(rate, 0.1), rate)
    (row,) = index_corpus(get_layout("folder"), tmp_path, corpus="c").rows
    assert (row.sample_rate, row.duration_s) == (rate, 1.0)


def test_silence_with_one_click_is_accepted(tmp_path: Path) -> None:
    """FLAC holds 341 samples of silence in a byte, the most of all formats."""
    click = np.zeros(600 * 8000)
    click[9] = 0.5
    soundfile.write(tmp_path / "a.flac", click, 8000)
    assert (tmp_path / "a.flac").stat().st_size < len(click) / 300
    (row,) = index_corpus(get_layout("folder"), tmp_path, corpus="c").rows
    assert row.duration_s == 600.0


def test_folders_that_cannot_be_read_are_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a/good.wav", "b/lost.wav", "c/deeper/lost.wav"):
        _sound(tmp_path / name)
    forbid(monkeypatch, "scandir", tmp_path / "b", tmp_path / "c/deeper")
    index = index_corpus(get_layout("folder"), tmp_path, corpus="c")
    assert [row.path for row in index.rows] == ["a/good.wav"]
    reason = "cannot be read: Permission denied."
    assert sorted(index.refused) == [("b", reason), ("c/deeper", reason)]


def test_a_root_that_cannot_be_read_is_not_said_to_be_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _sound(tmp_path / "a.wav")
    forbid(monkeypatch, "scandir", tmp_path)
    with pytest.raises(InputError, match=r"No audio below .*, where folders cannot be read: \."):
        index_corpus(get_layout("folder"), tmp_path, corpus="c")


def test_files_that_cannot_be_read_are_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _sound(tmp_path / "a.wav")
    forbid(monkeypatch, "open", _sound(tmp_path / "b.wav"))
    index = index_corpus(get_layout("folder"), tmp_path, corpus="c")
    assert [row.path for row in index.rows] == ["a.wav"]
    assert index.refused == [("b.wav", f"Cannot read {tmp_path / 'b.wav'}: Permission denied.")]


def test_floats_above_full_scale_are_accepted(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "loud.wav", np.full(8000, 2.5), 8000, subtype="FLOAT")
    assert index_corpus(get_layout("folder"), tmp_path, corpus="c").rows[0].peak == 2.5


def test_a_file_of_one_sample_is_accepted(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "dot.wav", np.array([0.5]), 8000)
    (row,) = index_corpus(get_layout("folder"), tmp_path, corpus="c").rows
    assert row.duration_s == 0.000125


def test_the_second_of_two_files_with_one_id_is_refused(tmp_path: Path) -> None:
    _sound(tmp_path / "a.flac")
    _sound(tmp_path / "a.wav")
    index = index_corpus(get_layout("folder"), tmp_path, corpus="c")
    assert [row.path for row in index.rows] == ["a.flac"]
    assert index.refused == [("a.wav", "it has the source_id of a.flac: remove one.")]


def test_a_folder_without_usable_audio_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No audio in the layout 'folder' below"):
        index_corpus(get_layout("folder"), tmp_path, corpus="c")
    (tmp_path / "a.wav").touch()
    with pytest.raises(InputError, match=r"None of the 1 audio files .* The first: .* zero bytes"):
        index_corpus(get_layout("folder"), tmp_path, corpus="c")


def test_a_missing_root_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not a folder: give the root of the corpus"):
        index_corpus(get_layout("folder"), tmp_path / "none", corpus="c")


def test_the_order_of_the_file_system_does_not_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "dacb":
        _sound(tmp_path / f"{name}.wav")
    first = index_corpus(get_layout("folder"), tmp_path, corpus="c")
    listed = os.scandir

    class Backwards(contextlib.nullcontext[None]):
        def __init__(self, path: Path) -> None:
            super().__init__()
            self._entries = sorted(listed(path), key=lambda entry: entry.name, reverse=True)

        def __next__(self) -> os.DirEntry[str]:
            if not self._entries:
                raise StopIteration
            return self._entries.pop(0)

    monkeypatch.setattr(os, "scandir", Backwards)
    assert index_corpus(get_layout("folder"), tmp_path, corpus="c") == first


FILES = [Found(f"{n}.wav", "speech", f"spk{n // 3}", f"g{n // 2}") for n in range(30)]


@pytest.mark.parametrize("by", ["label", "group"])
def test_parts_keep_labels_or_groups_whole(by: str) -> None:
    parts = {"train": 0.6, "valid": 0.2, "test": 0.2}
    files = assign_splits(FILES, SplitPlan(by=by, parts=parts))
    units: dict[str, set[str]] = {}
    for item in files:
        units.setdefault(item.split, set()).add(getattr(item, by))
    count = len({getattr(item, by) for item in FILES})
    assert {split: len(names) / count for split, names in units.items()} == parts
    assert sum(len(names) for names in units.values()) == count


def test_parts_depend_only_on_names() -> None:
    plan = SplitPlan(by="label", parts={"train": 0.5, "test": 0.5})
    forwards = {item.path: item.split for item in assign_splits(FILES, plan)}
    assert forwards == {item.path: item.split for item in assign_splits(FILES[::-1], plan)}


def test_every_part_gets_a_label() -> None:
    parts = {"train": 0.98, "valid": 0.01, "test": 0.01}
    files = assign_splits(FILES[:9], SplitPlan(by="label", parts=parts))
    assert {item.split for item in files} == set(parts)


def test_more_parts_than_labels_are_refused() -> None:
    plan = SplitPlan(by="label", parts={"a": 1, "b": 1})
    with pytest.raises(UsageError, match=r"1 label\(s\) or group\(s\) cannot fill 2 splits"):
        assign_splits(FILES[:3], plan)


def test_one_split_for_all_files_excludes_parts() -> None:
    assert {item.split for item in assign_splits(FILES, SplitPlan("test"))} == {"test"}
    with pytest.raises(UsageError, match="not both"):
        assign_splits(FILES, SplitPlan("test", "label", {"a": 1}))


def test_parts_are_read_from_text() -> None:
    assert parse_parts("train=0.8,test=0.2") == {"train": 0.8, "test": 0.2}


@pytest.mark.parametrize(
    "text",
    ["", "train", "train=", "train=x", "train=0", "train=-1", "train=nan", "a/b=1", "a=inf"],
)
def test_wrong_parts_are_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_parts(text)
