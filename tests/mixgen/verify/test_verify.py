"""Verifying: every way a file can be wrong is named, and nothing else is."""

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import soundfile

from mixgen.audio.formats import samples_sha256
from mixgen.core.errors import InputError
from mixgen.core.files import sha256_file
from mixgen.render.set import render_set
from mixgen.verify.problem import Problem, verdict
from mixgen.verify.set import verify_set
from tests.mixgen.conftest import Corpus, DrawTo, MakeRecipe, forbid


@pytest.fixture(scope="module")
def whole(
    corpus: Corpus,
    tmp_path_factory: pytest.TempPathFactory,
    speech_recipe: MakeRecipe,
    draw_to: DrawTo,
) -> Path:
    """The tiny speech set, rendered; to be copied."""
    folder = tmp_path_factory.mktemp("whole")
    draw_to(folder / "m.jsonl", speech_recipe(format="wav16"))
    render_set(folder / "m.jsonl", folder / "set", roots=corpus.roots)
    return folder / "set"


@pytest.fixture
def rendered(whole: Path, tmp_path: Path) -> Path:
    """A copy of the tiny set to damage."""
    return Path(shutil.copytree(whole, tmp_path / "set"))


def _flip(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 0x40
    path.write_bytes(content)


def _edit_rows(folder: Path, edit: Callable[[list[dict]], None]) -> None:  # type: ignore[type-arg]
    path = folder / "rendered.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    edit(rows)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.mark.parametrize("deep", [False, True])
def test_a_whole_set(rendered: Path, deep: bool) -> None:
    assert verify_set(rendered, deep=deep, workers=2) == []


def test_a_set_with_a_manifest_of_the_first_schema_is_whole(rendered: Path) -> None:
    header, *records = (
        json.loads(line) for line in (rendered / "manifest.jsonl").read_text().splitlines()
    )
    old = [header | {"schema": "manifest/1"}, *(record | {"effects": []} for record in records)]
    (rendered / "manifest.jsonl").write_text("".join(json.dumps(line) + "\n" for line in old))
    noted = sha256_file(rendered / "manifest.jsonl")  # as sets noted it then
    _edit_rows(rendered, lambda rows: rows[0].update(manifest_sha256=noted))
    assert verify_set(rendered, deep=True) == []
    _edit_rows(rendered, lambda rows: rows[0].update(manifest_sha256="0" * 64))
    assert [problem.path for problem in verify_set(rendered)] == ["manifest.jsonl"]


def test_flipped_truncated_deleted(rendered: Path) -> None:
    _flip(rendered / "train-000001/s1.wav", -100)
    cut = rendered / "train-000003/noise.wav"
    cut.write_bytes(cut.read_bytes()[:-200])
    (rendered / "test-000000/mixture.wav").unlink()
    assert verify_set(rendered) == [
        Problem("train-000001/s1.wav", "altered", "its samples differ"),
        Problem("train-000003/noise.wav", "altered", "it has 6300 samples instead of 6400"),
        Problem("test-000000/mixture.wav", "missing", "the file does not exist"),
    ]


def test_header_alone_altered(rendered: Path) -> None:
    path = rendered / "train-000000/s1.wav"
    path.write_bytes(path.read_bytes() + b"LIST\0\0\0\0")
    (problem,) = verify_set(rendered)
    assert problem.detail == "its bytes differ, its samples do not"


def test_unreadable_file(rendered: Path) -> None:
    (rendered / "train-000000/s1.wav").write_bytes(b"noise")
    (problem,) = verify_set(rendered)
    assert (problem.kind, problem.detail) == ("altered", "it cannot be decoded")


def test_altered_manifest(rendered: Path) -> None:
    path = rendered / "manifest.jsonl"
    path.write_text(path.read_text().replace('"tiny"', '"tony"'))
    (problem,) = verify_set(rendered)
    assert (problem.path, problem.kind) == ("manifest.jsonl", "altered")


def test_unrecorded_file(rendered: Path) -> None:
    _edit_rows(rendered, lambda rows: rows.pop(3))
    (problem,) = verify_set(rendered)
    assert (problem.path, problem.kind) == ("train-000000/s2.wav", "unrecorded")


def test_recorded_length_that_is_not_the_manifests(rendered: Path) -> None:
    _edit_rows(rendered, lambda rows: rows[1].update(frames=1))
    (problem,) = verify_set(rendered)
    assert (problem.path, problem.kind) == ("train-000000/mixture.wav", "altered")
    assert "length, rate or channels" in problem.detail


def test_a_record_cannot_point_elsewhere(rendered: Path) -> None:
    _edit_rows(rendered, lambda rows: rows[1].update(path="../../../etc/passwd"))
    with pytest.raises(InputError, match=r"rendered\.jsonl line 2 is not valid: path: The path"):
        verify_set(rendered)


def test_a_record_of_another_file_does_not_stand_in(rendered: Path) -> None:
    def swap(rows: list[dict]) -> None:  # type: ignore[type-arg]
        rows[2]["path"], rows[2]["file_sha256"] = rows[3]["path"], rows[3]["file_sha256"]

    _edit_rows(rendered, swap)
    (rendered / "train-000000/s1.wav").unlink()
    problem, other = verify_set(rendered)
    assert (problem.path, problem.kind) == ("train-000000/s1.wav", "unrecorded")
    assert (other.path, other.kind) == ("train-000000/s2.wav", "misrecorded")


def test_deep_finds_a_mixture_that_is_not_the_sum(rendered: Path) -> None:
    path = rendered / "train-000000/mixture.wav"
    samples, rate = soundfile.read(path, dtype="int16")
    samples[100] += 1
    soundfile.write(path, samples, rate, subtype="PCM_16")
    sha256 = samples_sha256(samples[:, None])
    hashes = {"file_sha256": sha256_file(path), "sha256": sha256}
    _edit_rows(rendered, lambda rows: rows[1].update(hashes))
    assert verify_set(rendered) == []
    detail = "it is not the sum of its sources"
    assert verify_set(rendered, deep=True) == [
        Problem("train-000000/mixture.wav", "inconsistent", detail)
    ]


def _level(row: dict[str, Any]) -> None:
    row["measured"]["level_db"] += 0.01


def _request(row: dict[str, Any]) -> None:
    row["requested"]["snr_db"] -= 3.0


def _no_value(row: dict[str, Any]) -> None:
    del row["measured"]["energy_ratio_db"]


def _more_values(row: dict[str, Any]) -> None:
    row["measured"]["t60_s"] = 0.5


def _null(row: dict[str, Any]) -> None:
    row["measured"]["snr_db"] = None


def _peak(row: dict[str, Any]) -> None:
    row["peak"] += 0.001


def _hash(row: dict[str, Any]) -> None:
    row["sha256"] = "0" * 64


def _gain(row: dict[str, Any]) -> None:
    row["clip_gain_db"] = -1.0


def _reason(row: dict[str, Any]) -> None:
    row["reasons"] = {"level_db": "no reason"}


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (_level, r"its measured level_db is -\d+\.\d+, not -\d+\.\d+"),
        (_request, r"its requested snr_db is [-\d.]+, not [-\d.]+"),
        (_no_value, "its measured energy_ratio_db is missing"),
        (_more_values, "its measured t60_s is recorded"),
        (_null, "its measured snr_db is [-0-9.]+, not null"),
        (_peak, r"its peak is 0\.\d+, not 0\.\d+"),
        (_hash, "its samples are not those recorded"),
        (_gain, "its clip gain is not that of the mixture"),
        (_reason, "its reasons are not those of its values"),
    ],
)
def test_deep_finds_a_record_that_was_edited(
    rendered: Path, corpus: Corpus, edit: Callable[[dict[str, Any]], None], words: str
) -> None:
    before = (rendered / "rendered.jsonl").read_text()
    _edit_rows(rendered, lambda rows: edit(rows[3]))  # s2 of train-000000
    assert verify_set(rendered) == []
    (problem,) = verify_set(rendered, deep=True)
    assert problem.kind == "misrecorded"
    assert problem.path.startswith("train-000000/")
    assert re.fullmatch(words, problem.detail)
    (rendered / "rendered.jsonl").unlink()  # the remedy
    render_set(rendered / "manifest.jsonl", rendered, roots=corpus.roots)
    assert (rendered / "rendered.jsonl").read_text() == before


