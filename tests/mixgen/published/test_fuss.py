"""FUSS: every file of both forms against the slow reference."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from mixgen.audio.formats import FORMATS
from mixgen.core.errors import InputError, UsageError
from mixgen.manifest.file import read_manifest
from mixgen.published.fuss import import_fuss
from mixgen.published.render import render_in_layout
from mixgen.sets.rendered import open_rendered
from mixgen.verify.contents import Contents, read_contents
from mixgen.verify.set import verify_set
from tests.mixgen.conftest import RunMixgen
from tests.mixgen.published.conftest import StandIn
from tests.oracles.compare import differing_samples
from tests.oracles.further_corpora import FussSources, fuss_sources
from tests.oracles.fuss import fuss_dry, fuss_reverberant

TREES = {
    "causal": "ssdata_reverb",
    "align_sources": "ssdata_reverb_align_sources",
    "same": "ssdata_reverb_same",
}


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory, real_data: Path) -> FussSources:
    return fuss_sources(tmp_path_factory.mktemp("fuss"), real_data)


def _import(given: FussSources, out: Path, **options: object) -> None:
    options = {"rirs": given.mix_info, "rir_data": given.rir_data} | options
    import_fuss([given.example_list], given.ssdata, out, **options)


@pytest.mark.parametrize("align", ["causal", "align_sources", "same"])
def test_every_reverberant_sample_is_that_of_the_reference(
    given: FussSources, tmp_path: Path, align: str
) -> None:
    expected = tmp_path / "expected"
    fuss_reverberant(given.mix_info, given.ssdata, given.rir_data, expected, align=align)
    _import(given, tmp_path / "M.jsonl", types=["reverb"], align=align)
    render_in_layout(tmp_path / "M.jsonl", tmp_path / "out", "fuss")
    differing = differing_samples(expected, tmp_path / "out" / TREES[align])
    assert len(differing) == 3 + 1 + 3 + 4
    assert not any(differing.values())
    assert verify_set(tmp_path / "out", deep=True) == []


def test_all_alignments_are_in_one_tree(given: FussSources, tmp_path: Path) -> None:
    for align, tree in TREES.items():
        _import(given, tmp_path / f"{align}.jsonl", align=align)
        render_in_layout(tmp_path / f"{align}.jsonl", tmp_path / "out", "fuss")
        listed = tmp_path / "out" / tree / "train_example_list.txt"
        assert listed.read_text() == given.example_list.read_text()
    assert verify_set(tmp_path / "out", deep=True) == []


def test_every_dry_sample_is_that_of_the_reference(given: FussSources, tmp_path: Path) -> None:
    fuss_dry(given.example_list, given.ssdata, tmp_path / "expected")
    import_fuss([given.example_list], given.ssdata, tmp_path / "M.jsonl")
    render_in_layout(tmp_path / "M.jsonl", tmp_path / "out", "fuss")
    differing = differing_samples(tmp_path / "expected", tmp_path / "out/ssdata")
    assert len(differing) == 3 + 1 + 3 + 4
    assert not any(differing.values())
    assert verify_set(tmp_path / "out", deep=True) == []


def test_both_forms_are_in_one_tree_with_their_lists(given: FussSources, tmp_path: Path) -> None:
    _import(given, tmp_path / "M.jsonl")
    manifest = read_manifest(tmp_path / "M.jsonl")
    assert (manifest.header.task, manifest.header.format) == ("universal_separation", "wav16")
    assert [mixture.id for mixture in manifest.mixtures[:2]] == [
        "train_example00000__dry",
        "train_example00000__reverb",
    ]
    assert [len(mixture.targets) for mixture in manifest.mixtures] == [1, 1, 3, 3, 4, 4]
    assert manifest.mixtures[5].targets == [
        "background0_sound",
        *(f"foreground{number}_sound" for number in range(3)),
    ]
    render_in_layout(tmp_path / "M.jsonl", tmp_path / "out", "fuss")
    for form in ("ssdata", "ssdata_reverb"):
        written = tmp_path / "out" / form / "train_example_list.txt"
        assert written.read_text() == given.example_list.read_text()
    assert verify_set(tmp_path / "out", deep=True) == []


def _write(path: Path, steps: np.ndarray, rate: int = 16000) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.asarray(steps, np.int16), rate)


def test_dry_files_of_other_lengths_and_sums_are_corrected(tmp_path: Path) -> None:
    random = np.random.default_rng(6)
    first, second = random.integers(-9000, 9000, (2, 160000))
    for number, (frames, change) in enumerate(((160000, 1), (160003, 0), (159990, 0))):
        folder = tmp_path / f"ss/eval/example{number}_sources"
        _write(folder / "background0_sound.wav", first[:frames])
        _write(folder / "foreground0_sound.wav", np.append(second, [5, 5, 5])[:frames])
        _write(tmp_path / f"ss/eval/example{number}.wav", (first + second + change)[:frames])
    # At 20000 steps one of them is close enough; the mixture stays as it was recorded.
    folder = tmp_path / "ss/eval/example3_sources"
    loud = np.full(160000, 10000)
    _write(folder / "background0_sound.wav", loud)
    _write(folder / "foreground0_sound.wav", loud)
    _write(tmp_path / "ss/eval/example3.wav", 2 * loud + 1)
    (tmp_path / "eval_example_list.txt").write_text(
        "".join(
            f"eval/example{n}.wav\teval/example{n}_sources/background0_sound.wav\t"
            f"eval/example{n}_sources/foreground0_sound.wav\n"
            for n in range(4)
        )
    )
    lists = [tmp_path / "eval_example_list.txt"]
    fuss_dry(lists[0], tmp_path / "ss", tmp_path / "expected")
    import_fuss(lists, tmp_path / "ss", tmp_path / "M.jsonl")
    render_in_layout(tmp_path / "M.jsonl", tmp_path / "out", "fuss")
    differing = differing_samples(tmp_path / "expected", tmp_path / "out/ssdata")
    assert len(differing) == 12
    assert not any(differing.values())
    kept, _ = soundfile.read(tmp_path / "out/ssdata/eval/example3.wav", dtype="int16")
    assert (kept == 20001).all()
    assert verify_set(tmp_path / "out", deep=True) == []


@pytest.mark.parametrize("align", ["causal", "same"])
def test_sources_that_are_shorter_than_their_responses(tmp_path: Path, align: str) -> None:
    """All are padded to the longest source first; numpy's mode same is longer than that."""
    random = np.random.default_rng(7)
    names = ["train/example0_sources/background0_sound.wav"]
    names.append("train/example0_sources/foreground0_sound.wav")
    for name, frames in zip(names, (2000, 1500), strict=True):
        _write(tmp_path / "ss" / name, random.integers(-3000, 3000, frames))
    _write(tmp_path / "ss/train/example0.wav", random.integers(-9, 9, 2000))
    for name in ("background0", "foreground0"):
        _write(tmp_path / f"rir/train/rirs_0/{name}.wav", random.integers(-300, 300, 2500))
    pairs = zip(names, ("background0", "foreground0"), strict=True)
    products = " + ".join(f"{name} * train/rirs_0/{rir}.wav" for name, rir in pairs)
    given = FussSources(
        tmp_path / "train_example_list.txt",
        tmp_path / "mix_info.txt",
        tmp_path / "ss",
        tmp_path / "rir",
    )
    given.mix_info.write_text(f"train/example0.wav = {products}\n")
    given.example_list.write_text("\t".join(["train/example0.wav", *names]) + "\n")
    _import(given, tmp_path / "M.jsonl", types=["reverb"], align=align)
    render_in_layout(tmp_path / "M.jsonl", tmp_path / "out", "fuss")
    expected = tmp_path / "expected"
    fuss_reverberant(given.mix_info, given.ssdata, given.rir_data, expected, align=align)
    differing = differing_samples(expected, tmp_path / "out" / TREES[align])
    assert len(differing) == 3
    assert not any(differing.values())


