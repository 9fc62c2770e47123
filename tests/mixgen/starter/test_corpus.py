"""The starter corpus on disk: its sounds and lists, and how it is repaired, continued, replaced."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from mixgen.core.errors import InputError, MachineError
from mixgen.corpora.song_tags import SongTags, tags_of
from mixgen.corpora.sources import read_sources
from mixgen.starter import speech
from mixgen.starter.corpus import StarterSummary, make_starter
from mixgen.starter.items import STEMS, Plan

Corpus = tuple[Path, StarterSummary]


def _read(path: Path) -> tuple[np.ndarray, int]:
    return soundfile.read(path, dtype="int16", always_2d=True)


def test_two_workers_in_another_folder_make_the_same_bytes(
    corpus: Corpus, tiny_plan: Plan, tmp_path: Path
) -> None:
    out, summary = corpus
    again = make_starter(tmp_path / "again", workers=2, plan=tiny_plan)
    assert again.corpus_sha256 == summary.corpus_sha256
    for name in ("SHA256SUMS", "sources.csv", "starter.json"):
        assert (tmp_path / "again" / name).read_bytes() == (out / name).read_bytes()


def test_the_files_are_those_of_the_plan(corpus: Corpus, tiny_plan: Plan) -> None:
    out, _ = corpus
    sounds = {path.relative_to(out).as_posix() for path in out.rglob("*.flac")}
    assert sounds == {path for item in tiny_plan.items for path in item.paths}
    assert not list(out.rglob(".tmp*"))
    assert not (out / "starter.unfinished.json").exists()


def test_speech_is_16_khz_mono_trimmed_and_level(corpus: Corpus, tiny_plan: Plan) -> None:
    out, _ = corpus
    for utterance in tiny_plan.utterances:
        samples, sample_rate = _read(out / utterance.paths[0])
        assert sample_rate == 16_000
        assert samples.shape[1] == 1
        assert 2.0 < len(samples) / sample_rate < 10.0
        active = np.abs(samples[:, 0]) > 0.003 * 32768
        assert active[:1600].any()
        assert active[-1600:].any()
        level_db = 10 * np.log10(np.mean((samples / 32768) ** 2))
        assert level_db == pytest.approx(speech.LEVEL_DB, abs=0.1)


def test_two_voices_differ_more_in_spectrum_than_two_utterances_of_one(
    corpus: Corpus, tiny_plan: Plan
) -> None:
    out, _ = corpus
    spectra = [_bands(_read(out / u.paths[0])[0][:, 0]) for u in tiny_plan.utterances]
    within = np.abs(spectra[0] - spectra[1]).mean()
    between = np.abs(spectra[0] - spectra[2]).mean()
    assert between > within


def _bands(samples: np.ndarray) -> np.ndarray:
    """Return the long-term level of 32 bands in dB."""
    power = np.abs(np.fft.rfft(samples)) ** 2
    return 10 * np.log10([band.mean() for band in np.array_split(power, 32)])


def test_stems_sum_to_the_mixture_exactly_and_none_is_silent(
    corpus: Corpus, tiny_plan: Plan
) -> None:
    out, _ = corpus
    folder = out / tiny_plan.songs[0].folder
    mixture, sample_rate = _read(folder / "mixture.flac")
    stems = [_read(folder / f"{stem}.flac")[0].astype(int) for stem in STEMS]
    assert sample_rate == 44_100
    assert mixture.shape[1] == 2
    np.testing.assert_array_equal(np.sum(stems, axis=0), mixture)
    assert np.abs(mixture.astype(int)).max() == pytest.approx(0.8 * 32768, abs=4)
    for stem in stems:
        assert np.sqrt(np.mean(stem**2)) > 0.01 * 32768


def test_noise_lasts_as_planned_and_is_never_silent_for_long(
    corpus: Corpus, tiny_plan: Plan
) -> None:
    out, _ = corpus
    for noise in tiny_plan.noises:
        samples, sample_rate = _read(out / noise.paths[0])
        assert len(samples) == round(noise.duration_s * sample_rate)
        halves = np.split(samples[:, 0].astype(float), 2)
        assert min(np.std(half) for half in halves) > 10, noise


def test_sources_hold_kind_label_group_split_and_text(corpus: Corpus, tiny_plan: Plan) -> None:
    out, _ = corpus
    rows = {row.path: row for row in read_sources([out / "sources.csv"])}
    utterance, song, noise = tiny_plan.utterances[0], tiny_plan.songs[0], tiny_plan.noises[0]
    spoken = rows[utterance.paths[0]]
    assert (spoken.kind, spoken.label) == ("speech", utterance.speaker.name)
    assert spoken.text == utterance.text
    stem = rows[f"{song.folder}/bass.flac"]
    assert (stem.kind, stem.label, stem.group) == ("music", "bass", song.name)
    assert (stem.channels, stem.sample_rate) == (2, 44_100)
    assert tags_of(stem.text) == SongTags(tempo_bpm=96, key="C major", beat_s=0)
    assert all(row.active for row in rows.values())
    assert rows[noise.paths[0]].label == noise.label
    assert {row.licence for row in rows.values()} == {"CC0-1.0"}
    assert {row.split for row in rows.values()} == {"train"}
    assert f"{song.folder}/mixture.flac" not in rows


def test_drums_are_struck_on_the_beats_of_the_tags(corpus: Corpus, tiny_plan: Plan) -> None:
    out, _ = corpus
    rows = {row.path: row for row in read_sources([out / "sources.csv"])}
    row = rows[f"{tiny_plan.songs[0].folder}/drums.flac"]
    tags = tags_of(row.text)
    samples, sample_rate = _read(out / row.path)
    rises = np.diff(np.abs(samples[:, 0]).reshape(-1, sample_rate // 100).mean(axis=1)).clip(0)
    since_beat_s = (np.arange(1, rises.size + 1) / 100 - tags.beat_s) % (60 / tags.tempo_bpm)
    near = np.minimum(since_beat_s, 60 / tags.tempo_bpm - since_beat_s) < 0.025
    # Less than a tenth of the time is near a beat, but more than a third of the rise in level.
    assert near.mean() < 0.1
    assert rises[near].sum() > 0.35 * rises.sum()


def test_transcripts_have_the_format_of_librispeech(corpus: Corpus, tiny_plan: Plan) -> None:
    out, _ = corpus
    first = tiny_plan.utterances[0]
    folder = (out / first.paths[0]).parent
    lines = (folder / f"{first.speaker.name}.trans.txt").read_text().splitlines()
    assert [line.split()[0] for line in lines] == [f"{first.speaker.name}-{n:03d}" for n in (1, 2)]
    words = lines[0].split(maxsplit=1)[1]
    assert words == words.upper()
    assert len(words.split()) == len(first.text.split())


def test_a_complete_corpus_is_not_changed(corpus: Corpus, tiny_plan: Plan) -> None:
    out, summary = corpus
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    assert make_starter(out, plan=tiny_plan) == summary
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before


def _without_activity(text: str) -> str:
    """Return a sources.csv without its last columns: `active`, `layout` and `frames`."""
    return "".join(line.rsplit(",", 3)[0] + "\n" for line in text.splitlines())


def _without_frames(text: str) -> str:
    return "".join(line.rsplit(",", 1)[0] + "\n" for line in text.splitlines())


def _without_tempo(text: str) -> str:
    return text.replace("tempo_bpm=", "tempo=")


@pytest.mark.parametrize(
    "change", [_without_activity, _without_frames, _without_tempo, lambda _: "", str.upper]
)
def test_only_an_outdated_list_is_written_again(
    corpus: Corpus, tiny_plan: Plan, tmp_path: Path, change: Callable[[str], str]
) -> None:
    out = tmp_path / "copy"
    shutil.copytree(corpus[0], out)
    sources, sounds = out / "sources.csv", list(out.rglob("*.flac"))
    sources.write_text(change(sources.read_text()))
    before = [path.stat().st_mtime_ns for path in sounds]
    assert make_starter(out, workers=1, plan=tiny_plan) == corpus[1]
    assert sources.read_bytes() == (corpus[0] / "sources.csv").read_bytes()
    assert [path.stat().st_mtime_ns for path in sounds] == before


def test_only_altered_and_missing_files_are_made_again(
    corpus: Corpus, tiny_plan: Plan, tmp_path: Path
) -> None:
    out = tmp_path / "copy"
    shutil.copytree(corpus[0], out)
    altered, missing, kept = (out / utterance.paths[0] for utterance in tiny_plan.utterances[:3])
    content = bytearray(altered.read_bytes())
    content[-100] ^= 1
    altered.write_bytes(content)
    missing.unlink()
    kept_at = kept.stat().st_mtime_ns
    assert make_starter(out, workers=1, plan=tiny_plan).corpus_sha256 == corpus[1].corpus_sha256
    for utterance in tiny_plan.utterances:
        path = utterance.paths[0]
        assert (out / path).read_bytes() == (corpus[0] / path).read_bytes()
    assert kept.stat().st_mtime_ns == kept_at


def test_an_unfinished_corpus_is_continued(corpus: Corpus, tiny_plan: Plan, tmp_path: Path) -> None:
    out = tmp_path / "copy"
    shutil.copytree(corpus[0], out)
    identity = json.loads((out / "starter.json").read_text())["identity"]
    (out / "starter.unfinished.json").write_text(json.dumps({"identity": identity}))
    for name in ("starter.json", "SHA256SUMS", "sources.csv", tiny_plan.noises[0].paths[0]):
        (out / name).unlink()
    kept = out / tiny_plan.songs[0].paths[0]
    kept_at = kept.stat().st_mtime_ns
    assert make_starter(out, workers=1, plan=tiny_plan) == corpus[1]
    assert kept.stat().st_mtime_ns == kept_at


def test_a_corpus_of_another_plan_is_replaced(
    corpus: Corpus, tiny_plan: Plan, tmp_path: Path
) -> None:
    out = tmp_path / "copy"
    shutil.copytree(corpus[0], out)
    smaller = Plan(tiny_plan.utterances[:1], (), ())
    assert make_starter(out, workers=1, plan=smaller).counts["songs"] == 0
    assert [path.name for path in out.rglob("*.flac")] == [f"{smaller.utterances[0].name}.flac"]


@pytest.mark.usefixtures("needs_espeak")
def test_a_folder_of_something_else_is_refused(tmp_path: Path, tiny_plan: Plan) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(InputError, match="holds no starter corpus"):
        make_starter(tmp_path, plan=tiny_plan)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_missing_espeak_is_reported_in_one_sentence(
    tmp_path: Path, tiny_plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speech, "ESPEAK", "espeak-ng-that-is-not-there")
    speech.espeak_version.cache_clear()
    with pytest.raises(MachineError, match="apt-get install espeak-ng") as caught:
        make_starter(tmp_path / "out", plan=tiny_plan)
    assert caught.value.exit_code == 6
    assert not (tmp_path / "out").exists()
    speech.espeak_version.cache_clear()


def test_a_hanging_espeak_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "hangs"
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o755)
    monkeypatch.setattr(speech, "ESPEAK", str(program))
    monkeypatch.setattr(speech, "TIMEOUT_S", 0.2)
    speech.espeak_version.cache_clear()
    with pytest.raises(MachineError, match="did not answer"):
        speech.espeak_version()
