"""The command `mixgen` as a user meets it: what it does, its messages, and its exit codes."""

import errno
import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import typer
import yaml
from typer.testing import CliRunner

from mixgen.cli import app
from mixgen.core import console
from mixgen.core.files import write_json
from mixgen.core.versions import __version__
from tests.mixgen.conftest import Corpus, RunMixgen

COMMANDS = sorted(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
RECIPE = {
    "name": "tiny",
    "task": "speech_separation",
    "sample_rate": 8000,
    "duration": {"mode": "fixed", "seconds": 0.5},
    "sources": [{"name": "s", "kind": "speech", "count": 2}],
    "splits": {
        "train": {"mixtures": 3, "sources": "train"},
        "test": {"mixtures": 1, "sources": "test"},
    },
}


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """A recipe file."""
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(RECIPE))
    return path


@pytest.fixture
def manifest(corpus: Corpus, mixgen: RunMixgen, recipe: Path, tmp_path: Path) -> Path:
    """The manifest that `mixgen draw` made of it."""
    path = tmp_path / "m.jsonl"
    drawn = mixgen("draw", recipe, "--sources", corpus.folder / "speech.csv", "--out", path)
    assert drawn.exit_code == 0, drawn.err
    return path


def _is_one_sentence(answer: Any, exit_code: int, words: str) -> None:
    """Check an error: its code, `error: ...` on the last line, and no trace of the machinery."""
    assert answer.exit_code == exit_code, answer.err
    *before, last = answer.err.splitlines()
    assert last.startswith("error: ")
    assert words in last
    assert last.endswith((".", "?"))
    assert "Traceback" not in answer.err
    assert "Unexpected" not in answer.err
    assert not any(line.startswith("error: ") for line in before)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example(mixgen: RunMixgen, command: str) -> None:
    answer = mixgen(command, "--help")
    assert answer.exit_code == 0
    assert f"Example: mixgen {command} " in " ".join(answer.out.split())


def test_commands() -> None:
    assert {"starter", "index", "draw", "render", "verify", "export"} <= set(COMMANDS)


def test_version(mixgen: RunMixgen) -> None:
    answer = mixgen("--version")
    assert (answer.exit_code, answer.out) == (0, f"mixgen {__version__}\n")


@pytest.mark.parametrize("program", ["mixgen", "baselines", "evalsuite"])
def test_every_program_says_what_it_is(program: str) -> None:
    ended = CliRunner().invoke(console.new_app(program, "What it does."), ["--help"])
    assert "What it does." in ended.output
    assert "--version" in ended.output
    version = CliRunner().invoke(console.new_app(program, "What it does."), ["--version"])
    assert version.output == f"{program} {__version__}\n"


def test_from_sound_files_to_a_verified_set(
    mixgen: RunMixgen, corpus: Corpus, recipe: Path, tmp_path: Path
) -> None:
    csv, drawn, rendered = tmp_path / "s.csv", tmp_path / "m.jsonl", tmp_path / "set"
    parts = ("--by", "label", "--parts", "train=0.6,test=0.4")
    root = corpus.roots["speech"]
    answer = mixgen("index", "folder", root, "--out", csv, *parts, "--workers", 1)
    assert answer.out == f"18 files, 0.00 h, in {csv}.\n"
    assert (
        mixgen("draw", recipe, "--sources", csv, "--out", drawn).out == f"4 mixtures in {drawn}.\n"
    )
    answer = mixgen("render", drawn, "--out", rendered, "--workers", 1)
    assert answer.out == f"12 files written, 12 in place, in {rendered}.\n"
    assert mixgen("verify", rendered, "--deep", "--workers", 1).out == f"{rendered} is whole.\n"
    assert json.loads(mixgen("verify", rendered, "--json").out) == []
    answer = mixgen("export", drawn, "--jams", "--out", tmp_path / "jams", "--split", "train")
    assert answer.out == f"3 JAMS files in {tmp_path / 'jams'}.\n"
    assert len(list((tmp_path / "jams").iterdir())) == 3


@pytest.mark.parametrize(
    "words",
    [
        ["frobnicate"],
        ["draw"],
        ["render", "m.jsonl"],
        ["render", "m.jsonl", "--out", "x", "--workers", "0"],
        ["render", "m.jsonl", "--out", "x", "--format", "mp3"],
        ["index", "folder", ".", "--out", "x.csv", "--kind", "voice"],
        ["index", "folder", ".", "--out", "x.csv", "--by", "weight"],
        ["draw", "r.yaml", "--sources", "s.csv", "--out", "x", "--seed", "-1"],
        ["draw", "r.yaml", "--sources", "s.csv", "--out", "x", "--mixtures"],
        ["draw", "r.yaml", "--sources", "s.csv", "--out", "x", "--seed", "many"],
    ],
)
def test_usage(mixgen: RunMixgen, words: list[str]) -> None:
    answer = mixgen(*words)
    assert answer.exit_code == 2
    assert "Error" in answer.err
    assert "Traceback" not in answer.err