def test_rooms_are_drawn_from_a_list_as_the_script_draws_them(
    given: FussSources, tmp_path: Path
) -> None:
    """Two rooms for three mixtures: both are drawn, then shuffled again."""
    names = ["background0", *(f"foreground{number}" for number in range(3))]
    rows = []
    for room in ("rirs_0001", "rirs_0002"):
        paths = [f"train/{room}/{name}.wav" for name in names]
        rows.append("\t".join([f"train/{room}", *paths]))
        for number, path in enumerate(paths):
            (tmp_path / "rirs" / path).parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(tmp_path / "rirs" / path, np.eye(20)[number] * 0.1, 16000)
    (tmp_path / "rir_list.txt").write_text("\n".join(rows) + "\n")
    for seed in (123, 5):
        np.random.seed(seed)
        rooms, order = ["train/rirs_0001", "train/rirs_0002"], []
        for index in range(3):
            if index % 2 == 0:
                np.random.shuffle(rooms)
            order.append(rooms[index % 2])
        _import(
            given,
            tmp_path / "M.jsonl",
            rirs=tmp_path / "rir_list.txt",
            rir_data=tmp_path / "rirs",
            types=["reverb"],
            seed=seed,
        )
        found = []
        for mixture in read_manifest(tmp_path / "M.jsonl").mixtures:
            for source in mixture.sources:
                step = source.events[0].steps[1].convolve
                assert step is not None
                assert Path(step.path).stem == source.name.removesuffix("_sound")
            found.append(str(Path(step.path).parent))
        assert found == order