@pytest.mark.parametrize("deep", [False, True])
def test_a_clip_gain_of_every_file_that_was_not_there(rendered: Path, deep: bool) -> None:
    def edit(rows: list[dict[str, Any]]) -> None:
        for row in rows[1:5]:
            row["clip_gain_db"] = -1.0

    _edit_rows(rendered, edit)
    detail = "its clip gain is not that of the mixture"
    problem = Problem("train-000000/mixture.wav", "misrecorded", detail)
    assert verify_set(rendered, deep=deep) == [problem] * deep


@pytest.mark.parametrize("deep", [False, True])
def test_duplicate_and_renamed_rows(rendered: Path, deep: bool) -> None:
    _edit_rows(rendered, lambda rows: rows.insert(2, rows[2]))
    detail = "rendered.jsonl has 2 lines for it"
    twice = [Problem("train-000000/s1.wav", "misrecorded", detail)]
    assert verify_set(rendered, deep=deep) == twice
    _edit_rows(rendered, lambda rows: rows[2].update(name="s2"))
    other = "rendered.jsonl has it as 's2', which is none of the mixture's files"
    renamed = Problem("train-000000/s1.wav", "misrecorded", other)
    assert verify_set(rendered, deep=deep) == [renamed]
    _edit_rows(rendered, lambda rows: rows.pop(3))
    none = Problem("train-000000/s1.wav", "unrecorded", "rendered.jsonl has no line for it")
    assert verify_set(rendered, deep=deep) == [none, renamed]