def test_draw_with_other_numbers_and_splits(
    mixgen: RunMixgen, corpus: Corpus, recipe: Path, tmp_path: Path
) -> None:
    csv, drawn = tmp_path / "s.csv", tmp_path / "m.jsonl"
    root = corpus.roots["speech"]
    mixgen("index", "folder", root, "--out", csv, "--split", "train-clean-100", "--workers", 1)
    words = ("draw", recipe, "--sources", csv, "--out", drawn, "--split", "train")
    answer = mixgen(*words)
    _is_one_sentence(answer, 3, "or say which to take (`--splits train=NAME`)")
    answer = mixgen(*words, "--splits", "train=train-clean-100", "--mixtures", "2")
    assert answer.out == f"2 mixtures in {drawn}.\n"
    header = json.loads(drawn.read_text().splitlines()[0])
    assert header["mixtures"] == 2
    assert header["changes"] == {
        "mixtures": {"train": 2, "test": 2},
        "sources": {"train": ["train-clean-100"]},
    }
    answer = mixgen(*words, "--splits", "dev=train-clean-100")
    _is_one_sentence(answer, 2, "The recipe has no split 'dev': choose one of test, train")
    answer = mixgen(*words, "--mixtures", "few")
    _is_one_sentence(answer, 2, "--mixtures takes N or SPLIT=N")


def test_usage_in_our_own_words(mixgen: RunMixgen, manifest: Path, tmp_path: Path) -> None:
    out = tmp_path / "set"
    shard = mixgen("render", manifest, "--out", out, "--shard", "4/3")
    _is_one_sentence(shard, 2, "A shard is i/N with i from 1 to N, not 4/3.")
    root = mixgen("render", manifest, "--out", out, "--root", "speech")
    _is_one_sentence(root, 2, "--root takes CORPUS=FOLDER, not 'speech'.")
    layout = mixgen("index", "folders", tmp_path, "--out", out)
    _is_one_sentence(layout, 2, "There is no layout 'folders'")
    assert not out.exists()


def test_bad_files_are_listed_and_the_rest_is_done(mixgen: RunMixgen, tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    soundfile.write(root / "good.wav", np.full(8000, 0.1), 8000)
    soundfile.write(root / "nan.wav", np.array([np.nan]), 8000, subtype="FLOAT")
    (root / "empty.wav").touch()
    (root / "text.flac").write_text("words")
    (root / "cut.wav").write_bytes((root / "good.wav").read_bytes()[:-999])
    answer = mixgen("index", "folder", root, "--out", tmp_path / "s.csv", "--workers", 1)
    _is_one_sentence(answer, 4, "4 item(s) skipped; the others are done.")
    listed = [line for line in answer.err.splitlines() if line.startswith("skipped: ")]
    assert [line.split(": ")[1] for line in listed] == [
        "cut.wav",
        "empty.wav",
        "nan.wav",
        "text.flac",
    ]
    assert len((tmp_path / "s.csv").read_text().splitlines()) == 2


def test_a_name_that_is_not_utf8_is_left_out(mixgen: RunMixgen, tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / os.fsdecode(b"\xff")).mkdir(parents=True)
    soundfile.write(root / "good.wav", np.full(8000, 0.1), 8000)
    shutil.copy(root / "good.wav", root / os.fsdecode(b"\xff/\xe9.wav"))
    words = ("--out", tmp_path / "s.csv", "--workers", 1, "--by", "group", "--parts", "a=1")
    answer = mixgen("index", "folder", root, *words, "--json")
    _is_one_sentence(answer, 4, "1 item(s) skipped; the others are done.")
    reason = "its name is not UTF-8: rename it."
    assert json.loads(answer.out)["refused"] == [{"path": r"\xff/\xe9.wav", "reason": reason}]
    assert len((tmp_path / "s.csv").read_text().splitlines()) == 2


def test_missing_root(mixgen: RunMixgen, tmp_path: Path) -> None:
    answer = mixgen("index", "folder", tmp_path / "none", "--out", tmp_path / "s.csv")
    _is_one_sentence(answer, 3, "is not a folder: give the root of the corpus.")
    assert list(tmp_path.iterdir()) == []


def _edit(path: Path, old: str, new: str) -> None:
    content = path.read_text()
    assert old in content
    path.write_text(content.replace(old, new, 1))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            "sample_rate: 8000",
            "samplerate: 8000",
            "the key 'samplerate' is not known (did you mean",
        ),
        ("mixtures: 3", "mixtures: 1000000000000", "less than or equal to 10000000"),
        ("count: 2", "count: 1000", "a whole number from 0 to 32"),
        ("count: 2", "count: 9", "needs 9 different labels for 's' in split 'test', and"),
        ("count: 2", "snr: [gauss, 0, 1]", "'gauss' is not a distribution"),
        ("name: tiny", "name: &x tiny\ndescription: *x", "uses a YAML alias"),
        ("name: tiny", "name: [", "is not valid YAML"),
        ("sources: train", "sources: dev", "No speech source fits 's' in split 'train'"),
    ],
)
def test_bad_recipes(
    mixgen: RunMixgen, corpus: Corpus, recipe: Path, old: str, new: str, words: str
) -> None:
    _edit(recipe, old, new)
    out = recipe.parent / "out" / "m.jsonl"
    answer = mixgen("draw", recipe, "--sources", corpus.folder / "speech.csv", "--out", out)
    _is_one_sentence(answer, 3, words)
    assert not out.exists()
    assert not out.parent.exists() or list(out.parent.iterdir()) == []


