"""Sets that were broken off or damaged: what is recorded stays, what is not is made again."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mixgen.core.files import sha256_file
from mixgen.manifest.mixture import Mixture
from mixgen.render.mixture import render
from mixgen.render.rendering import Rendering
from mixgen.verify.set import verify_set
from tests.mixgen.conftest import Contents, RenderTo


def _blocks(folder: Path) -> Path:
    manifest = sha256_file(folder / "manifest.jsonl")
    return folder / ".rendering" / manifest[:16] / "flac16"


def _files(folder: Path) -> dict[str, tuple[int, int]]:
    return {
        str(path): (path.stat().st_mtime_ns, path.stat().st_ino) for path in folder.glob("*/*.*")
    }


@pytest.mark.usefixtures("small_blocks")
def test_blocks_in_the_ledger_are_not_rendered_again(
    render_to: RenderTo,
    tmp_path: Path,
    contents: Contents,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    render_to(tmp_path)
    whole, files = contents(tmp_path), _files(tmp_path)
    lines = (tmp_path / "rendered.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "rendered.jsonl").unlink()
    for number, start in (("000000", 1), ("000002", 17)):
        block = _blocks(tmp_path) / f"block-{number}.jsonl"
        block.parent.mkdir(parents=True, exist_ok=True)
        block.write_text("".join(lines[start : start + 8]))
    made = []

    def note(mixture: Mixture, *rest: Any) -> Rendering:
        made.append(mixture.id)
        return render(mixture, *rest)

    monkeypatch.setattr("mixgen.render.block.render", note)
    outcome = render_to(tmp_path)
    assert made == ["train-000002", "train-000003", "test-000001"]
    assert (outcome.written, outcome.in_place) == (0, 28)
    assert contents(tmp_path) == whole
    assert _files(tmp_path) == files


def _cut(lines: list[str]) -> None:
    lines[-1] = lines[-1][:50]


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize(
    "damage",
    [
        _cut,
        lambda lines: lines.append(lines[1]),
        lambda lines: lines.append("words\n"),
        lambda lines: lines.insert(1, lines[-1]),
        lambda lines: lines.__delitem__(slice(5, 9)),
        lambda lines: lines.__setitem__(slice(1, None), [*lines[9:], *lines[1:9]]),
        lambda lines: lines.__setitem__(0, "{}\n"),
        lambda lines: lines.clear(),
    ],
)
def test_a_damaged_record_alone_is_made_again(
    render_to: RenderTo,
    tmp_path: Path,
    contents: Contents,
    damage: Callable[[list[str]], None],
) -> None:
    render_to(tmp_path)
    whole, files = contents(tmp_path), _files(tmp_path)
    record = tmp_path / "rendered.jsonl"
    lines = record.read_text().splitlines(keepends=True)
    damage(lines)
    record.write_text("".join(lines))
    assert render_to(tmp_path).written == 0
    assert contents(tmp_path) == whole
    assert _files(tmp_path) == files
    assert verify_set(tmp_path, deep=True) == []


@pytest.mark.usefixtures("small_blocks")
def test_damaged_ledger_counts_for_nothing(
    render_to: RenderTo, tmp_path: Path, contents: Contents
) -> None:
    render_to(tmp_path / "one")
    for index in (1, 2):
        render_to(tmp_path / "parts", shard=(index, 3))
    (_blocks(tmp_path / "parts") / "block-000000.jsonl").write_text('{"id": 1}\n')
    (tmp_path / "parts" / "train-000001" / "s1.flac").unlink()
    render_to(tmp_path / "parts", shard=(3, 3))
    assert not (tmp_path / "parts" / "rendered.jsonl").exists()
    assert render_to(tmp_path / "parts").written == 1
    assert contents(tmp_path / "parts") == contents(tmp_path / "one")


@pytest.mark.usefixtures("small_blocks")
def test_a_shard_repairs_its_part_of_a_whole_set(
    render_to: RenderTo, tmp_path: Path, contents: Contents
) -> None:
    render_to(tmp_path)
    whole = contents(tmp_path)
    for name in ("train-000000", "train-000002"):
        (tmp_path / name / "s1.flac").unlink()
    assert render_to(tmp_path, shard=(1, 4)).written == 1
    assert [problem.path for problem in verify_set(tmp_path)] == ["train-000002/s1.flac"]
    assert render_to(tmp_path, shard=(2, 4)).written == 1
    assert contents(tmp_path) == whole


@pytest.mark.usefixtures("small_blocks")
def test_another_format_takes_nothing_from_an_unfinished_set(
    render_to: RenderTo, tmp_path: Path, contents: Contents
) -> None:
    render_to(tmp_path / "one", sample_format="wav16")
    render_to(tmp_path / "two", sample_format="wav24", shard=(1, 2))
    assert render_to(tmp_path / "two", sample_format="wav16").written == 28
    assert contents(tmp_path / "two") == contents(tmp_path / "one")


def test_a_record_of_a_file_elsewhere_does_not_stand_in(
    render_to: RenderTo, tmp_path: Path
) -> None:
    render_to(tmp_path)
    record = tmp_path / "rendered.jsonl"
    text = record.read_text()
    record.write_text(text.replace("train-000000/s1.flac", "train-000000/s2.flac"))
    (tmp_path / "train-000000/s1.flac").unlink()
    assert render_to(tmp_path).written == 1
    assert record.read_text() == text
