"""Folders of finished audio as sets: what is recorded, checked, read and rendered of them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from mixgen.core.errors import InputError
from mixgen.dataset import ManifestDataset, RenderedDataset
from mixgen.manifest.file import read_manifest
from mixgen.manifest.mixture import Mixture
from mixgen.sets.rendered import load_set, set_sha256
from mixgen.verify.set import verify_set
from tests.mixgen.conftest import RunMixgen

RATE = 8000
FRAMES = 4000
IDS = ("utt_1", "utt_2")

LAYOUTS: dict[str, Callable[[str, str], str]] = {
    "ID/SOURCE": lambda i, source: f"{i}/{source}",
    "SOURCE/ID": lambda i, source: f"{source}/{i}",
    "ID_SOURCE": lambda i, source: f"{i}_{source}",
}


def stems(mixture_id: str, channels: int = 1) -> dict[str, Any]:
    """Two talkers, noise and their sum, in steps of 16 bits."""
    rng = np.random.default_rng([*mixture_id.encode()])
    own = {n: rng.integers(-4000, 4000, (FRAMES, channels)) for n in ("s1", "s2", "noise")}
    return {n: samples.astype(np.int16) for n, samples in {**own, "mix": sum(own.values())}.items()}


def write_folder(
    folder: Path, layout: str, *, suffix: str = ".wav", splits: tuple[str, ...] = ("",)
) -> Path:
    for split in splits:
        for i in IDS:
            for name, samples in stems(split + i).items():
                path = folder / split / f"{LAYOUTS[layout](i, name)}{suffix}"
                path.parent.mkdir(parents=True, exist_ok=True)
                soundfile.write(path, samples, RATE)
    return folder


@pytest.fixture
def imported(tmp_path: Path, mixgen: RunMixgen) -> Path:
    """The manifest of a folder whose sources sum to the mixture."""
    folder = write_folder(tmp_path / "audio", "SOURCE/ID")
    manifest = tmp_path / "M.jsonl"
    answer = mixgen("import", "folder", folder, "--layout", "SOURCE/ID", "--out", manifest)
    assert answer.out == f"2 mixtures in {manifest}.\n", answer.err
    return manifest


def edit(manifest: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the first record of a manifest."""
    header, first, *rest = manifest.read_text().splitlines()
    record = json.loads(first)
    change(record)
    manifest.write_text("\n".join([header, json.dumps(record), *rest]) + "\n")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_record_points_at_files(tmp_path: Path, mixgen: RunMixgen, layout: str) -> None:
    folder = write_folder(tmp_path / "audio", layout)
    answer = mixgen("import", "folder", folder, "--layout", layout, "--out", tmp_path / "M.jsonl")
    assert answer.exit_code == 0, answer.err
    manifest = read_manifest(tmp_path / "M.jsonl")
    assert (manifest.header.name, manifest.header.finished) == ("audio", "audio")
    assert (manifest.header.task, manifest.header.format) == ("speech_separation", "wav16")
    assert [mixture.id for mixture in manifest.mixtures] == list(IDS)
    record = manifest.mixtures[0]
    assert (record.sample_rate, record.frames, record.split) == (RATE, FRAMES, "test")
    assert record.targets == ["s1", "s2"]
    roles = {source.name: (source.role, source.kind, source.events) for source in record.sources}
    talker = "target", "speech", []
    assert roles == {"s1": talker, "s2": talker, "noise": ("noise", "noise", [])}
    finished = record.finished
    assert finished is not None
    assert finished.sums
    assert finished.files["mixture"].path == f"{LAYOUTS[layout]('utt_1', 'mix')}.wav"
    assert verify_set(tmp_path / "M.jsonl", deep=True) == []