@pytest.mark.parametrize("path", ["../spk0/utt0.wav", "/etc/passwd", "spk0\\utt0.wav", "a\0b"])
def test_hostile_sources(
    mixgen: RunMixgen, corpus: Corpus, recipe: Path, tmp_path: Path, path: str
) -> None:
    csv = tmp_path / "s.csv"
    csv.write_text((corpus.folder / "speech.csv").read_text())
    _edit(csv, "spk0/utt0.wav", path)
    answer = mixgen("draw", recipe, "--sources", csv, "--out", tmp_path / "m.jsonl")
    _is_one_sentence(answer, 3, "stays inside its root")
    assert not (tmp_path / "m.jsonl").exists()


def test_links_that_leave_the_root(
    mixgen: RunMixgen, manifest: Path, corpus: Corpus, tmp_path: Path
) -> None:
    root = tmp_path / "links"
    for row in corpus.rows:
        if row.corpus == "speech":
            (root / row.path).parent.mkdir(parents=True, exist_ok=True)
            (root / row.path).symlink_to(corpus.roots["speech"] / row.path)
    words = ("--out", tmp_path / "set", "--root", f"speech={root}", "--workers", 1)
    answer = mixgen("render", manifest, *words)
    _is_one_sentence(answer, 4, "4 item(s) failed")
    assert "is a link that leads out of" in answer.err
    assert not list((tmp_path / "set").glob("*/*"))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"path": "', '"path": "../', "line 2 is not valid: sources.0.events.0.path"),
        ('"path": "', '"path": "/', "line 2 is not valid: sources.0.events.0.path"),
        ('"path": "', '"path": "\\u0000', "line 2 is not valid: sources.0.events.0.path"),
        (
            '"manifest/2"',
            '"manifest/9"',
            "has schema 'manifest/9'; this version reads 'manifest/2'",
        ),
        ('{"id": "train-000001"', '{"id": "train-000001', "is not valid JSON (Expecting"),
        ('"train-000001"', '"train-000000"', "holds the mixture id 'train-000000' twice"),
        ('"train-000001"', f'"{"x" * 100_000}"', "is not allowed: use 1 to 200 letters"),
        ('"train-000001"', '".."', "The name '..' is not allowed"),
        ('"train-000001"', '".rendering"', "The name '.rendering' is not allowed"),
        ('"train-000001"', '"Rendered.jsonl"', "called 'Rendered.jsonl', which is a file of every"),
        ('"train-000001"', '"manifest.jsonl"', "called 'manifest.jsonl', which is a file of every"),
        ('"frames": 4000', '"frames": 4000000000000', "frames: Input should be less than or equal"),
        ('"frames": 4000', f'"frames": {"9" * 5000}', "line 2 is not valid JSON"),
    ],
)
@pytest.mark.parametrize("command", ["render", "export"])
def test_bad_manifests(
    mixgen: RunMixgen, manifest: Path, tmp_path: Path, command: str, old: str, new: str, words: str
) -> None:
    _edit(manifest, old, new)
    options = ("--to", "jams") if command == "export" else ()
    answer = mixgen(command, manifest, "--out", tmp_path / "out", *options)
    _is_one_sentence(answer, 3, words)
    assert len(answer.err) < 1000
    assert not (tmp_path / "out").exists()


