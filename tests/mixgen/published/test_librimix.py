"""LibriMix: every file and table against the steps of its script, written down here anew."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import sox
from scipy.signal import resample_poly

from mixgen.core.errors import InputError, UsageError
from mixgen.corpora.index import index_corpus
from mixgen.corpora.layout import get_layout
from mixgen.corpora.roots import write_roots
from mixgen.corpora.sources import write_sources
from mixgen.manifest.file import read_manifest
from mixgen.published.importing import Imported
from mixgen.published.librimix import import_librimix
from mixgen.published.render import render_in_layout
from mixgen.verify.set import verify_set
from tests.mixgen.conftest import Contents, RunMixgen
from tests.mixgen.published.conftest import StandIn, speech, write

TYPES = ("mix_clean", "mix_both", "mix_single")
Row = dict[str, str]


def _import(given: StandIn, out: Path, number: int = 0, **options: object) -> Imported:
    return import_librimix(
        [given.lists[number]], given.roots["speech"], out, given.roots["noise"], **options
    )


def _transformed(given: StandIn, row: Row, rate: int, mode: str) -> list[np.ndarray]:
    """Return talkers and noise of a mixture at their gains, rate and length."""
    talkers = sum(key.startswith("source") for key in row) // 2
    signals, gains = [], []
    for index in range(1, talkers + 1):
        path = given.roots["speech"] / row[f"source_{index}_path"]
        signals.append(soundfile.read(path, dtype="float32")[0])
        gains.append(float(row[f"source_{index}_gain"]))
    longest = max(map(len, signals))
    noise = soundfile.read(given.roots["noise"] / row["noise_path"], dtype="float32")[0][:, 0]
    signals.append(_long_enough(noise[:longest], longest))
    gains.append(float(row["noise_gain"]))
    resampled = [resample_poly(s * g, rate, 16000) for s, g in zip(signals, gains, strict=True)]
    frames = (min if mode == "min" else max)(map(len, resampled))
    return [np.pad(s, (0, max(0, frames - len(s))))[:frames] for s in resampled]


def _long_enough(noise: np.ndarray, frames: int) -> np.ndarray:
    window = np.hanning(16001)
    longer = noise
    while len(longer) < frames:
        seam = longer[-8001:] * window[8000:] + noise[:8001] * window[:8001]
        longer = np.concatenate([longer[:-8001], seam, noise[8001:]])
    return longer[:frames]


def _expected(
    given: StandIn, number: int, rate: int, mode: str, folder: Path, subset: str = "test"
) -> None:
    """Write what the script of LibriMix writes for one rate and mode."""
    metrics: dict[str, list[list[object]]] = {kind: [] for kind in TYPES}
    for row in given.rows(number):
        *talkers, noise = _transformed(given, row, rate, mode)
        files = {f"s{index}": s for index, s in enumerate(talkers, start=1)} | {"noise": noise}
        for kind in TYPES:
            parts = {
                "mix_clean": talkers,
                "mix_both": [*talkers, noise],
                "mix_single": [talkers[0], noise],
            }[kind]
            mixture = np.zeros_like(parts[0])
            for part in parts:
                mixture += part
            files[kind] = mixture
            ratios = [
                10 * np.log10(np.mean(p**2) / (np.mean((mixture - p) ** 2) + 1e-10) + 1e-10)
                for p in parts
            ]
            metrics[kind].append([row["mixture_ID"], *ratios])
        for name, samples in files.items():
            path = folder / subset / name / f"{row['mixture_ID']}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, samples, rate)
    (folder / "metadata").mkdir()
    for kind, rows in metrics.items():
        table = pd.DataFrame()
        sources = [f"source_{index}" for index in range(1, len(talkers) + 1)]
        columns = {"mix_clean": sources, "mix_both": [*sources, "noise"]}.get(
            kind, ["source_1", "noise"]
        )
        for column in ("mixture_ID", *(f"{name}_SNR" for name in columns)):
            table[column] = {}
        for cells in rows:
            table.loc[len(table)] = cells
        table.to_csv(folder / f"metadata/metrics_{subset}_{kind}.csv", index=False)


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("rate", [8000, 16000])
def test_every_file_and_table_is_that_of_the_script(
    librimix: StandIn, tmp_path: Path, contents: Contents, number: int, mode: str, rate: int
) -> None:
    _import(librimix, tmp_path / "M.jsonl", number, sample_rate=[rate], mode=[mode])
    extended = "extend" in (tmp_path / "M.jsonl").read_text()
    assert extended
    render_in_layout(tmp_path / "M.jsonl", tmp_path / "out", "librimix")
    _expected(librimix, number, rate, mode, tmp_path / "expected")
    found = contents(tmp_path / f"out/Libri{number + 2}Mix/wav{rate // 1000}k/{mode}")
    tables = {path for path in found if path.startswith("metadata/mixture_")}
    assert len(tables) == 3
    assert {path: c for path, c in found.items() if path not in tables} == contents(
        tmp_path / "expected"
    )
    assert verify_set(tmp_path / "out", deep=True) == []


def test_tables_of_paths_are_those_of_the_script(librimix: StandIn, tmp_path: Path) -> None:
    _import(librimix, tmp_path / "M.jsonl", sample_rate=[8000], mode=["min"])
    render_in_layout(tmp_path / "M.jsonl", tmp_path / "out", "librimix")
    folder = tmp_path / "out/Libri2Mix/wav8k/min"
    columns = {
        "mix_clean": ["mix_clean", "s1", "s2"],
        "mix_both": ["mix_both", "s1", "s2", "noise"],
        "mix_single": ["mix_single", "s1", "noise"],
    }
    heads = {"s1": "source_1_path", "s2": "source_2_path", "noise": "noise_path"}
    for kind, folders in columns.items():
        lines = (folder / f"metadata/mixture_test_{kind}.csv").read_text().splitlines()
        named = ["mixture_path", *(heads[name] for name in folders[1:])]
        assert lines[0] == ",".join(["mixture_ID", *named, "length"])
        name = librimix.rows()[0]["mixture_ID"]
        paths = [f"{folder}/test/{part}/{name}.wav" for part in folders]
        frames = soundfile.info(paths[0]).frames
        assert lines[1] == ",".join([name, *paths, str(frames)])


def test_types_and_lists_add_up_in_one_tree(
    librimix: StandIn, tmp_path: Path, contents: Contents
) -> None:
    _import(librimix, tmp_path / "all.jsonl", sample_rate=[8000], mode=["min"])
    render_in_layout(tmp_path / "all.jsonl", tmp_path / "all", "librimix")
    for kind in TYPES:
        choice = {"sample_rate": [8000], "mode": ["min"], "types": [kind]}
        _import(librimix, tmp_path / f"{kind}.jsonl", **choice)
        render_in_layout(tmp_path / f"{kind}.jsonl", tmp_path / "out", "librimix")
    trees = []
    for name in ("all", "out"):
        found = contents(tmp_path / name / "Libri2Mix")
        root = str(tmp_path / name).encode()
        trees.append({path: content.replace(root, b"") for path, content in found.items()})
    assert trees[0] == trees[1]
    assert len(list((tmp_path / "out/.sets").iterdir())) == 3
    assert verify_set(tmp_path / "out") == []


def test_rows_of_other_mixtures_stay_in_a_table(librimix: StandIn, tmp_path: Path) -> None:
    head, *lines = librimix.lists[0].read_text().splitlines(keepends=True)
    choice = {"sample_rate": [8000], "mode": ["min"], "types": ["mix_both"]}
    for part in (lines[:1], lines[1:], lines[:1]):
        one = tmp_path / librimix.lists[0].name
        one.write_text(head + "".join(part))
        _import(StandIn([one], librimix.roots), tmp_path / "M.jsonl", **choice)
        render_in_layout(tmp_path / "M.jsonl", tmp_path / "out", "librimix")
    table = tmp_path / "out/Libri2Mix/wav8k/min/metadata/mixture_test_mix_both.csv"
    names = [line.partition(",")[0] for line in table.read_text().splitlines()[1:]]
    assert sorted(names) == sorted(row["mixture_ID"] for row in librimix.rows())
    assert names[0] == librimix.rows()[0]["mixture_ID"]
    assert verify_set(tmp_path / "out") == []


def test_variants_have_the_official_name_and_its_suffix(librimix: StandIn, tmp_path: Path) -> None:
    imported = _import(librimix, tmp_path / "M.jsonl", 1)
    manifest = read_manifest(tmp_path / "M.jsonl")
    assert imported.mixtures == len(manifest.mixtures) == 2 * 12
    name = librimix.rows(1)[0]["mixture_ID"]
    ids = [mixture.id for mixture in manifest.mixtures[:12]]
    rates, modes, types = ("8k", "16k"), ("min", "max"), ("clean", "both", "single")
    assert ids == [f"{name}__{r}_{m}_{t}" for r in rates for m in modes for t in types]
    assert [m.targets for m in manifest.mixtures[:3]] == [["s1", "s2", "s3"]] * 2 + [["s1"]]
    assert {mixture.split for mixture in manifest.mixtures} == {"test"}


def test_fixed_stems_sum_to_the_mixture(librimix: StandIn, tmp_path: Path) -> None:
    choice = {"sample_rate": [8000], "mode": ["max"], "types": ["mix_both"]}
    _import(librimix, tmp_path / "M.jsonl", fixed=True, **choice)
    render_in_layout(tmp_path / "M.jsonl", tmp_path / "out", "librimix")
    folder = tmp_path / "out/Libri2Mix_fixed/wav8k/max/test"
    for path in (folder / "mix_both").iterdir():
        stems = [folder / stem / path.name for stem in ("s1", "s2", "noise")]
        total = sum(soundfile.read(stem, dtype="int16")[0].astype(int) for stem in stems)
        np.testing.assert_array_equal(total, soundfile.read(path, dtype="int16")[0])
    assert verify_set(tmp_path / "out", deep=True) == []


def test_stems_beyond_full_scale_have_no_fixed_sum(
    librimix: StandIn, tmp_path: Path, mixgen: RunMixgen
) -> None:
    loud = librimix.lists[0].read_text().splitlines()[:2]
    cells = loud[1].split(",")
    cells[2] = cells[4] = "30.0"
    (tmp_path / "libri2mix_test-clean.csv").write_text(f"{loud[0]}\n{','.join(cells)}\n")
    given = StandIn([tmp_path / "libri2mix_test-clean.csv"], librimix.roots)
    choice = {"sample_rate": [8000], "mode": ["max"], "types": ["mix_clean"]}
    _import(given, tmp_path / "M.jsonl", fixed=True, **choice)
    words = ["render", tmp_path / "M.jsonl", "--out", tmp_path / "out", "--layout", "librimix"]
    answer = mixgen(*words, "--workers", 1)
    assert answer.exit_code == 4
    assert "sum to more than full scale" in answer.err
    assert "without --fixed" in answer.err
    # As published, samples beyond full scale are cut off, as libsndfile does.
    _import(given, tmp_path / "M.jsonl", **choice)
    assert mixgen(*words, "--workers", 1).exit_code == 0
    (path,) = (tmp_path / "out/Libri2Mix/wav8k/max/test/mix_clean").iterdir()
    found = soundfile.read(path, dtype="int16")[0]
    assert (found.min(), found.max()) == (-32768, 32767)


def test_the_known_lengths_and_hashes_are_believed(librimix: StandIn, tmp_path: Path) -> None:
    index = index_corpus(
        get_layout("librispeech"), librimix.roots["speech"], corpus="speech", licence="mine"
    )
    rows = [row.model_copy(update={"sha256": f"{i:064x}"}) for i, row in enumerate(index.rows)]
    write_sources(tmp_path / "speech.csv", rows)
    write_roots(tmp_path, {"speech": librimix.roots["speech"]})
    _import(librimix, tmp_path / "M.jsonl", sources=[tmp_path / "speech.csv"])
    events = [
        event
        for mixture in read_manifest(tmp_path / "M.jsonl").mixtures
        for source in mixture.sources
        for event in source.events
    ]
    believed = {event.licence for event in events if int(event.sha256, 16) < len(rows)}
    assert believed == {"mine"}
    others = {event.corpus for event in events if int(event.sha256, 16) >= len(rows)}
    assert others == {"wham_noise"}


def test_without_noise_the_type_is_clean(
    librimix: StandIn, tmp_path: Path, mixgen: RunMixgen
) -> None:
    words = ["import", "librimix", "--metadata", librimix.lists[0], "--out", tmp_path / "M.jsonl"]
    words += ["--librispeech", librimix.roots["speech"]]
    assert mixgen(*words).exit_code == 0
    assert all(m.id.endswith("clean") for m in read_manifest(tmp_path / "M.jsonl").mixtures)
    answer = mixgen(*words, "--type", "mix_both")
    assert answer.exit_code == 2
    assert "--type takes mix_clean, not mix_both" in answer.err


def test_noise_that_cannot_be_repeated_is_refused(librimix: StandIn, tmp_path: Path) -> None:
    row = librimix.rows()[0]
    noise = speech("short", 0.5)[:8001]
    write(tmp_path / "noise" / row["noise_path"], np.stack([noise, noise], axis=1))
    lines = librimix.lists[0].read_text().splitlines(keepends=True)[:2]
    (tmp_path / "libri2mix_test-clean.csv").write_text("".join(lines))
    roots = librimix.roots | {"noise": tmp_path / "noise"}
    given = StandIn([tmp_path / "libri2mix_test-clean.csv"], roots)
    with pytest.raises(InputError, match=r"line 2: .* has 8001 samples, and LibriMix needs more"):
        _import(given, tmp_path / "M.jsonl")


@pytest.mark.parametrize(("mark", "speed"), [("sp08", 0.8), ("sp12", 1.2)])
def test_missing_noises_at_other_speeds_are_made(
    librimix: StandIn, tmp_path: Path, mark: str, speed: float
) -> None:
    row = librimix.rows()[0]
    noise = np.stack([speech("left", 2.5), speech("left", 2.5) // 3], axis=1)
    write(tmp_path / "noise" / row["noise_path"], noise)
    lines = librimix.lists[0].read_text().splitlines()[:2]
    (tmp_path / "libri2mix_train-clean-360.csv").write_text(
        "\n".join(lines).replace(".wav,", f"{mark}.wav,") + "\n"
    )
    roots = librimix.roots | {"noise": tmp_path / "noise"}
    given = StandIn([tmp_path / "libri2mix_train-clean-360.csv"], roots)
    _import(given, tmp_path / "M.jsonl", sample_rate=[16000], mode=["max"])
    made = (tmp_path / "noise" / row["noise_path"]).with_name(
        Path(row["noise_path"]).stem + f"{mark}.wav"
    )
    found, rate = soundfile.read(made, dtype="int16")
    assert (rate, found.ndim) == (16000, 1)
    transformer = sox.Transformer()
    transformer.speed(speed)
    expected = transformer.build_array(input_array=noise[:, 0], sample_rate_in=44100)
    assert abs(len(found) - len(noise) / speed) <= 1
    np.testing.assert_allclose(found, expected, atol=2)
    before = made.stat().st_mtime_ns
    _import(given, tmp_path / "M.jsonl", sample_rate=[16000], mode=["max"])
    assert made.stat().st_mtime_ns == before
    assert read_manifest(tmp_path / "M.jsonl").mixtures[0].split == "train"


def test_bad_input_gives_one_sentence(librimix: StandIn, tmp_path: Path) -> None:
    out = tmp_path / "M.jsonl"
    with pytest.raises(UsageError, match="--type takes mix_clean, mix_both, mix_single, not noisy"):
        _import(librimix, out, types=["noisy"])
    text = librimix.lists[0].read_text()
    for name, content, sentence in (
        ("list.csv", text, "does not say which subset it is"),
        ("libri2mix_test-clean.csv", "mixture_ID\na\n", "has no column 'source_1_path'"),
        ("libri2mix_test-clean.csv", text.replace("0.78754", "x"), "line 2: 'x"),
        ("libri2mix_test-clean.csv", text.splitlines()[0] + "\n", "has no mixtures"),
    ):
        (tmp_path / name).write_text(content)
        with pytest.raises(InputError, match=sentence):
            _import(StandIn([tmp_path / name], librimix.roots), out)
    soundfile.write(tmp_path / "8k.wav", speech("8k", 1.0), 8000)
    row = librimix.rows()[0]
    path = tmp_path / "speech" / row["source_1_path"]
    path.parent.mkdir(parents=True)
    path.write_bytes((tmp_path / "8k.wav").read_bytes())
    roots = librimix.roots | {"speech": tmp_path / "speech"}
    with pytest.raises(InputError, match="at 8000 Hz, and the set needs some at 16000 Hz"):
        _import(StandIn(librimix.lists, roots), out)