def test_mixtures_may_be_in_another_place(tmp_path: Path, mixgen: RunMixgen) -> None:
    """As in FUSS, with folders beside the splits that hold no audio, or other audio."""
    folder = tmp_path / "audio"
    for split in ("train-100", "test"):
        for i in IDS:
            for name, samples in stems(split + i).items():
                path = folder / split / (f"{i}.wav" if name == "mix" else f"{i}_parts/{name}.flac")
                path.parent.mkdir(parents=True, exist_ok=True)
                soundfile.write(path, samples, RATE)
    (folder / "metadata").mkdir()
    (folder / "metadata/list.csv").write_text("x")
    soundfile.write(folder / "metadata/demo.wav", np.zeros(9), RATE)
    words = ("--layout", "SPLIT/ID_parts/SOURCE", "--mixture", "SPLIT/ID")
    answer = mixgen("import", "folder", folder, *words, "--out", tmp_path / "M.jsonl")
    assert answer.exit_code == 0, answer.err
    mixtures = read_manifest(tmp_path / "M.jsonl").mixtures
    names = [(mixture.id, mixture.split) for mixture in mixtures]
    assert names == [(f"{split}_{i}", split) for split in ("test", "train") for i in IDS]
    assert all(mixture.sums_on_disk for mixture in mixtures)
    assert mixtures[2].finished is not None
    assert mixtures[2].finished.files["mixture"].path == "train-100/utt_1.wav"
    assert verify_set(tmp_path / "M.jsonl", deep=True) == []
    (folder / "test/utt_2.wav").unlink()
    answer = mixgen("import", "folder", folder, *words, "--out", tmp_path / "M.jsonl")
    assert "has no file of mixture of test_utt_2" in answer.err
    soundfile.write(folder / "test/utt_1_parts/s1.wav", stems("x")["s1"], RATE)
    answer = mixgen("import", "folder", folder, *words, "--out", tmp_path / "M.jsonl")
    assert "are both source s1 of utt_1: remove one of them" in answer.err


def test_folders_of_splits(tmp_path: Path, mixgen: RunMixgen) -> None:
    """Ids that two splits share get the split's name; `tr` and `cv` are train and valid."""
    folder = write_folder(tmp_path / "audio", "SOURCE/ID", splits=("tr", "cv"), suffix=".flac")
    words = ("--layout", "split/source/id", "--source", "s1=target", "--task", "target_speaker")
    answer = mixgen("import", "folder", folder, *words, "--out", tmp_path / "M.jsonl")
    assert answer.exit_code == 0, answer.err
    manifest = read_manifest(tmp_path / "M.jsonl")
    names = {mixture.id: mixture.split for mixture in manifest.mixtures}
    assert names == {f"{s}_{i}": s for s in ("train", "valid") for i in IDS}
    assert (manifest.header.format, manifest.header.task) == ("flac16", "target_speaker")
    assert [mixture.targets for mixture in manifest.mixtures] == [["s1"]] * 4


def test_real_pairs_of_clean_and_noisy_speech(
    tmp_path: Path, mixgen: RunMixgen, real_data: Path
) -> None:
    """VoiceBank-DEMAND: the noise is in no file, so nothing sums, and nothing has to."""
    folder = real_data / "speech" / "voicebank-demand-p287-denoiser"
    words = ("--layout", "SOURCE/ID", "--mixture", "noisy", "--source", "clean=target")
    answer = mixgen("import", "folder", folder, *words, "--out", tmp_path / "M.jsonl")
    assert answer.exit_code == 0, answer.err
    rendered = load_set(tmp_path / "M.jsonl")
    assert len(rendered.mixtures()) == 6
    assert rendered.manifest.header.task == "speech_enhancement"
    assert not any(m.sums_on_disk for m in rendered.mixtures())
    assert verify_set(tmp_path / "M.jsonl", deep=True) == []
    noisy, _ = soundfile.read(folder / "noisy" / "p287_003.wav")
    assert np.array_equal(rendered.load_mixture("p287_003")[0], noisy)
    clean, _ = soundfile.read(folder / "clean" / "p287_003.wav")
    assert np.array_equal(rendered.load_references("p287_003")[0, 0], clean)