def test_bad_input_gives_one_sentence(given: FussSources, tmp_path: Path) -> None:
    out = tmp_path / "M.jsonl"
    with pytest.raises(UsageError, match="Give --rirs and --rir-data together"):
        _import(given, out, rirs=None)
    with pytest.raises(UsageError, match="--align takes causal, align_sources, same, not early"):
        _import(given, out, align="early")
    with pytest.raises(UsageError, match="--type takes dry, not reverb"):
        _import(given, out, rirs=None, rir_data=None, types=["reverb"])
    lines = given.mix_info.read_text().splitlines()
    for text, sentence in (
        ("\n".join(lines[1:]), r"line 1: .* does not have a response for each source of train/ex"),
        (f"{lines[0]} + x", "mix_info.txt line 1 is not `mixture = source"),
        ("train/rirs_0\ttrain/rirs_0/background0.wav", "has 0 responses of a foreground, and"),
        ("eval/rirs_0\teval/rirs_0/background0.wav", "has no rooms for train"),
    ):
        (tmp_path / "mix_info.txt").write_text(f"{text}\n")
        with pytest.raises(InputError, match=sentence):
            _import(given, out, rirs=tmp_path / "mix_info.txt")
    (tmp_path / "train_example_list.txt").write_text("train/example00000.wav\n")
    with pytest.raises(InputError, match="line 1 is not a mixture and its sources between tabs"):
        import_fuss([tmp_path / "train_example_list.txt"], given.ssdata, out)


def test_the_lists_that_ship(fuss: StandIn, tmp_path: Path, mixgen: RunMixgen) -> None:
    """The rooms of `mix_info.txt` are those that the script draws from `rir_list.txt`."""
    (examples,), roots = fuss.lists, fuss.roots
    shipped = examples.parent
    words = ["import", "fuss", "--metadata", examples]
    words += ["--ssdata", roots["ssdata"], "--rir-data", roots["rir_data"]]
    manifests = []
    for rirs in ("mix_info.txt", "rir_list.txt"):
        out = tmp_path / f"{rirs}.jsonl"
        assert "4 mixtures in" in mixgen(*words, "--rirs", shipped / rirs, "--out", out).out
        manifests.append([mixture.as_dict() for mixture in read_manifest(out).mixtures])
    assert manifests[0] == manifests[1]
    rendered = ["render", out, "--out", tmp_path / "out", "--layout", "fuss"]
    assert mixgen(*rendered).exit_code == 0
    dry, reverberant = tmp_path / "expected/ssdata", tmp_path / "expected/ssdata_reverb"
    fuss_dry(examples, roots["ssdata"], dry)
    fuss_reverberant(shipped / "mix_info.txt", roots["ssdata"], roots["rir_data"], reverberant)
    differing = differing_samples(tmp_path / "expected", tmp_path / "out")
    assert len(differing) == 2 * 5
    assert not any(differing.values())
    assert mixgen("verify", tmp_path / "out", "--deep").exit_code == 0


def test_a_wrong_mixture_is_found(given: FussSources, tmp_path: Path) -> None:
    """Where the record declares a corrected sum, a mixture of other samples is inconsistent."""
    _import(given, tmp_path / "M.jsonl", types=["reverb"])
    render_in_layout(tmp_path / "M.jsonl", tmp_path / "out", "native")
    contents = read_manifest(tmp_path / "out/manifest.jsonl").mixtures[1]
    rows = {row.name: row for row in open_rendered(tmp_path / "out") if row.id == contents.id}
    read = read_contents(tmp_path / "out", contents, rows, FORMATS["wav16"], any_format=False)
    assert isinstance(read, Contents)
    assert list(read.problems({})) == []
    read.steps["mixture"][0, 80000] += 1
    assert [problem.kind for problem in read.problems({})] == ["inconsistent"]