def test_a_record_of_another_schema(rendered: Path) -> None:
    _edit_rows(rendered, lambda rows: rows[0].update(schema="rendered/9"))
    with pytest.raises(
        InputError, match="has schema 'rendered/9', and this version reads 'rendered/1'"
    ):
        verify_set(rendered)


def test_files_and_folders_that_cannot_be_read(
    rendered: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, folder = rendered / "train-000001" / "s1.wav", rendered / "train-000002"
    (rendered / "test-000000" / "s1.wav").unlink()
    (rendered / "more").mkdir()
    forbid(monkeypatch, "open", file)
    forbid(monkeypatch, "scandir", folder, rendered / "more")
    denied = "its files cannot be listed: Permission denied"
    assert verify_set(rendered, deep=True, workers=2) == [
        Problem("train-000001/s1.wav", "unreadable", f"Cannot read {file}: Permission denied."),
        Problem("train-000002", "unreadable", denied),
        Problem("test-000000/s1.wav", "missing", "the file does not exist"),
        Problem("more", "unreadable", denied),
    ]


def test_rows_in_another_order(rendered: Path) -> None:
    _edit_rows(rendered, lambda rows: rows.append(rows.pop(1)))
    assert verify_set(rendered) == [
        Problem("train-000000/mixture.wav", "unrecorded", "rendered.jsonl has no line for it"),
        Problem(
            "rendered.jsonl", "altered", "mixture train-000000 is not where the manifest has it"
        ),
    ]


UNKNOWN = {
    "train-000000/s3.wav": "the manifest does not have this file",
    "train-000000/deeper/s1.FLAC": "the manifest does not have this file",
    "train-000001/.tmp.0f0f.s1.wav": "an interrupted run left it",
    ".tmp.0f0f.rendered.jsonl": "an interrupted run left it",
    "train-000009/mixture.wav": "the manifest does not have this file",
    "train-000009/s1.wav": "the manifest does not have this file",
    "a.wav": "the manifest does not have this file",
    "x/y/z.FLAC": "the manifest does not have this file",
    "o2/mixture.ogg": "the manifest does not have this file",
}
KEPT = [
    "roots.json",
    "report/report.html",
    "report/report.json",
    "train-000000/notes.txt",
    ".rendering/wav16/block-000000.jsonl",
]


@pytest.mark.parametrize("deep", [False, True])
def test_files_in_no_record(rendered: Path, deep: bool) -> None:
    for name in (*UNKNOWN, *KEPT):
        (rendered / name).parent.mkdir(parents=True, exist_ok=True)
        (rendered / name).write_bytes(b"{}")
    found = verify_set(rendered, deep=deep, workers=2)
    assert {problem.kind for problem in found} == {"unknown"}
    assert {problem.path: problem.detail for problem in found} == UNKNOWN
    assert verdict(Path("SET"), found) == "9 file(s) in SET are in no record: remove them."


def test_a_name_that_is_not_utf8_can_be_shown(rendered: Path) -> None:
    (rendered / os.fsdecode(b"\xe9.wav")).write_bytes(b"words")
    assert [problem.path for problem in verify_set(rendered)] == ["\\xe9.wav"]


@pytest.mark.parametrize("name", ["train-000000", "train-000000/s1.wav"])
def test_links_out_of_the_set(rendered: Path, name: str) -> None:
    (rendered / name).rename(rendered.parent / "elsewhere")
    (rendered / name).symlink_to(rendered.parent / "elsewhere")
    found = verify_set(rendered)
    assert {problem.detail for problem in found} == {"a link leads out of the set: remove the link"}
    assert all(problem.path.startswith(name) for problem in found)


@pytest.mark.parametrize("wrong", ["wav24", "wav_float", "flac16"])
def test_a_wrong_format_in_the_header(rendered: Path, wrong: str) -> None:
    _edit_rows(rendered, lambda rows: rows[0].update(format=wrong))
    words = f"{wrong} in its header, which train-000000/mixture.wav is not: remove rendered.jsonl"
    with pytest.raises(InputError, match=words):
        verify_set(rendered)


def test_a_damaged_line_of_the_record(rendered: Path) -> None:
    path = rendered / "rendered.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*lines[:5], "{\n", *lines[6:]]))
    words = (
        r"rendered\.jsonl line 6 is not valid JSON .*`mixgen render` with the set's manifest makes"
    )
    with pytest.raises(InputError, match=words):
        verify_set(rendered)


def test_a_file_of_another_format_is_in_no_record(rendered: Path) -> None:
    (rendered / "train-000000/s1.flac").write_bytes(b"words")
    (problem,) = verify_set(rendered)
    assert (problem.path, problem.kind) == ("train-000000/s1.flac", "unknown")


def test_verdict_says_what_helps() -> None:
    gone, unknown = Problem("a/s1.wav", "missing", ""), Problem("b", "unknown", "")
    repairs = "file(s) of SET are not as recorded: `mixgen render` with its manifest repairs them"
    assert verdict(Path("SET"), [gone]) == f"1 {repairs}."
    more = [Problem("a/s2.wav", "missing", ""), Problem("a/s2.wav", "altered", "")]
    assert verdict(Path("SET"), [gone, unknown, *more]) == (
        f"2 {repairs}; 1 file(s) in SET are in no record: remove them."
    )
    record = verdict(Path("SET"), [Problem("a", "misrecorded", ""), Problem("b", "unchecked", "")])
    assert record.startswith("1 file(s) of SET have a wrong record: remove rendered.jsonl and run")
    unread = verdict(Path("SET"), [Problem("a", "unreadable", "")])
    assert unread.startswith("1 file(s) or folder(s) of SET cannot be read")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "is empty"),
        ("{\n", "line 1 is not valid JSON"),
        ("{}\n", "line 1 is not valid"),
        ('{"manifest_sha256": "0", "format": "mp3", "created_by": {}}\n', "not valid: format"),
    ],
)
def test_broken_record(rendered: Path, content: str, words: str) -> None:
    (rendered / "rendered.jsonl").write_text(content)
    with pytest.raises(InputError, match=words):
        verify_set(rendered)


def test_unfinished_set(rendered: Path) -> None:
    (rendered / "rendered.jsonl").unlink()
    with pytest.raises(InputError, match=r"has no rendered\.jsonl: run `mixgen render` to finish"):
        verify_set(rendered)


def test_no_set_at_all(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is not a rendered set \(no manifest\.jsonl\)"):
        verify_set(tmp_path)