def test_verify_checks_what_the_record_declares(imported: Path) -> None:
    edit(imported, lambda record: record["finished"].update(sums=False))
    assert verify_set(imported, deep=True) == []

    def without_noise(record: dict[str, Any]) -> None:
        assert record["sources"].pop(0)["name"] == "noise"
        record["finished"]["files"].pop("noise")

    edit(imported, without_noise)
    assert verify_set(imported, deep=True) == []
    edit(imported, lambda record: record["finished"].update(sums=True))
    (problem,) = verify_set(imported, deep=True)
    assert (problem.kind, problem.path) == ("inconsistent", "mix/utt_1.wav")


def test_what_changed_is_found(imported: Path, tmp_path: Path, mixgen: RunMixgen) -> None:
    soundfile.write(tmp_path / "audio" / "s1" / "utt_1.wav", stems("other")["s1"], RATE)
    (tmp_path / "audio" / "mix" / "utt_2.wav").unlink()
    found = {(p.kind, p.path, p.detail) for p in verify_set(imported)}
    assert found == {
        ("altered", "s1/utt_1.wav", "its samples differ"),
        ("missing", "mix/utt_2.wav", "the file does not exist"),
    }
    answer = mixgen("verify", imported)
    assert answer.exit_code == 3
    assert f"2 file(s) of {imported} are not as recorded: restore them, or import" in answer.err
    with pytest.raises(InputError, match="is not the file that the manifest was drawn from"):
        ManifestDataset(imported)[0]


def test_the_folder_may_move(imported: Path, tmp_path: Path, mixgen: RunMixgen) -> None:
    (tmp_path / "audio").rename(tmp_path / "moved")
    assert mixgen("verify", imported, "--root", f"audio={tmp_path / 'moved'}").exit_code == 0
    assert "missing" in mixgen("verify", imported).out


def test_both_datasets_read_the_files(imported: Path) -> None:
    from_files, from_manifest = RenderedDataset(imported), ManifestDataset(imported)
    for index, mixture_id in enumerate(IDS):
        expected = {name: s.T / np.float32(2**15) for name, s in stems(mixture_id).items()}
        for item in (from_files[index], from_manifest[index]):
            assert np.array_equal(item.mixture, expected["mix"])
            assert np.array_equal(item.references, [expected["s1"], expected["s2"]])


def described(mixture: Mixture) -> Any:
    """All that a record says beside the folder and the format of its files."""
    plain = mixture.as_dict()
    files = plain["finished"]["files"]
    samples = {name: (file["samples_sha256"], file["peak"]) for name, file in files.items()}
    return {**plain, "finished": {**plain["finished"], "files": samples}}


@pytest.mark.parametrize("sample_format", ["wav16", "flac16"])
def test_rendering_and_importing_again_agree(
    imported: Path, tmp_path: Path, mixgen: RunMixgen, sample_format: str
) -> None:
    out = tmp_path / "set"
    answer = mixgen("render", imported, "--out", out, "--format", sample_format, "--measure")
    assert answer.exit_code == 0, answer.err
    assert verify_set(out, deep=True) == []
    again = tmp_path / "again.jsonl"
    answer = mixgen("import", "folder", out, "--layout", "ID/SOURCE", "--out", again)
    assert answer.exit_code == 0, answer.err
    first, second = read_manifest(imported).mixtures, read_manifest(again).mixtures
    assert [described(m) for m in first] == [described(m) for m in second]


def test_fewer_bits_keep_the_sum(tmp_path: Path, mixgen: RunMixgen) -> None:
    """24-bit files that sum, rendered with 16 bits."""
    folder = tmp_path / "fine"
    rng = np.random.default_rng(5)
    own = {name: rng.integers(-(2**21), 2**21, FRAMES) << 8 for name in ("s1", "s2")}
    for name, samples in {**own, "mixture": own["s1"] + own["s2"]}.items():
        (folder / "a").mkdir(parents=True, exist_ok=True)
        path = folder / "a" / f"{name}.flac"
        soundfile.write(path, samples.astype(np.int32), RATE, subtype="PCM_24")
    manifest = tmp_path / "fine.jsonl"
    mixgen("import", "folder", folder, "--layout", "ID/SOURCE", "--out", manifest)
    assert read_manifest(manifest).header.format == "flac24"
    assert read_manifest(manifest).mixtures[0].sums_on_disk
    mixgen("render", manifest, "--out", tmp_path / "coarse", "--format", "wav16")
    assert verify_set(tmp_path / "coarse", deep=True) == []


