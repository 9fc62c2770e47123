"""The reference generators of the smaller sets against values worked out by hand."""

import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from tests.oracles.corpora import librispeechmix_sources
from tests.oracles.dnr import dnr
from tests.oracles.further_corpora import (
    dnr_sources,
    fuss_sources,
    musdb_track,
    vctk2mix_sources,
)
from tests.oracles.fuss import fuss_dry, fuss_reverberant
from tests.oracles.librispeechmix import librispeechmix
from tests.oracles.musdb import linear_mixture
from tests.oracles.noise_speed import speed_copy
from tests.oracles.smswsj import smswsj
from tests.oracles.vctk2mix import cut_vctk, vctk2mix


def write_steps(path: Path, steps: Sequence[int]) -> None:
    """Write multiples of 2^-15 at 16 kHz."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.array(steps, np.int16), 16000)


def steps_of(path: Path) -> list[int]:
    return [int(step) for step in soundfile.read(path, dtype="int16")[0]]


# LibriSpeechMix


def test_librispeechmix_by_hand(tmp_path: Path) -> None:
    """A delay of 1.99 samples is one sample; the sum clips."""
    write_steps(tmp_path / "x/a.flac", [10, 20000, 30])
    write_steps(tmp_path / "x/b.wav", [20000, 2, 3])
    row = {"wavs": ["x/a.wav", "x/b.wav"], "delays": [0.0, 1.99 / 16000], "mixed_wav": "m/0.wav"}
    (tmp_path / "list.jsonl").write_text(json.dumps(row) + "\n")
    librispeechmix(tmp_path / "list.jsonl", tmp_path, tmp_path / "out")
    assert steps_of(tmp_path / "out/m/0.wav") == [10, 32767, 32, 3]


def test_librispeechmix_tree(tmp_path: Path, real_data: Path) -> None:
    sources = librispeechmix_sources(tmp_path / "in", real_data)
    librispeechmix(sources.list_file, sources.librispeech, tmp_path / "out")
    rows = [json.loads(line) for line in sources.list_file.read_text().splitlines()]
    for row in rows:
        ends = [
            int(delay * 16000)
            + soundfile.info((sources.librispeech / wav).with_suffix(".flac")).frames
            for wav, delay in zip(row["wavs"], row["delays"], strict=True)
        ]
        assert soundfile.info(tmp_path / "out" / row["mixed_wav"]).frames == max(ends)
    assert max(steps_of(tmp_path / "out" / rows[1]["mixed_wav"])) == 32767


# VCTK-2mix


def _vctk_by_hand(root: Path, noise: Sequence[int]) -> dict[str, list[int]]:
    write_steps(root / "vctk/wav16_cut/p1.wav", [100] * 5)
    write_steps(root / "vctk/wav16_cut/p2.wav", [10] * 4)
    write_steps(root / "noises/tt/n.wav", noise)
    (root / "VCTK2mix_VCTK_md.csv").write_text(
        "mixture_ID,source_1_path,source_1_gain,source_2_path,source_2_gain,noise_path,noise_gain\n"
        "p1_p2,wav16_cut/p1.wav,2.0,wav16_cut/p2.wav,1.0,tt/n.wav,0.5\n"
    )
    lists = root / "VCTK2mix_VCTK_md.csv"
    vctk2mix(lists, root / "vctk", root / "noises", root / "out", rates=(16000,))
    folder = root / "out/VCTK2Mix/wav16k"
    return {mode: steps_of(folder / mode / "VCTK_md/mix_both/p1_p2.wav") for mode in ("min", "max")}


def test_vctk2mix_never_extends_a_noise(tmp_path: Path) -> None:
    found = _vctk_by_hand(tmp_path, [2, 2, 2])
    assert found == {"min": [211] * 3, "max": [211] * 3 + [210, 200]}


def test_vctk2mix_cuts_the_noise_to_the_longest_talker(tmp_path: Path) -> None:
    found = _vctk_by_hand(tmp_path, [2] * 9)
    assert found == {"min": [211] * 4, "max": [211] * 4 + [201]}


def test_vctk2mix_tree(tmp_path: Path, real_data: Path) -> None:
    sources = vctk2mix_sources(tmp_path / "in", real_data)
    vctk2mix(sources.metadata, sources.vctk, sources.wham_noise, tmp_path / "out")
    folder = tmp_path / "out/VCTK2Mix/wav16k"
    for mode, lengths in (("min", [20000, 20001, 19999]), ("max", [24001, 31000, 22001])):
        tables = folder / mode / "metadata"
        rows = pd.read_csv(tables / "mixture_VCTK_md_mix_both.csv")
        assert list(rows["length"]) == lengths
        assert [soundfile.info(path).frames for path in rows["noise_path"]] == lengths


def test_cut_vctk_begins_with_the_frame_that_reaches_a_hundredth_of_the_power(
    tmp_path: Path,
) -> None:
    """A step at 10000: frame 18 (8192 to 10239) is the first with 1 % of the highest power."""
    samples = np.zeros(48000)
    samples[10000:] = 0.5
    (tmp_path / "wav48/p1").mkdir(parents=True)
    soundfile.write(tmp_path / "wav48/p1/p1_001.wav", samples, 48000)
    cut_vctk(tmp_path / "wav48", tmp_path / "wav16_cut")
    info = soundfile.info(tmp_path / "wav16_cut/p1_001.wav")
    assert (info.samplerate, info.frames) == (16000, (48000 - 18 * 512) // 3)


# Divide and Remaster


def test_dnr_by_hand(tmp_path: Path) -> None:
    """Seconds lose their fraction of a sample; the clip ends with the shortest of three lengths."""
    for name, value in (("music", 0.5), ("sfx", 0.25), ("background", 0.125), ("speech", -0.5)):
        (tmp_path / name).mkdir()
        data = np.full(88200, value)
        data[:10] = 0  # before the excerpt
        soundfile.write(tmp_path / name / "7.wav", data, 44100, subtype="FLOAT")
    (tmp_path / "meta/123").mkdir(parents=True)
    (tmp_path / "meta/123/annots.csv").write_text(
        ",file,class,mix start time,mix end time,clip start sample,clip end sample,clip gain,"
        "annotation\n"
        f"0,x/7.wav,music,{1000.9 / 44100},{1004.9 / 44100},{10.5 / 44100},{20 / 44100},0.5,jazz\n"
        f"1,x/7.wav,sfx,{1001.5 / 44100},{2000 / 44100},{10.5 / 44100},{12.5 / 44100},1.0,bark\n"
        f"2,x/7.wav,background,{1002.5 / 44100},1.0,0.0,0.5,2.0,rain\n"
        f"3,x/7.wav,speech,59.0,59.5,1.0,2.0,0.1,HELLO\n"
    )
    roots = {name: tmp_path / name for name in ("music", "sfx", "background", "speech")}
    dnr(tmp_path / "meta/123/annots.csv", roots, tmp_path / "out")
    found = {}
    for path in (tmp_path / "out/123").glob("*.wav"):
        assert (soundfile.info(path).subtype, soundfile.info(path).frames) == ("FLOAT", 2646000)
        found[path.stem] = soundfile.read(path)[0]
    assert list(found["music"][999:1006]) == [0, 0.25, 0.25, 0.25, 0.25, 0, 0]
    assert list(found["sfx"][1000:1005]) == [0, 0.25, 0.25, 0, 0]
    assert found["sfx"][1002 + 10] == 0.25  # background, in sfx
    assert list(found["mix"][1000:1005]) == [0.25, 0.5, 0.5, 0.25, 0]
    assert list(found["speech"][2601899:2601901]) == [0, np.float32(-0.05)]
    assert np.count_nonzero(found["speech"]) == 22050


def test_dnr_tree(tmp_path: Path, real_data: Path) -> None:
    sources = dnr_sources(tmp_path / "in", real_data)
    dnr(sources.annotations, sources.class_roots, tmp_path / "out")
    folder = tmp_path / "out" / "1002"
    assert (folder / "annots.csv").read_bytes() == sources.annotations.read_bytes()
    mix, *stems = (
        soundfile.read(folder / f"{name}.wav")[0] for name in ("mix", "music", "sfx", "speech")
    )
    assert np.allclose(np.sum(stems, axis=0), mix, rtol=0, atol=1e-7)
    assert all(np.any(stem) for stem in stems)


# FUSS


def _fuss_by_hand(root: Path, align: str) -> dict[str, list[int]]:
    for name, step in (("background0", 100), ("foreground0", 9)):
        samples = np.zeros(160000, np.int16)
        samples[50] = step
        write_steps(root / f"ss/train/example0_sources/{name}_sound.wav", list(samples))
    response = np.zeros(9)
    response[3], response[5] = 0.1, -0.05
    (root / "rir/train").mkdir(parents=True)
    soundfile.write(root / "rir/train/r.wav", response, 16000, subtype="DOUBLE")
    sources = [
        f"train/example0_sources/{name}_sound.wav" for name in ("background0", "foreground0")
    ]
    products = " + ".join(f"{source} * train/r.wav" for source in sources)
    (root / "mix_info.txt").write_text(f"train/example0.wav = {products}\n")
    (root / "ss/train/example0.txt").write_text("0.0\t10.0\tsound")
    fuss_reverberant(root / "mix_info.txt", root / "ss", root / "rir", root / "out", align=align)
    return {name: steps_of(root / "out" / name) for name in ("train/example0.wav", *sources)}


@pytest.mark.parametrize(("align", "start"), [("causal", 53), ("align_sources", 50), ("same", 49)])
def test_fuss_by_hand(tmp_path: Path, align: str, start: int) -> None:
    """Responses are ten times louder: 100 and -50 steps; 9 and -4.5, whose floor is -5."""
    mixture, background, foreground = _fuss_by_hand(tmp_path, align).values()
    assert background[start : start + 3] == [100, 0, -50]
    assert foreground[start : start + 3] == [9, 0, -5]
    # The sum of the floored stems, not the floor of the sum.
    assert mixture[start : start + 3] == [109, 0, -55]
    assert (tmp_path / "out/train/example0.txt").read_text() == (
        "0.0\t10.0\tsound\nroom impulse responses used:\ntrain/r.wav\ntrain/r.wav"
    )


def test_fuss_tree(tmp_path: Path, real_data: Path) -> None:
    """Mixtures of one to four sources are the sums of their files, clipped, in both forms."""
    sources = fuss_sources(tmp_path / "in", real_data)
    fuss_reverberant(sources.mix_info, sources.ssdata, sources.rir_data, tmp_path / "reverb")
    fuss_dry(sources.example_list, sources.ssdata, tmp_path / "dry")
    for line in sources.example_list.read_text().splitlines():
        for form in ("reverb", "dry"):
            paths = [tmp_path / form / name for name in line.split("\t")]
            mixture, *stems = (np.array(steps_of(path)) for path in paths)
            assert len(mixture) == 160000
            assert np.array_equal(mixture, np.clip(np.sum(stems, axis=0), -32768, 32767))
    # The last dry mixture clips.
    assert max(mixture) == 32767


def test_fuss_dry_corrects_length_and_sum(tmp_path: Path) -> None:
    write_steps(tmp_path / "ss/a.wav", [7] * 160000)
    write_steps(tmp_path / "ss/b.wav", [5] * 159999)
    write_steps(tmp_path / "ss/mix.wav", [13] * 160001)
    (tmp_path / "list.txt").write_text("mix.wav\ta.wav\tb.wav\n")
    fuss_dry(tmp_path / "list.txt", tmp_path / "ss", tmp_path / "out")
    assert steps_of(tmp_path / "out/mix.wav") == [12] * 159999 + [7]


def test_fuss_dry_keeps_a_mixture_that_is_the_sum(tmp_path: Path) -> None:
    write_steps(tmp_path / "ss/a.wav", [7] * 160000)
    write_steps(tmp_path / "ss/mix.wav", [7] * 160000)
    (tmp_path / "list.txt").write_text("mix.wav\ta.wav\n")
    fuss_dry(tmp_path / "list.txt", tmp_path / "ss", tmp_path / "out")
    assert (tmp_path / "out/mix.wav").read_bytes() == (tmp_path / "ss/mix.wav").read_bytes()


# MUSDB18


def test_the_linear_mixture_of_a_song_whose_mixture_is_its_sum(
    tmp_path: Path, real_data: Path
) -> None:
    track = musdb_track(tmp_path, real_data)
    linear_mixture(track, tmp_path / "out")
    found, _ = soundfile.read(tmp_path / "out" / track.name / "linear_mixture.wav")
    assert np.array_equal(found, soundfile.read(track / "mixture.wav")[0])


# WHAM!'s training noises, faster and slower


@pytest.mark.skipif(shutil.which("sox") is None, reason="needs the program sox")
@pytest.mark.parametrize(("factor", "name"), [(0.8, "nsp08.wav"), (1.2, "nsp12.wav")])
def test_a_faster_noise_is_shorter_and_higher(tmp_path: Path, factor: float, name: str) -> None:
    """1000 Hz in the first channel; 3000 Hz in the second one, which is not used."""
    time_s = np.arange(48000) / 16000
    tones = [0.5 * np.sin(2 * np.pi * hz * time_s) for hz in (1000, 3000)]
    soundfile.write(tmp_path / "n.wav", np.stack(tones, axis=1), 16000)
    faster = speed_copy(tmp_path / "n.wav", factor)
    samples, rate = soundfile.read(faster)
    assert (faster.name, rate, samples.ndim) == (name, 16000, 1)
    assert len(samples) == round(48000 / factor)
    strongest_hz = np.argmax(np.abs(np.fft.rfft(samples))) * 16000 / len(samples)
    assert strongest_hz == pytest.approx(1000 * factor, abs=1)
    assert np.abs(samples[2000:-2000]).max() == pytest.approx(0.5, abs=0.01)


# SMS-WSJ


def test_smswsj_by_hand(tmp_path: Path) -> None:
    """Two microphones; standard deviations of 0.75 and 0.5; levels of 0 and 20 dB."""
    talkers = ([1.0, -1.0, 1.0, -1.0], [1.0, 1.0])
    rooms = np.zeros((2, 2, 500))
    rooms[0, 0, 3], rooms[0, 1, 5] = 1.0, 0.5  # the second microphone is two samples later
    rooms[1, :, 0], rooms[1, 0, 402] = 1.0, 0.05  # 2 samples after the end of the early part
    for k, samples in enumerate(talkers):
        _write_float(tmp_path / f"wsj/{k}.wav", np.array(samples))
        _write_float(tmp_path / f"rirs/h_{k}.wav", rooms[k].T)
    entry = {
        "log_weights": [0.0, 20.0],
        "num_samples": {"original_source": [4, 2], "observation": 4},
        "offset": [0, 1],
        "snr": 20.0,
        "audio_path": {
            "original_source": ["/x/wsj_8k_zeromean/0.wav", "/x/wsj_8k_zeromean/1.wav"],
            "rir": ["/x/rirs/h_0.wav", "/x/rirs/h_1.wav"],
        },
    }
    database = tmp_path / "sms_wsj.json"
    database.write_text(json.dumps({"datasets": {"cv_dev93": {"0_a_b": entry}}}))
    smswsj(database, tmp_path / "wsj", tmp_path / "rirs", tmp_path / "out")

    def read(kind: str, number: str = "") -> np.ndarray:
        return soundfile.read(tmp_path / "out" / kind / f"cv_dev93/0_a_b{number}.wav")[0].T

    first = np.array([[1, -1, 1, -1], [0, 0, 0.5, -0.5]]) / 0.75 / 71
    second = np.array([[0, 1, 1, 0]] * 2) * 10 / 0.5 / 71
    for kind in ("speech_image", "early"):
        np.testing.assert_allclose(read(kind, "_0"), first, atol=1e-8)
        np.testing.assert_allclose(read(kind, "_1"), second, atol=1e-7)
    np.testing.assert_allclose(read("tail", "_1"), 0, atol=1e-15)
    np.testing.assert_array_equal(read("speech_source", "_1"), [0, 1, 1, 0])
    noise, clean = read("noise"), first + second
    np.testing.assert_allclose(read("observation"), clean + noise, atol=1e-7)
    assert np.mean(clean**2) / np.mean(noise**2) == pytest.approx(100, rel=1e-6)
    seed = (int(hashlib.md5(b"0_a_b").hexdigest(), 16) - 1) % 2**32
    drawn = np.random.RandomState(seed).normal(size=(2, 4))
    np.testing.assert_allclose(noise / noise[0, 0], drawn / drawn[0, 0], rtol=1e-5)


def _write_float(path: Path, samples: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, 8000, subtype="DOUBLE")
