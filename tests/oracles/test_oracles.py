"""The reference generators against values worked out by hand and against the public lists."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from tests.oracles.compare import differing_samples
from tests.oracles.corpora import librimix_sources, wham_sources, wsj0_sources
from tests.oracles.librimix import (
    Tables,
    extended,
    first_channel,
    librimix,
    mixed,
    scaled_sources,
)
from tests.oracles.wham import wham
from tests.oracles.wsj0mix import mixture_name, wsj0mix


def write_steps(path: Path, steps: Sequence[int], channels: int = 1) -> None:
    """Write multiples of 2^-15 at 16 kHz; further channels hold noise that nothing may read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = [
        np.array(steps),
        *np.random.default_rng(1).integers(-9, 9, (channels - 1, len(steps))),
    ]
    soundfile.write(path, np.stack(columns, axis=1).astype(np.int16), 16000)


def steps_of(path: Path) -> list[int]:
    samples, _ = soundfile.read(path, dtype="int16")
    return [int(step) for step in samples]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_libsndfile_writes_the_integer_below_and_clips(tmp_path: Path, dtype: type) -> None:
    steps = np.array([0.6, 0.999, -0.001, -0.4, 12.5, -12.5, 20000, 40000, -40000])
    soundfile.write(tmp_path / "x.wav", (steps / 2**15).astype(dtype), 16000)
    assert steps_of(tmp_path / "x.wav") == [0, 0, -1, -1, 12, -13, 20000, 32767, -32768]


# wsj0-mix


def test_wsj0mix_names_are_those_of_the_wham_noises(real_data: Path) -> None:
    """WHAM! names its noises after the mixtures of wsj0-2mix: 5000 and 3000 public names."""
    for split, subset in (("cv", "dev"), ("tt", "test")):
        lines = (real_data / f"metadata/wsj0-mix/mix_2_spk_{split}.txt").read_text().splitlines()
        rows = [line.split() for line in lines]
        named = {mixture_name(row[0::2], [float(gain) for gain in row[1::2]]) for row in rows}
        with (real_data / f"metadata/librimix/Wham_noise/{subset}.csv").open() as table:
            noises = {row["noise_ID"] for row in csv.DictReader(table)}
        assert named == noises
        assert len(named) == len(rows)


def test_wsj0mix_names_keep_eight_digits_of_the_longer_lists() -> None:
    paths = ["wsj0/si_dt_05/051/051a0507.wav", "wsj0/si_et_05/441/441c020y.wav"]
    assert mixture_name(paths, [1.914640538743294, 0]) == "051a0507_1.9146405_441c020y_0.wav"
    assert mixture_name(paths[:1], [5.2094e-07]) == "051a0507_5.2094e-07.wav"


def _wsj0_by_hand(root: Path, first: Sequence[int], second: Sequence[int], powers: str) -> Path:
    write_steps(root / "wsj0" / "a.wav", first)
    write_steps(root / "wsj0" / "b.wav", second)
    (root / "activlev").mkdir()
    (root / "activlev" / "activlev_x.txt").write_text(powers)
    (root / "mix_2_spk_tt.txt").write_text("wsj0/a.wav 0 wsj0/b.wav 0 \n")
    wsj0mix(root / "mix_2_spk_tt.txt", root / "activlev", root, root / "out", rates=(16000,))
    return root / "out" / "2speakers" / "wav16k"


def test_wsj0mix_levels_and_gains_by_hand(tmp_path: Path) -> None:
    """Levels 0.25 and 0.125 make both talkers 1, and the second one -3 after the first one's end.

    min: the mixture's 2 becomes 0.9; max: 3 becomes 0.9.
    """
    folder = _wsj0_by_hand(
        tmp_path, [8192] * 3, [4096] * 3 + [-12288] * 2, "a 6.25e-02\nb 1.5625e-02\n"
    )
    name = "a_0_b_0.wav"
    assert steps_of(folder / "min/tt/mix" / name) == [29491] * 3  # 29491.2
    assert steps_of(folder / "min/tt/s1" / name) == [14746] * 3  # 14745.6
    assert steps_of(folder / "max/tt/mix" / name) == [19661] * 3 + [-29491] * 2  # 19660.8
    assert steps_of(folder / "max/tt/s1" / name) == [9830] * 3 + [0] * 2  # 9830.4
    assert steps_of(folder / "max/tt/s2" / name) == [9830] * 3 + [-29491] * 2