def test_unknown_root(mixgen: RunMixgen, manifest: Path, tmp_path: Path) -> None:
    (tmp_path / "roots.json").unlink()
    answer = mixgen("render", manifest, "--out", tmp_path / "set", "--workers", 1)
    _is_one_sentence(answer, 4, "4 item(s) failed; there are no others.")
    assert "The root of the corpus 'speech' is unknown" in answer.err
    assert "add --root speech=FOLDER" in answer.err


def test_a_source_that_was_altered(
    mixgen: RunMixgen, manifest: Path, corpus: Corpus, tmp_path: Path
) -> None:
    root = tmp_path / "copy"
    for row in corpus.rows:
        if row.corpus == "speech":
            (root / row.path).parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(root / row.path, np.full(16000, 0.25), 16000)
    words = ("--out", tmp_path / "set", "--root", f"speech={root}", "--workers", 1)
    answer = mixgen("render", manifest, *words)
    _is_one_sentence(answer, 4, "4 item(s) failed")
    assert "is not the file that the manifest was drawn from (its SHA-256 differs)" in answer.err
    assert not list((tmp_path / "set").glob("*/*"))


def test_verify_lists_what_is_wrong(mixgen: RunMixgen, manifest: Path, tmp_path: Path) -> None:
    rendered = tmp_path / "set"
    assert mixgen("render", manifest, "--out", rendered, "--workers", 1).exit_code == 0
    (rendered / "test-000000" / "s1.flac").unlink()
    answer = mixgen("verify", rendered)
    _is_one_sentence(answer, 3, "1 file(s) of")
    assert " ".join(answer.out.split()) == ("missing test-000000/s1.flac (the file does not exist)")
    (problem,) = json.loads(mixgen("verify", rendered, "--json").out)
    assert (problem["path"], problem["kind"]) == ("test-000000/s1.flac", "missing")
    repaired = mixgen("render", manifest, "--out", rendered, "--workers", 1)
    assert repaired.out.startswith("1 files written, 12 in place")
    assert mixgen("verify", rendered).exit_code == 0


def test_verify_of_what_is_no_set(mixgen: RunMixgen, tmp_path: Path) -> None:
    _is_one_sentence(mixgen("verify", tmp_path), 3, "is not a rendered set")


@pytest.mark.parametrize("command", ["index", "draw", "render", "export"])
def test_a_file_where_the_folder_should_be(
    mixgen: RunMixgen, manifest: Path, recipe: Path, corpus: Corpus, tmp_path: Path, command: str
) -> None:
    (tmp_path / "taken").write_text("mine")
    inside = tmp_path / "taken" / "x"
    words: dict[str, list[Any]] = {
        "index": ["folder", corpus.roots["speech"], "--workers", 1],
        "draw": [recipe, "--sources", corpus.folder / "speech.csv"],
        "render": [manifest, "--workers", 1],
        "export": [manifest, "--to", "jams"],
    }
    answer = mixgen(command, *words[command], "--out", inside)
    _is_one_sentence(answer, 6, "a file is where a folder should be")
    assert (tmp_path / "taken").read_text() == "mine"


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 128 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a small file system")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("sample_format", ["flac16", "wav16", "wav_float"])
def test_full_disk(
    mixgen: RunMixgen,
    manifest: Path,
    tiny_disk: Path,
    monkeypatch: pytest.MonkeyPatch,
    sample_format: str,
) -> None:
    monkeypatch.setattr("mixgen.render.set._check_space", lambda *_: None)
    padding = tiny_disk / "padding"
    padding.write_bytes(b"x" * (80 << 10))
    answer = mixgen(
        "render", manifest, "--out", tiny_disk / "set", "--format", sample_format, "--workers", 1
    )
    _is_one_sentence(answer, 6, "No space left on the disk")
    assert not list(tiny_disk.rglob(".tmp.*"))
    padding.unlink()
    again = mixgen(
        "render", manifest, "--out", tiny_disk / "set", "--format", sample_format, "--workers", 1
    )
    if again.exit_code == 0:
        assert mixgen("verify", tiny_disk / "set", "--deep").exit_code == 0


