"""wsj0-mix: every file against the formulas of the set, written down here without the suite."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from scipy.signal import resample_poly

from mixgen.core.errors import InputError, UsageError
from mixgen.manifest.file import read_manifest
from mixgen.published.render import render_in_layout
from mixgen.published.wsj0_mix import import_wsj0mix
from mixgen.verify.set import verify_set
from tests.mixgen.conftest import Contents, RunMixgen
from tests.mixgen.published.conftest import StandIn, speech, write


def _import(given: StandIn, out: Path, number: int = 0, **options: object) -> None:
    import_wsj0mix(
        [given.lists[number]], given.roots["activlev"], given.roots["wsj0"], out, **options
    )


def _expected(given: StandIn, line: str, rate: int, mode: str) -> dict[str, np.ndarray]:
    """Return the 16-bit samples of the mixture and its talkers, by the folders of their files."""
    words = line.split()
    listed = (given.roots["activlev"] / "activlev_tt.txt").read_text().splitlines()
    powers = dict(entry.split() for entry in listed)
    talkers = []
    for path, level_db in zip(words[::2], words[1::2], strict=True):
        samples, _ = soundfile.read(given.roots["wsj0"] / path, dtype="float32")
        power = float(powers[Path(path).stem])
        talkers.append(
            resample_poly(samples, rate, 16000).astype(np.float64)
            / np.sqrt(power)
            * 10 ** (float(level_db) / 20)
        )
    lengths = list(map(len, talkers))
    frames = min(lengths) if mode == "min" else max(lengths)
    fitted = np.zeros((len(talkers), frames))
    for row, talker in zip(fitted, talkers, strict=True):
        row[: min(frames, len(talker))] = talker[:frames]
    mixture = fitted.sum(axis=0)
    gain = max(1.0, np.abs(mixture).max(), np.abs(fitted).max()) / 0.9
    signals = {"mix": mixture} | {f"s{i}": row for i, row in enumerate(fitted, start=1)}
    return {name: np.int16(np.round(2**15 * (s / gain))) for name, s in signals.items()}


@pytest.mark.parametrize("number", [0, 1])
def test_every_sample_is_that_of_the_formulas(
    wsj0mix: StandIn, tmp_path: Path, number: int
) -> None:
    talkers = number + 2
    _import(wsj0mix, tmp_path / "M.jsonl", number)
    render_in_layout(tmp_path / "M.jsonl", tmp_path / "out", "wsj0mix")
    files = 0
    for line in wsj0mix.lists[number].read_text().splitlines():
        words = line.split()
        words[::2] = [Path(path).stem for path in words[::2]]
        for rate in (8000, 16000):
            for mode in ("min", "max"):
                folder = tmp_path / f"out/{talkers}speakers/wav{rate // 1000}k/{mode}/tt"
                for name, samples in _expected(wsj0mix, line, rate, mode).items():
                    path = folder / name / f"{'_'.join(words)}.wav"
                    found, found_rate = soundfile.read(path, dtype="int16")
                    assert found_rate == rate
                    np.testing.assert_array_equal(found, samples)
                    files += 1
    assert files == len(list((tmp_path / "out").rglob("*.wav")))
    assert verify_set(tmp_path / "out", deep=True) == []


def test_files_are_those_that_soundfile_writes(
    wsj0mix: StandIn, tmp_path: Path, contents: Contents
) -> None:
    _import(wsj0mix, tmp_path / "M.jsonl", sample_rate=[8000], mode=["min"])
    render_in_layout(tmp_path / "M.jsonl", tmp_path / "out", "wsj0mix")
    for path, content in contents(tmp_path / "out/2speakers").items():
        samples, rate = soundfile.read(tmp_path / "out/2speakers" / path, dtype="int16")
        soundfile.write(tmp_path / "again.wav", samples, rate, subtype="PCM_16")
        assert (tmp_path / "again.wav").read_bytes() == content


def test_records_say_what_is_done_and_that_stems_do_not_sum(
    wsj0mix: StandIn, tmp_path: Path
) -> None:
    _import(wsj0mix, tmp_path / "M.jsonl", sample_rate=[8000], mode=["max"])
    manifest = read_manifest(tmp_path / "M.jsonl")
    record = manifest.mixtures[0].as_dict()
    assert record["id"] == "445c0206_0.60431_22gc0105_-0.60431__8k_max"
    assert record["published"] == {
        "name": "445c0206_0.60431_22gc0105_-0.60431",
        "folder": "2speakers/wav8k/max/tt",
    }
    assert record["arithmetic"] == {"numbers": "float32", "sum_of": "signals"}
    assert record["clip"] == {"rule": "headroom"}
    steps = record["sources"][0]["events"][0]["steps"]
    assert [next(iter(step)) for step in steps] == [
        "resample_poly",
        "convert",
        "divide",
        "multiply",
    ]
    assert manifest.header.name == "wsj0_2mix_8k_max"
    assert manifest.header.imported is not None
    assert manifest.header.imported.script == "mpariente/pywsj0-mix@6ca4c92"


def test_fixed_stems_sum_to_the_mixture(wsj0mix: StandIn, tmp_path: Path) -> None:
    for fixed in (False, True):
        _import(wsj0mix, tmp_path / f"{fixed}.jsonl", sample_rate=[8000], fixed=fixed)
        render_in_layout(tmp_path / f"{fixed}.jsonl", tmp_path / "out", "wsj0mix")
    differ = {}
    for tree in ("2speakers", "2speakers_fixed"):
        files = sorted((tmp_path / "out" / tree).rglob("mix/*.wav"))
        assert len(files) == 6
        off = []
        for path in files:
            stems = [path.parents[1] / stem / path.name for stem in ("s1", "s2")]
            total = sum(soundfile.read(stem, dtype="int16")[0].astype(int) for stem in stems)
            off.append(np.abs(total - soundfile.read(path, dtype="int16")[0]).max())
        differ[tree] = max(off)
    assert differ == {"2speakers": 1, "2speakers_fixed": 0}
    assert verify_set(tmp_path / "out", deep=True) == []


def test_a_sum_is_checked_where_the_record_declares_one(wsj0mix: StandIn, tmp_path: Path) -> None:
    _import(wsj0mix, tmp_path / "M.jsonl", sample_rate=[8000], mode=["min"])
    render_in_layout(tmp_path / "M.jsonl", tmp_path / "out", "wsj0mix")
    (records,) = (tmp_path / "out/.sets").iterdir()
    before = read_manifest(records / "manifest.jsonl").sha256
    text = (records / "manifest.jsonl").read_text()
    declared = text.replace('"sum_of": "signals"', '"sum_of": "files"')
    (records / "manifest.jsonl").write_text(declared)
    rows = (records / "rendered.jsonl").read_text()
    after = read_manifest(records / "manifest.jsonl").sha256
    (records / "rendered.jsonl").write_text(rows.replace(before, after))
    assert {problem.kind for problem in verify_set(records, deep=True)} == {"inconsistent"}


def test_five_talkers(tmp_path: Path) -> None:
    words = []
    for index in range(5):
        write(tmp_path / f"wsj0/si_et_05/44{index}/44{index}c0201.wav", speech(str(index), 0.3))
        words += [f"wsj0/si_et_05/44{index}/44{index}c0201.wav", str(1.5 - index)]
    (tmp_path / "mix_5_spk_tt.txt").write_text(" ".join(words) + "\n")
    (tmp_path / "levels").mkdir()
    levels = "".join(f"44{index}c0201 1e-3\n" for index in range(5))
    (tmp_path / "levels/activlev_tt.txt").write_text(levels)
    roots = {"wsj0": tmp_path, "activlev": tmp_path / "levels"}
    given = StandIn([tmp_path / "mix_5_spk_tt.txt"], roots)
    _import(given, tmp_path / "M.jsonl", sample_rate=[8000], mode=["min"])
    render_in_layout(tmp_path / "M.jsonl", tmp_path / "out", "wsj0mix")
    for name, samples in _expected(given, " ".join(words), 8000, "min").items():
        (path,) = (tmp_path / f"out/5speakers/wav8k/min/tt/{name}").iterdir()
        np.testing.assert_array_equal(soundfile.read(path, dtype="int16")[0], samples)


def test_official_names_are_those_of_the_lists(real_data: Path, tmp_path: Path) -> None:
    """The 3 talkers of line 1 alone are here; their name has the digits of the list."""
    folder = real_data / "metadata/wsj0-mix"
    line = (folder / "mix_3_spk_tt.txt").read_text().splitlines()[0]
    for path in line.split()[::2]:
        write(tmp_path / path, speech(path, 0.2))
    imported = import_wsj0mix(
        [folder / "mix_3_spk_tt.txt"],
        folder / "activlev",
        tmp_path,
        tmp_path / "M.jsonl",
        allow_missing=True,
    )
    assert (imported.mixtures, len(imported.left_out)) == (4, 2999)
    (name,) = {m.common_name for m in read_manifest(tmp_path / "M.jsonl").mixtures}
    assert name == "22ho010o_1.9805_052a050y_-1.9805_445o030v_0"


def test_a_missing_source_names_file_row_and_option(
    wsj0mix: StandIn, tmp_path: Path, mixgen: RunMixgen
) -> None:
    words = ["import", "wsj0mix", "--metadata", wsj0mix.lists[0], "--wsj0", tmp_path]
    words += ["--activlev", wsj0mix.roots["activlev"], "--out", tmp_path / "M.jsonl"]
    answer = mixgen(*words)
    assert answer.exit_code == 3
    assert "si_et_05/445/445c0206.wav is not in" in answer.err
    assert "mix_2_spk_tt.txt line 1" in answer.err
    assert "check --wsj0" in answer.err
    assert not (tmp_path / "M.jsonl").exists()


def test_mixtures_without_their_sources_are_left_out_and_listed(
    wsj0mix: StandIn, tmp_path: Path, mixgen: RunMixgen
) -> None:
    first = wsj0mix.lists[0].read_text().splitlines()[0]
    for path in first.split()[::2]:
        write(tmp_path / path, speech(path, 0.2))
    words = ["import", "wsj0mix", "--metadata", wsj0mix.lists[0], "--wsj0", tmp_path / "wsj0"]
    words += ["--activlev", wsj0mix.roots["activlev"], "--out", tmp_path / "M.jsonl"]
    answer = mixgen(*words, "--allow-missing", "--mode", "min")
    assert answer.exit_code == 0
    assert answer.err.count("left out: ") == 2
    assert "2 mixtures in" in answer.out
    assert read_manifest(tmp_path / "M.jsonl").header.mixtures == 2


def test_bad_input_gives_one_sentence(wsj0mix: StandIn, tmp_path: Path) -> None:
    out = tmp_path / "M.jsonl"
    with pytest.raises(UsageError, match="--sample-rate takes 8000, 16000, not 44100"):
        _import(wsj0mix, out, sample_rate=[44100])
    with pytest.raises(UsageError, match="--mode takes min, max, not mid"):
        _import(wsj0mix, out, mode=["mid"])
    for name, text, sentence in (
        (
            "mix_2_spk_tt.txt",
            "wsj0/a.wav 1 wsj0/b.wav\n",
            "line 1 does not hold a path",
        ),
        ("mix_2_spk_tt.txt", "wsj0/a.wav 1 wsj0/b.wav x\n", "line 1: 'x' is not a number"),
        ("mix_2_spk_tt.txt", "wsj0/a.wav 1 wsj0/b.wav -1\n", "have no level of a"),
        ("list.txt", "", "does not end with a subset"),
    ):
        (tmp_path / name).write_text(text)
        with pytest.raises(InputError, match=sentence):
            _import(StandIn([tmp_path / name], wsj0mix.roots), out)
    with pytest.raises(InputError, match="has no activlev"):
        import_wsj0mix(wsj0mix.lists, tmp_path / "none", wsj0mix.roots["wsj0"], out)
