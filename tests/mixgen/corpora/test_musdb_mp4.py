"""Decoding of compressed songs: compared with another decoding, and of broken files."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from mixgen.core.errors import InputError, MachineError
from mixgen.corpora.layout import get_layout
from mixgen.corpora.musdb_mp4 import STEMS, convert_stem_mp4, stem_mp4_files
from tests.mixgen.conftest import RunMixgen

needs_ffmpeg = pytest.mark.skipif(
    shutil.which("ffmpeg") is None, reason="needs the program ffmpeg on the PATH"
)


@pytest.fixture(scope="session")
def song(real_data: Path) -> Path:
    """A real song of MUSDB18, cut to 7 s by its publishers."""
    return real_data / "music/musdb18-7s-80s-rock-museval/Music Delta - 80s Rock.stem.mp4"


def _copy(song: Path, folder: Path, content: bytes | None = None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / song.name
    path.write_bytes(song.read_bytes() if content is None else content)
    return path


@needs_ffmpeg
def test_streams_are_decoded_into_the_right_files(song: Path, tmp_path: Path) -> None:
    files = convert_stem_mp4(song, tmp_path)
    assert [file.name for file in files] == [f"{stem}.wav" for stem in STEMS]
    for file in files:
        samples, rate = soundfile.read(file)
        expected, expected_rate = soundfile.read(song.parent / "decoded" / f"{file.stem}.flac")
        assert rate == expected_rate
        # The other decoding was rounded to 16 bits with dither.
        np.testing.assert_allclose(samples, expected, rtol=0, atol=2 / 2**15)


@needs_ffmpeg
def test_decoded_songs_are_found_by_the_layout_in_their_split(song: Path, tmp_path: Path) -> None:
    compressed = _copy(song, tmp_path / "musdb18" / "test")
    convert_stem_mp4(compressed, tmp_path / "decoded")
    found = list(get_layout("stems").find(tmp_path / "decoded", "music"))
    assert {item.label for item in found} == {"vocals", "drums", "bass", "other"}
    assert {(item.group, item.split) for item in found} == {("test/Music Delta - 80s Rock", "test")}


@needs_ffmpeg
def test_decoding_twice_gives_the_same_bytes_and_no_other_files(song: Path, tmp_path: Path) -> None:
    first = [file.read_bytes() for file in convert_stem_mp4(song, tmp_path)]
    assert [file.read_bytes() for file in convert_stem_mp4(song, tmp_path)] == first
    assert sorted(path.name for path in tmp_path.rglob("*.*")) == sorted(f"{s}.wav" for s in STEMS)


@needs_ffmpeg
@pytest.mark.parametrize("share", [0.2, 0.5, 0.999])
def test_truncated_songs_are_refused(song: Path, tmp_path: Path, share: float) -> None:
    content = song.read_bytes()
    cut = _copy(song, tmp_path, content[: int(share * len(content))])
    with pytest.raises(InputError, match="is cut short: get it again"):
        convert_stem_mp4(cut, tmp_path / "out")


def _damaged(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes(20_000) + content[middle + 20_000 :]


@needs_ffmpeg
def test_damaged_songs_are_refused_and_leave_no_files(song: Path, tmp_path: Path) -> None:
    damaged = _copy(song, tmp_path, _damaged(song.read_bytes()))
    with pytest.raises(InputError, match=r"cannot be decoded: ffmpeg reports .+, get it again\.$"):
        convert_stem_mp4(damaged, tmp_path / "out")
    assert [path for path in (tmp_path / "out").rglob("*") if path.is_file()] == []


@needs_ffmpeg
def test_audio_with_fewer_streams_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.stem.mp4"
    soundfile.write(path, np.zeros(8000), 8000, format="WAV")
    with pytest.raises(InputError, match=r"reports .Stream map '0:a:1' matches no streams"):
        convert_stem_mp4(path, tmp_path / "out")


@needs_ffmpeg
@pytest.mark.parametrize("content", [b"", b"no song", b"\x00\x00\x00\x14ftypmp42" + bytes(64)])
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.stem.mp4"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"a\.stem\.mp4 "):
        convert_stem_mp4(path, tmp_path / "out")


@needs_ffmpeg
def test_a_missing_song_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="There is no file"):
        convert_stem_mp4(tmp_path / "a.stem.mp4", tmp_path)


@needs_ffmpeg
@pytest.mark.parametrize("name", ["a.mp4", ".stem.mp4", "...stem.mp4"])
def test_names_of_another_form_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    with pytest.raises(InputError, match=r"is not named SONG\.stem\.mp4"):
        convert_stem_mp4(tmp_path / name, tmp_path / "out")


def _pretend_ffmpeg(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    program = folder / "bin" / "ffmpeg"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")


def test_a_full_disk_is_not_taken_for_a_broken_song(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = "av_interleaved_write_frame(): No space left on device"
    _pretend_ffmpeg(tmp_path, f"echo '{report}' >&2; exit 1", monkeypatch)
    (tmp_path / "a.stem.mp4").touch()
    with pytest.raises(MachineError, match=r"No space left on the disk while decoding .*a\.stem"):
        convert_stem_mp4(tmp_path / "a.stem.mp4", tmp_path / "out")


def test_a_broken_song_does_not_stop_the_others(
    mixgen: RunMixgen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The program stands for ffmpeg: it makes its output files, unless the song is called b."""
    make = 'for word in "$@"; do case $word in file:*.wav) : > "${word#file:}";; esac; done'
    _pretend_ffmpeg(
        tmp_path, f"case $* in *b.stem.mp4*) echo broken >&2; exit 1;; esac; {make}", monkeypatch
    )
    for name in "abc":
        (tmp_path / f"{name}.stem.mp4").touch()
    answer = mixgen("convert", tmp_path, "--out", tmp_path / "out")
    assert (answer.exit_code, answer.out) == (4, f"2 songs in {tmp_path / 'out'}.\n")
    assert "failed: b.stem.mp4: " in answer.err
    assert "reports 'broken'" in answer.err
    assert {path.parent.name for path in (tmp_path / "out").rglob("*.wav")} == {"a", "c"}


def test_a_missing_ffmpeg_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MachineError, match="needs the program ffmpeg: install it"):
        convert_stem_mp4(tmp_path / "a.stem.mp4", tmp_path)


def test_songs_are_listed_sorted_without_hidden_ones(tmp_path: Path) -> None:
    for name in ("b.stem.mp4", "train/a.STEM.MP4", "._b.stem.mp4", ".x/c.stem.mp4", "d.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    names = [path.relative_to(tmp_path).as_posix() for path in stem_mp4_files(tmp_path)]
    assert names == ["b.stem.mp4", "train/a.STEM.MP4"]