def test_wsj0mix_ties_go_to_the_even_step(tmp_path: Path) -> None:
    """Where no peak reaches 1, everything is multiplied by 0.9: 5 and 15 steps become 4.5, 13.5."""
    folder = _wsj0_by_hand(tmp_path, [5, 15, -5], [0, 0, 0], "a 1.0\nb 1.0\n")
    assert steps_of(folder / "min/tt/s1/a_0_b_0.wav") == [4, 14, -4]


@pytest.mark.parametrize("talkers", [2, 3, 4, 5])
def test_wsj0mix_tree(tmp_path: Path, real_data: Path, talkers: int) -> None:
    sources = wsj0_sources(tmp_path / "in", real_data, talkers=talkers)
    wsj0mix(
        sources.list_file,
        sources.activlev,
        sources.wsj0_root,
        tmp_path / "out",
        rates=(8000, 16000),
    )
    base = tmp_path / "out" / f"{talkers}speakers"
    assert {path.name for path in (base / "wav8k/max/tt").iterdir()} == {
        "mix",
        *(f"s{i + 1}" for i in range(talkers)),
    }
    lengths = (24001, 20000, 22223, 16001, 19998)[:talkers]
    name = next((base / "wav8k/max/tt/mix").glob("*.wav")).name
    for mode, of_all in (("min", min), ("max", max)):
        for rate in (8, 16):
            found = {
                soundfile.info(path).frames for path in base.glob(f"wav{rate}k/{mode}/tt/*/{name}")
            }
            assert len(found) == 1
        at_16k = {soundfile.info(path).frames for path in base.glob(f"wav16k/{mode}/tt/mix/*.wav")}
        at_8k = {soundfile.info(path).frames for path in base.glob(f"wav8k/{mode}/tt/mix/*.wav")}
        assert of_all(lengths) in at_16k
        assert -(-of_all(lengths) // 2) in at_8k
    for mix in base.glob("*/*/tt/mix/*.wav"):
        stems = [mix.parents[1] / f"s{i + 1}" / mix.name for i in range(talkers)]
        total = np.sum([steps_of(stem) for stem in stems], axis=0)
        assert np.max(np.abs(total - steps_of(mix))) <= talkers / 2 + 0.5


# LibriMix


def test_librimix_names_join_the_utterances(real_data: Path) -> None:
    """All 25,900 public names, which are unique within a list."""
    seen = 0
    for table in sorted((real_data / "metadata/librimix").glob("Libri?Mix/libri?mix_*.csv")):
        if "info" in table.name:
            continue
        talkers = int(table.name[5])
        with table.open() as opened:
            rows = list(csv.DictReader(opened))
        for row in rows:
            stems = [Path(row[f"source_{i + 1}_path"]).stem for i in range(talkers)]
            assert row["mixture_ID"] == "_".join(stems)
        assert len({row["mixture_ID"] for row in rows}) == len(rows)
        seen += len(rows)
    assert seen == 2 * 3000 + 13900 + 2 * 3000


def _librimix_by_hand(root: Path, noise: Sequence[int], *, types: Sequence[str]) -> Path:
    write_steps(root / "speech" / "a.flac", [1000, 20000, -20000, 8])
    write_steps(root / "speech" / "b.flac", [300, 0, 0, 0, 300, 300])
    write_steps(root / "noises" / "n.wav", noise, channels=2)
    (root / "libri2mix_train-clean-100.csv").write_text(
        "mixture_ID,source_1_path,source_1_gain,source_2_path,source_2_gain,noise_path,noise_gain\n"
        "a_b,a.flac,2.0,b.flac,0.25,n.wav,0.5\n"
    )
    librimix(
        root / "libri2mix_train-clean-100.csv",
        root / "speech",
        root / "noises",
        root / "out",
        rates=(16000,),
        types=types,
    )
    return root / "out" / "Libri2Mix" / "wav16k"


def test_librimix_by_hand(tmp_path: Path) -> None:
    """Gains 2, 0.25, 0.5; first channel; floor, also below zero; clipping; both lengths."""
    folder = _librimix_by_hand(
        tmp_path, [7, 7, 7, -7, 9, 9, 9, 9], types=("mix_clean", "mix_both", "mix_single")
    )
    found = {path.parent.name: steps_of(path) for path in folder.glob("min/train-100/*/a_b.wav")}
    assert found == {
        "s1": [2000, 32767, -32768, 16],
        "s2": [75, 0, 0, 0],
        "noise": [3, 3, 3, -4],
        "mix_clean": [2075, 32767, -32768, 16],
        "mix_both": [2078, 32767, -32768, 12],
        "mix_single": [2003, 32767, -32768, 12],
    }
    found = {path.parent.name: steps_of(path) for path in folder.glob("max/train-100/*/a_b.wav")}
    assert found["s1"] == [2000, 32767, -32768, 16, 0, 0]
    assert found["noise"] == [3, 3, 3, -4, 4, 4]
    assert found["mix_both"] == [2078, 32767, -32768, 12, 79, 79]


def test_librimix_tables_by_hand(tmp_path: Path) -> None:
    folder = _librimix_by_hand(tmp_path, [7] * 8, types=("mix_single", "mix_both"))
    tables = folder / "max" / "metadata"
    assert {path.name for path in tables.iterdir()} == {
        f"{what}_train-100_{kind}.csv"
        for what in ("mixture", "metrics")
        for kind in ("mix_single", "mix_both")
    }
    split = folder.absolute() / "max" / "train-100"
    assert (tables / "mixture_train-100_mix_single.csv").read_text().splitlines() == [
        "mixture_ID,mixture_path,source_1_path,noise_path,length",
        f"a_b,{split}/mix_single/a_b.wav,{split}/s1/a_b.wav,{split}/noise/a_b.wav,6",
    ]
    header, row = (tables / "metrics_train-100_mix_single.csv").read_text().splitlines()
    assert header == "mixture_ID,source_1_SNR,noise_SNR"
    powers = [float(np.mean(np.square([2000, 40000, 40000, 16, 0, 0]))) / 2**30, 3.5**2 / 2**30]
    for text, stem, rest in zip(row.split(",")[1:], powers, powers[::-1], strict=True):
        expected = 10 * np.log10(stem / (rest + 1e-10) + 1e-10)
        assert float(text) == pytest.approx(expected, abs=1e-4)


def test_librimix_mix_clean_alone_has_no_noise(tmp_path: Path) -> None:
    folder = _librimix_by_hand(tmp_path, [7] * 8, types=("mix_clean",))
    assert {path.name for path in (folder / "min" / "train-100").iterdir()} == {
        "s1",
        "s2",
        "mix_clean",
    }


def test_a_short_noise_goes_on_with_a_crossfade() -> None:
    noise = np.arange(10000, dtype=np.float32)
    longer = extended(noise, 11000)
    assert len(longer) == 11000
    assert longer.dtype == np.float64
    seam = 10000 - 8001
    assert np.array_equal(longer[: seam + 1], noise[: seam + 1])
    assert longer[seam + 4000] == pytest.approx((noise[seam + 4000] + noise[4000]) / 2)
    assert np.array_equal(longer[9999:], noise[8000:9001])


def test_a_constant_noise_stays_constant() -> None:
    assert np.allclose(extended(np.ones(10000, np.float32), 16000), 1, rtol=0, atol=1e-15)


def test_copies_of_a_noise_begin_8001_samples_before_the_last_one_ends() -> None:
    noise = np.arange(20000, dtype=np.float32)
    longer = extended(noise, 40000)
    for copy in (0, 1, 2):
        start = copy * (20000 - 8001)
        assert np.array_equal(longer[start + 8001 : start + 11999], noise[8001:11999])


def test_a_noise_as_short_as_a_crossfade_is_an_error() -> None:
    with pytest.raises(ValueError, match="8001"):
        extended(np.zeros(8001, np.float32), 9000)


def test_librimix_number_types(tmp_path: Path) -> None:
    """A gain keeps float32; only a noise that was extended is float64."""
    write_steps(tmp_path / "a.flac", [100] * 10000)
    write_steps(tmp_path / "n.wav", [5] * 9000)
    row = {
        "source_1_path": "a.flac",
        "source_1_gain": 0.3,
        "noise_path": "n.wav",
        "noise_gain": 0.7,
    }
    speech, noise = scaled_sources(row, 1, tmp_path, tmp_path, first_channel)
    assert speech[0].dtype == noise.dtype == np.float32
    assert speech[0][0] == np.float32(100 / 2**15) * np.float32(0.3)
    _, noise = scaled_sources(
        row,
        1,
        tmp_path,
        tmp_path,
        lambda path, longest: extended(first_channel(path, 9000), longest),
    )
    assert noise.dtype == np.float64


def test_a_float64_noise_is_rounded_once_into_the_float32_mixture() -> None:
    speech, noise = np.array([1.0], np.float32), np.array([2**-24 + 2**-50])
    assert mixed([speech, noise])[0] == np.float32(1 + 2**-23)  # not 1, as with a float32 noise
    assert mixed([speech, noise.astype(np.float32)])[0] == 1


@pytest.mark.parametrize(
    ("dtypes", "long"), [(("f4", "f4"), False), (("f4", "f8"), False), (("f8", "f4"), True)]
)
def test_the_first_row_decides_how_many_digits_the_metrics_have(
    tmp_path: Path, dtypes: tuple[str, str], long: bool
) -> None:
    """An extended noise is float64: in the first row, it makes the column float64."""
    tables = Tables(1, ["mix_single"])
    speech = np.array([0.1, -0.2], np.float32)
    for dtype in dtypes:
        noise = np.array([0.3, 0.1], np.float32).astype(dtype)
        paths = {"s1": "s1.wav", "noise": "noise.wav"}
        tables.add("mix_single", "x", "x.wav", paths, [speech, noise], mixed([speech, noise]))
    tables.write(tmp_path, "dev")
    rows = (tmp_path / "metrics_dev_mix_single.csv").read_text().splitlines()[1:]
    assert [len(row.split(",")[2]) > 14 for row in rows] == [long, long]
    assert len({row.split(",")[1] for row in rows}) == 1


@pytest.mark.parametrize("talkers", [2, 3])
def test_librimix_tree(tmp_path: Path, real_data: Path, talkers: int) -> None:
    sources = librimix_sources(tmp_path / "in", real_data, talkers=talkers)
    librimix(sources.metadata, sources.librispeech, sources.wham_noise, tmp_path / "out")
    base = tmp_path / "out" / f"Libri{talkers}Mix"
    wavs = sorted(base.rglob("*.wav"))
    assert len(wavs) == 2 * 2 * 7 * (talkers + 4)
    assert {soundfile.info(path).subtype for path in wavs} == {"PCM_16"}
    clipped = []
    for mix in base.glob("*/*/test/mix_both/*.wav"):
        stems = [mix.parents[1] / name / mix.name for name in (*_speech(talkers), "noise")]
        steps = np.array([steps_of(path) for path in [mix, *stems]])
        inside = np.all((steps > -32768) & (steps < 32767), axis=0)
        clipped += [] if inside.all() else [mix.stem]
        rest = (steps[0] - steps[1:].sum(axis=0))[inside]
        # Each stem was floored: the mixture is up to talkers steps above their sum, never below.
        assert rest.min() >= 0
        assert rest.max() <= talkers
        assert rest.max() > 0
    loud = [line.split(",")[0] for line in sources.metadata.read_text().splitlines()[-2:]]
    assert [clipped.count(name) for name in loud] == [2 * 2, 2 * 2]  # rates, modes
    assert not any(differing_samples(base, base).values())


def _speech(talkers: int) -> list[str]:
    return [f"s{i + 1}" for i in range(talkers)]


# WHAM!


def test_wham_by_hand(tmp_path: Path) -> None:
    """s1: 1000 * 0.50045 -> 500 -> 250 steps; the noise starts 3 samples before the speech."""
    write_steps(tmp_path / "wsj0/a.wav", [1000] * 3)
    write_steps(tmp_path / "wsj0/b.wav", [101] * 2)  # 50.5 -> 50 -> 25
    write_steps(tmp_path / "noise/tt/x.wav", [1, 2, 3, 4, 5, 6, 7, 8], channels=2)
    (tmp_path / "mix_2_spk_filenames_tt.csv").write_text(
        "output_filename,s1_path,s2_path\nx.wav,wsj0/a.wav,wsj0/b.wav\n"
    )
    scales: dict[str, Any] = {"utterance_id": ["x.wav"], "speech_start_sample_16k": [3]}
    for variant in ("16k_max", "16k_min", "8k_max", "8k_min"):
        scales[f"scaling_wsjmix_{variant}"] = [[0.50045, 0.5]]
        scales[f"scaling_wham_speech_{variant}"] = [0.5]
        scales[f"scaling_wham_noise_{variant}"] = [2.0]
    (tmp_path / "noise" / "metadata").mkdir()
    np.savez(tmp_path / "noise/metadata/scaling_tt.npz", **scales)
    wham(tmp_path / "mix_2_spk_filenames_tt.csv", tmp_path, tmp_path / "noise", tmp_path / "out")

    def steps(variant: str) -> dict[str, list[float]]:
        paths = (tmp_path / "out" / variant / "tt").glob("*/x.wav")
        assert {soundfile.info(path).subtype for path in paths} == {"FLOAT"}
        paths = (tmp_path / "out" / variant / "tt").glob("*/x.wav")
        return {path.parent.name: list(soundfile.read(path)[0] * 2**15) for path in paths}

    assert steps("wav16k/min") == {
        "s1": [250, 250],
        "s2": [25, 25],
        "noise": [8, 10],
        "mix_clean": [275, 275],
        "mix_single": [258, 260],
        "mix_both": [283, 285],
    }
    found = steps("wav16k/max")
    assert found["s1"] == [0, 0, 0, 250, 250, 250, 0, 0]
    assert found["s2"] == [0, 0, 0, 25, 25, 0, 0, 0]
    assert found["mix_both"] == [2, 4, 6, 283, 285, 262, 14, 16]
    # At 8 kHz the start 3 becomes 1, three samples become two, and eight become four.
    assert [bool(step) for step in steps("wav8k/max")["s1"]] == [False, True, True, False]


def test_wham_tree(tmp_path: Path, real_data: Path) -> None:
    sources = wham_sources(tmp_path / "in", real_data)
    wham(sources.filenames, sources.wsj0_root, sources.wham_noise, tmp_path / "out")
    wavs = sorted((tmp_path / "out").rglob("*.wav"))
    assert len(wavs) == 2 * 2 * 6 * 3
    assert {soundfile.info(path).subtype for path in wavs} == {"FLOAT"}
    for mix in (tmp_path / "out").glob("*/*/tt/mix_both/*.wav"):
        stems = [
            soundfile.read(mix.parents[1] / name / mix.name)[0] for name in ("s1", "s2", "noise")
        ]
        assert np.allclose(np.sum(stems, axis=0), soundfile.read(mix)[0], rtol=0, atol=2e-7)


def test_differing_samples_counts_and_misses_nothing(tmp_path: Path) -> None:
    write_steps(tmp_path / "a" / "x.wav", [1, 2, 3])
    write_steps(tmp_path / "b" / "x.wav", [1, 5, 5])
    write_steps(tmp_path / "a" / "only.wav", [1, 2, 3, 4])
    write_steps(tmp_path / "a" / "longer.wav", [0, 0])
    write_steps(tmp_path / "b" / "longer.wav", [0, 0, 0])
    assert differing_samples(tmp_path / "a", tmp_path / "b") == {
        "longer.wav": 2,
        "only.wav": 4,
        "x.wav": 2,
    }
