"""Empty, cut, missing, exchanged and altered files are findings, with and without hashes."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from mixgen.render.set import render_set
from mixgen.report import make_report
from tests.mixgen.conftest import Corpus
from tests.mixgen.report.conftest import FactsIn

Damage = Callable[[Path, str], None]


def _empty(folder: Path, suffix: str) -> None:
    (folder / f"s1.{suffix}").write_bytes(b"")


def _cut(folder: Path, suffix: str) -> None:
    path = folder / f"s1.{suffix}"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _missing(folder: Path, suffix: str) -> None:
    (folder / f"s1.{suffix}").unlink()


def _a_folder(folder: Path, suffix: str) -> None:
    _missing(folder, suffix)
    (folder / f"s1.{suffix}").mkdir()


def _no_audio(folder: Path, suffix: str) -> None:
    (folder / f"s1.{suffix}").write_bytes(b"no audio at all")


def _other_rate(folder: Path, suffix: str) -> None:
    path = folder / f"s1.{suffix}"
    samples, rate = soundfile.read(path, dtype="int16")
    soundfile.write(path, samples, 2 * rate, subtype="PCM_16")


def _link(folder: Path, suffix: str) -> None:
    path = folder / f"s1.{suffix}"
    outside = folder.parent.parent / "outside"
    path.rename(outside)
    path.symlink_to(outside)


def _exchanged(folder: Path, suffix: str) -> None:
    first, second = (folder / f"{name}.{suffix}" for name in ("s1", "s2"))
    content = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(content)


def _altered(folder: Path, suffix: str) -> None:
    path = folder / f"s1.{suffix}"
    samples, rate = soundfile.read(path, dtype="int16")
    samples[len(samples) // 2] += 1
    soundfile.write(path, samples, rate, subtype="PCM_16")


def _silenced(folder: Path, suffix: str) -> None:
    path = folder / f"s1.{suffix}"
    samples, rate = soundfile.read(path, dtype="int16")
    soundfile.write(path, np.zeros_like(samples), rate, subtype="PCM_16")


@pytest.fixture(scope="module")
def wav_set(kept_set: Path, corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny speech set as WAV."""
    folder = tmp_path_factory.mktemp("wav") / "set"
    roots = corpus.roots
    render_set(kept_set / "manifest.jsonl", folder, roots=roots, sample_format="wav16")
    return folder


def _check(folder: Path, out: Path, facts_in: FactsIn, *, hashes: bool) -> dict[str, Any]:
    make_report(folder, out, examples=1, hashes=hashes)
    facts = facts_in(out)
    assert facts["hashes_checked"] == hashes
    notes = [f["text"] for f in facts["findings"] if "Hashes were not checked" in f["text"]]
    assert len(notes) == (not hashes)
    check = facts["checks"][0]
    assert check["name"] == "files"
    errors = [f for f in facts["findings"] if "not as they were rendered" in f["text"]]
    assert [f["mixture"] for f in errors] == (["train-000002"] if check["failed"] else [])
    shown = [example["id"] for example in facts["examples"] if "files" in example["worst"]]
    assert shown == (["train-000002"] if check["failed"] else [])
    return {one["path"].partition("/")[2]: one["detail"] for one in check["worst"]}


@pytest.mark.parametrize("suffix", ["flac", "wav"])
@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (_empty, "it is empty"),
        (_cut, "cut short"),
        (_missing, "it does not exist"),
        (_a_folder, "it does not exist"),
        (_no_audio, "is not audio that can be read"),
        (_other_rate, "at 16000 Hz in 1 channel(s) instead of"),
        (_link, "a link leads out of the set"),
    ],
)
def test_sizes_and_headers_are_always_checked(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    facts_in: FactsIn,
    damage: Damage,
    words: str,
    suffix: str,
) -> None:
    source = request.getfixturevalue({"flac": "kept_set", "wav": "wav_set"}[suffix])
    folder = tmp_path / "set"
    shutil.copytree(source, folder)
    damage(folder / "train-000002", suffix)
    for hashes in (False, True):
        (name, detail), *others = _check(folder, tmp_path / "r", facts_in, hashes=hashes).items()
        assert name == f"s1.{suffix}"
        assert not others
        if damage is _cut and suffix == "flac":
            assert "cannot be decoded" in detail or "cut short" in detail
        elif damage is _cut:
            assert "instead of" in detail or "cut short" in detail
        else:
            assert words in detail
        assert str(tmp_path) not in detail


@pytest.mark.parametrize(
    ("damage", "details"),
    [
        (
            _exchanged,
            {
                "s1.flac": "it holds what was rendered as s2",
                "s2.flac": "it holds what was rendered as s1",
            },
        ),
        (_altered, {"s1.flac": "its content differs from what was rendered"}),
        (_silenced, {"s1.flac": "its content differs from what was rendered"}),
    ],
)
def test_other_content_of_the_same_length_is_found_by_hashes(
    kept_set: Path,
    tmp_path: Path,
    facts_in: FactsIn,
    damage: Damage,
    details: dict[str, str],
) -> None:
    folder = tmp_path / "set"
    shutil.copytree(kept_set, folder)
    damage(folder / "train-000002", "flac")
    assert _check(folder, tmp_path / "r", facts_in, hashes=True) == details
    assert _check(folder, tmp_path / "r", facts_in, hashes=False) == {}
