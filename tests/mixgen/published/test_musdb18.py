"""MUSDB18: both mixtures against the sums of stems, from wav and from stem.mp4."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import yaml

from mixgen.manifest.file import read_manifest
from mixgen.manifest.mixture import Mixture
from mixgen.published.musdb18 import VALIDATION_SONGS
from mixgen.sets.rendered import load_set
from mixgen.verify.set import verify_set
from tests.mixgen.conftest import RunMixgen
from tests.mixgen.published.conftest import write_song
from tests.oracles.compare import differing_samples
from tests.oracles.musdb import linear_mixture

RATE = 44100
STEMS = ("vocals", "bass", "drums", "other")
SONGS = {
    "train/A Band - Song, No. 1 (Live!)": 5000,
    "train/Triviul - Angelsaint": 4000,
    "test/Other's - Été": 3000,
}
both = ("--type", "mixture", "--type", "linear_mixture")


@pytest.fixture
def songs(tmp_path: Path) -> Path:
    for name, frames in SONGS.items():
        write_song(tmp_path / "musdb18hq" / name, frames)
    return tmp_path / "musdb18hq"


def imported(mixgen: RunMixgen, root: Path, out: Path, *words: object) -> list[Mixture]:
    answer = mixgen("import", "musdb", "--musdb", root, "--out", out, *words)
    assert answer.exit_code == 0, answer.err
    return read_manifest(out).mixtures


def test_the_validation_songs_are_those_of_musdb(real_data: Path) -> None:
    text = (real_data / "metadata" / "musdb18" / "mus.yaml").read_text(encoding="utf-8")
    assert frozenset(yaml.safe_load(text)["validation_tracks"]) == VALIDATION_SONGS
    assert len(VALIDATION_SONGS) == 14


def test_records_of_both_mixtures(songs: Path, tmp_path: Path, mixgen: RunMixgen) -> None:
    mixtures = imported(mixgen, songs, tmp_path / "M.jsonl", *both)
    assert {m.id: (m.split, m.frames, m.sums_on_disk) for m in mixtures} == {
        "Other_s_-_t___mixture": ("test", 3000, False),
        "Other_s_-_t___linear_mixture": ("test", 3000, True),
        "A_Band_-_Song_No._1_Live___mixture": ("train", 5000, False),
        "A_Band_-_Song_No._1_Live___linear_mixture": ("train", 5000, True),
        "Triviul_-_Angelsaint__mixture": ("valid", 4000, False),
        "Triviul_-_Angelsaint__linear_mixture": ("valid", 4000, True),
    }
    published = mixtures[-1].published
    assert published is not None
    expected = "Triviul - Angelsaint", "train", "linear_mixture"
    assert (published.name, published.folder, published.type) == expected
    assert [source.name for source in mixtures[0].sources] == list(STEMS)


def test_the_linear_mixture_is_that_of_the_oracle(
    songs: Path, tmp_path: Path, mixgen: RunMixgen
) -> None:
    imported(mixgen, songs, tmp_path / "M.jsonl", *both)
    out = tmp_path / "out"
    assert mixgen("render", tmp_path / "M.jsonl", "--out", out, "--layout", "musdb").exit_code == 0
    assert verify_set(out, deep=True) == []
    for name, frames in SONGS.items():
        linear_mixture(songs / name, tmp_path / "expected")
        folder = tmp_path / "expected" / Path(name).name
        for file in ("mixture", *STEMS):
            samples, _ = soundfile.read(songs / name / f"{file}.wav", dtype="float32")
            soundfile.write(folder / f"{file}.wav", samples, RATE, subtype="FLOAT")
        found = differing_samples(folder, out / name)
        assert len(found) == 6
        assert set(found.values()) == {0}
        loudest = np.abs(soundfile.read(out / name / "linear_mixture.wav")[0]).max()
        assert loudest > 1, frames


def test_the_published_tree_is_written_as_it_was(
    songs: Path, tmp_path: Path, mixgen: RunMixgen
) -> None:
    """16-bit files, byte for byte the samples of the corpus."""
    imported(mixgen, songs, tmp_path / "M.jsonl")
    out = tmp_path / "out"
    mixgen("render", tmp_path / "M.jsonl", "--out", out, "--layout", "musdb")
    found = differing_samples(songs, out)
    assert len(found) == 5 * len(SONGS)
    assert set(found.values()) == {0}


def described(mixture: Mixture) -> Any:
    names = [source.name for source in mixture.sources]
    return mixture.split, mixture.frames, mixture.sample_rate, mixture.channels, sorted(names)


def test_rendering_and_importing_again_agree(
    songs: Path, tmp_path: Path, mixgen: RunMixgen
) -> None:
    """The rendered tree is MUSDB18 again: as the set itself, and as a folder."""
    first = imported(mixgen, songs, tmp_path / "M.jsonl")
    out = tmp_path / "out"
    mixgen("render", tmp_path / "M.jsonl", "--out", out, "--layout", "musdb")
    again = imported(mixgen, out, tmp_path / "again.jsonl")
    # The files have other bytes, as the chunks of their headers differ, and the same samples.
    same = [m.model_dump(exclude={"sources", "recorded"}) for m in first]
    assert [m.model_dump(exclude={"sources", "recorded"}) for m in again] == same
    manifest = tmp_path / "folder.jsonl"
    answer = mixgen("import", "folder", out, "--layout", "SPLIT/ID/SOURCE", "--out", manifest)
    assert answer.exit_code == 0, answer.err
    folder = read_manifest(manifest)
    assert folder.header.task == "music_separation"
    assert [described(m)[1:] for m in folder.mixtures] == [described(m)[1:] for m in first]
    rows = {(row.path, row.sha256) for row in load_set(out).record}
    files = [f for m in folder.mixtures if m.finished for f in m.finished.files.values()]
    assert {(file.path, file.samples_sha256) for file in files} == rows


def test_licences_of_songs(songs: Path, tmp_path: Path, mixgen: RunMixgen) -> None:
    (tmp_path / "tracklist.csv").write_text(
        "Track Name,Genre,Source,License\nTriviul - Angelsaint,Pop/Rock,DSD,Restricted\n"
    )
    mixtures = imported(
        mixgen, songs, tmp_path / "M.jsonl", "--metadata", tmp_path / "tracklist.csv"
    )
    licences = {m.published.name: m.sources[0].events[0].licence for m in mixtures if m.published}
    assert licences["Triviul - Angelsaint"] == "Restricted"
    assert set(licences.values()) == {"Restricted", ""}


def test_a_stem_that_is_missing_or_shorter(songs: Path, tmp_path: Path, mixgen: RunMixgen) -> None:
    (songs / "test/Other's - Été/bass.wav").unlink()
    path = songs / "train/Triviul - Angelsaint/other.wav"
    soundfile.write(path, np.zeros((3999, 2), np.int16), RATE)
    words = ("import", "musdb", "--musdb", songs, "--out", tmp_path / "M.jsonl")
    answer = mixgen(*words)
    assert answer.exit_code == 3
    assert "test/Other's - Été/bass.wav is not in" in answer.err
    assert "check --musdb (and 1 more mixtures)" in answer.err
    answer = mixgen(*words, "--allow-missing")
    assert answer.out == f"1 mixtures in {tmp_path / 'M.jsonl'}, 2 left out.\n"
    assert "have 3999 and 4000 samples" in answer.err


def test_a_real_song_of_seven_seconds(tmp_path: Path, mixgen: RunMixgen, real_data: Path) -> None:
    if shutil.which("ffmpeg") is None:
        pytest.skip("needs ffmpeg to decode .stem.mp4")
    root = tmp_path / "musdb18" / "test"
    root.mkdir(parents=True)
    (path,) = (real_data / "music" / "musdb18-7s-80s-rock-museval").glob("*.stem.mp4")
    shutil.copy(path, root)
    mixtures = imported(mixgen, root.parent, tmp_path / "M.jsonl", *both)
    assert [m.split for m in mixtures] == ["test", "test"]
    assert not any(m.sums_on_disk for m in mixtures)
    out = tmp_path / "out"
    mixgen("render", tmp_path / "M.jsonl", "--out", out, "--layout", "musdb")
    assert verify_set(out, deep=True) == []
    song = "test/Music Delta - 80s Rock"
    decoded = tmp_path / "musdb18-wav" / song
    linear_mixture(decoded, tmp_path / "expected")
    shutil.copytree(decoded, tmp_path / "expected" / decoded.name, dirs_exist_ok=True)
    found = differing_samples(tmp_path / "expected" / decoded.name, out / song)
    assert len(found) == 6
    assert set(found.values()) == {0}
    # The decoded stems of this song sum to the mixture within -31.6 dB (ATTRIBUTION.md).
    mixture, _ = soundfile.read(out / song / "mixture.wav")
    linear, _ = soundfile.read(out / song / "linear_mixture.wav")
    ratio_db = 10 * np.log10(np.sum((mixture - linear) ** 2) / np.sum(mixture**2))
    assert ratio_db == pytest.approx(-31.6, abs=0.1)


def test_a_compressed_song_that_is_broken(songs: Path, tmp_path: Path, mixgen: RunMixgen) -> None:
    if shutil.which("ffmpeg") is None:
        pytest.skip("needs ffmpeg to decode .stem.mp4")
    (songs / "test" / "Broken.stem.mp4").write_bytes(b"no song")
    words = ("import", "musdb", "--musdb", songs, "--out", tmp_path / "M.jsonl")
    assert "cannot be decoded" in mixgen(*words).err
    answer = mixgen(*words, "--decoded", songs, "--allow-missing")
    assert answer.out == f"3 mixtures in {tmp_path / 'M.jsonl'}, 1 left out.\n"


def test_a_folder_without_songs(tmp_path: Path, mixgen: RunMixgen) -> None:
    answer = mixgen("import", "musdb", "--musdb", tmp_path, "--out", tmp_path / "M.jsonl")
    assert answer.exit_code == 3
    assert "has no songs: give the folder with train and test" in answer.err