def test_full_disk_is_foreseen(mixgen: RunMixgen, manifest: Path, tiny_disk: Path) -> None:
    answer = mixgen("render", manifest, "--out", tiny_disk / "set")
    _is_one_sentence(answer, 6, "make room or choose another disk.")
    assert not list((tiny_disk / "set").iterdir())


LIMITED = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv.pop(1)),) * 2)
from mixgen.cli import main
main()
"""


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_FSIZE"), reason="needs limits on file sizes")
def test_limit_on_file_size(manifest: Path, tmp_path: Path) -> None:
    folder = tmp_path / "set"
    words = ["render", manifest, "--out", folder, "--format", "wav16", "--workers", "1"]
    ended = subprocess.run(
        [sys.executable, "-c", LIMITED, "5000", *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in ended.stderr
    assert ended.returncode == 6
    assert ended.stderr.splitlines()[-1].startswith("error: No space left on the disk")
    assert not list(folder.rglob(".tmp.*"))


@pytest.mark.parametrize(
    "note", ["[1]", "{", '{"speech": "\\u0000"}', '{"speech": "\\ud800"}', '{"speech": 1}']
)
def test_broken_roots(mixgen: RunMixgen, manifest: Path, tmp_path: Path, note: str) -> None:
    (tmp_path / "roots.json").write_text(note)
    answer = mixgen("render", manifest, "--out", tmp_path / "set")
    _is_one_sentence(answer, 3, "roots.json")


def test_recipe_that_is_not_there(mixgen: RunMixgen, corpus: Corpus, tmp_path: Path) -> None:
    words = ("--sources", corpus.folder / "speech.csv", "--out", tmp_path / "m.jsonl")
    _is_one_sentence(mixgen("draw", "none.yaml", *words), 3, "There is no file none.yaml")
    _is_one_sentence(mixgen("draw", "none", *words), 3, "neither a recipe file nor a shipped set")
    _is_one_sentence(mixgen("draw", tmp_path, *words), 3, "neither a recipe file")


def test_sources_that_are_something_else(mixgen: RunMixgen, recipe: Path, tmp_path: Path) -> None:
    for content in ({"a": 1}, []):
        write_json(tmp_path / "s.csv", content)
        answer = mixgen("draw", recipe, "--sources", tmp_path / "s.csv", "--out", tmp_path / "m")
        _is_one_sentence(answer, 3, "is not a sources.csv: the column 'source_id' is missing.")


def test_export_of_activity(mixgen: RunMixgen, manifest: Path, tmp_path: Path) -> None:
    out = tmp_path / "activity.rttm"
    answer = mixgen("export", manifest, "--rttm", "--out", out)
    assert answer.exit_code == 0, answer.err
    assert out.read_text().startswith("SPEAKER test-000000 1 0.0000 0.5000 ")
    both = mixgen("export", manifest, "--rttm", "--jams", "--out", out)
    assert both.exit_code == 2
    assert "choose one of --to, --jams and --rttm" in both.err


def test_tolerance_of_what_was_asked_for(mixgen: RunMixgen, manifest: Path, tmp_path: Path) -> None:
    out = tmp_path / "set"
    assert mixgen("render", manifest, "--out", out).exit_code == 0
    assert mixgen("verify", out, "--tolerance", "level_db=1").exit_code == 0
    strict = mixgen("verify", out, "--tolerance", "level_db=0")
    _is_one_sentence(strict, 3, "further from the requested than the tolerance")
    assert "level_db is " in strict.out
    _is_one_sentence(
        mixgen("verify", out, "--tolerance", "loud=1"),
        2,
        "No file of the set has a requested 'loud'",
    )
    for word in ("level_db", "level_db=x", "=1", "level_db=-1"):
        _is_one_sentence(mixgen("verify", out, "--tolerance", word), 2, "A tolerance is written")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device /dev/full")
@pytest.mark.parametrize("show", ["typer.echo", "print"])
def test_an_answer_that_cannot_be_written_is_one_sentence(show: str) -> None:
    code = f"import typer\nfrom mixgen.core.console import run\nrun(lambda: {show}('words'))"
    with open("/dev/full", "w") as full:
        words = [sys.executable, "-c", code]
        ended = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (ended.returncode, ended.stderr.splitlines()[0]) == (
        6,
        "error: Cannot use a file: No space left on device.",
    )


def test_a_file_that_may_not_be_read_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    def app() -> None:
        raise PermissionError(errno.EACCES, "Permission denied", "a.wav")

    with pytest.raises(SystemExit) as stop:
        console.run(app)
    assert stop.value.code == 6
    assert capsys.readouterr().err == "error: Cannot use a.wav: Permission denied.\n"