def test_floats_between_the_steps_are_kept_and_do_not_sum(
    tmp_path: Path, mixgen: RunMixgen
) -> None:
    """As in WHAM!, whose files are 32-bit floats; they may be beyond full scale."""
    folder = tmp_path / "floats" / "a"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(3)
    one, two = rng.standard_normal((2, FRAMES)).astype(np.float32)
    for name, samples in (("s1", one), ("s2", two), ("mixture", one + two)):
        soundfile.write(folder / f"{name}.wav", samples, RATE, subtype="FLOAT")
    manifest, out = tmp_path / "M.jsonl", tmp_path / "set"
    mixgen("import", "folder", folder.parent, "--layout", "ID/SOURCE", "--out", manifest)
    assert not read_manifest(manifest).mixtures[0].sums_on_disk
    assert verify_set(manifest, deep=True) == []
    mixgen("render", manifest, "--out", out)
    found, _ = soundfile.read(out / "a" / "s1.wav", dtype="float32")
    assert np.array_equal(found, one)
    assert verify_set(out, deep=True) == []


def test_the_hash_of_the_set_has_that_of_every_file(
    imported: Path, tmp_path: Path, mixgen: RunMixgen
) -> None:
    before = set_sha256(load_set(imported))
    soundfile.write(tmp_path / "audio" / "s1" / "utt_1.wav", stems("other")["s1"], RATE)
    mixgen("import", "folder", tmp_path / "audio", "--layout", "SOURCE/ID", "--out", imported)
    assert set_sha256(load_set(imported)) != before


def test_reports_and_exports(imported: Path, tmp_path: Path, mixgen: RunMixgen) -> None:
    answer = mixgen("report", imported, "--out", tmp_path / "report")
    assert answer.exit_code == 0, answer.err
    facts = json.loads((tmp_path / "report" / "report.json").read_text())
    assert facts["set"]["rendered"]
    assert [example["id"] for example in facts["examples"]] == list(IDS)
    assert [check["failed"] for check in facts["checks"] if check["name"] == "files"] == [0]
    answer = mixgen("export", imported, "--to", "webdataset", "--out", tmp_path / "shards")
    assert answer.out.startswith("2 mixtures in 1 tar files"), answer.err


def test_a_manifest_that_has_to_be_rendered_is_no_set(
    drawn: tuple[Path, Any], mixgen: RunMixgen
) -> None:
    answer = mixgen("verify", drawn[0])
    assert answer.exit_code == 3
    assert "is a manifest that has to be rendered: run `mixgen render" in answer.err


def test_what_cannot_be_used_is_named(tmp_path: Path, mixgen: RunMixgen) -> None:
    folder = write_folder(tmp_path / "audio", "ID/SOURCE")
    soundfile.write(folder / "utt_1" / "s2.wav", stems("utt_1")["s2"][:-1], RATE)
    words = ("import", "folder", folder, "--layout", "ID/SOURCE", "--out", tmp_path / "M.jsonl")
    answer = mixgen(*words)
    assert answer.exit_code == 3
    assert (
        "utt_1/s2.wav has 3999 samples at 8000 Hz in 1 channel(s), and its mixture 4000 samples at "
        "8000 Hz in 1 channel(s): make them equal, or leave them out with --allow-missing."
    ) in answer.err
    answer = mixgen(*words, "--allow-missing")
    assert answer.out == f"1 mixtures in {tmp_path / 'M.jsonl'}, 1 left out.\n"
    assert "left out: utt_1: " in answer.err
    (folder / "utt_2" / "s1.wav").unlink()
    assert "no file of s1 of utt_2" in mixgen(*words, "--source", "s1=target").err


def test_broken_files_are_left_out(tmp_path: Path, mixgen: RunMixgen) -> None:
    folder = tmp_path / "audio"
    for i in ("cut", "empty", "good", "a b", "a_b"):
        for name, samples in stems(i).items():
            (folder / i).mkdir(parents=True, exist_ok=True)
            soundfile.write(folder / i / f"{name}.wav", samples, RATE)
    content = (folder / "cut" / "s1.wav").read_bytes()
    (folder / "cut" / "s1.wav").write_bytes(content[:-100])
    (folder / "empty" / "mix.wav").write_bytes(b"")
    words = ("import", "folder", folder, "--layout", "ID/SOURCE", "--out", tmp_path / "M.jsonl")
    answer = mixgen(*words, "--allow-missing")
    assert answer.out == f"2 mixtures in {tmp_path / 'M.jsonl'}, 3 left out.\n"
    assert "cut/s1.wav is cut short: restore it" in answer.err
    assert "empty/mix.wav is not audio that can be read" in answer.err
    assert "has two mixtures a_b: rename one" in answer.err
    assert verify_set(tmp_path / "M.jsonl", deep=True) == []


@pytest.mark.parametrize(
    ("words", "exit_code", "sentence"),
    [
        (("--layout", "SOURCE"), 2, "--layout takes a path with ID and SOURCE, and SPLIT where"),
        (("--mixture", "noisy"), 2, "has no source 'noisy': there are mix, noise, s1, s2"),
        (("--source", "s1=voice"), 2, "--source takes SOURCE=ROLE with a role of target,"),
        (("--layout", "ID_SOURCE"), 3, "has no files ID_SOURCE, but such as"),
        (("--layout", "SPLIT/ID/SOURCE"), 3, "holds no audio: check the path"),
        (("--layout", "SOURCE/x/ID/ID"), 2, "such as SPLIT/SOURCE/ID, not 'SOURCE/x/ID/ID'"),
        (("--layout", "../SOURCE/ID"), 2, "not '../SOURCE/ID'"),
        (("--mixture", "mix/ID/SOURCE"), 2, "--mixture takes a path with ID, and SPLIT where"),
        (("--mixture", "SPLIT/ID"), 2, "and --mixture SPLIT/ID need SPLIT both or neither"),
        (("--mixture", "mixes/ID"), 3, "has no files mixes/ID, but such as"),
    ],
)
def test_wrong_words(
    tmp_path: Path, mixgen: RunMixgen, words: tuple[str, ...], exit_code: int, sentence: str
) -> None:
    folder = write_folder(tmp_path / "audio", "ID/SOURCE")
    for i in IDS:  # one level deeper than a folder of splits has audio
        (folder / i / "deeper").mkdir()
        if "SPLIT/ID/SOURCE" in words:
            for path in (folder / i).glob("*.wav"):
                path.unlink()
    given = ("--layout", "ID/SOURCE", *words, "--out", tmp_path / "M.jsonl")
    answer = mixgen("import", "folder", folder, *given)
    assert answer.exit_code == exit_code
    assert sentence in answer.err
    assert not (tmp_path / "M.jsonl").exists()


def test_which_mixture_is_asked_for(tmp_path: Path, mixgen: RunMixgen) -> None:
    folder = write_folder(tmp_path / "audio", "SOURCE/ID")
    (folder / "mix").rename(folder / "noisy")
    words = ("import", "folder", folder, "--layout", "SOURCE/ID", "--out", tmp_path / "M.jsonl")
    asked = "has no known mixture among noise, noisy, s1, s2: say with --mixture"
    assert asked in mixgen(*words).err
    (folder / "noisy").rename(folder / "mix_both")
    (folder / "s2").rename(folder / "mix_clean")
    assert "has several mixtures (mix_both, mix_clean)" in mixgen(*words).err
