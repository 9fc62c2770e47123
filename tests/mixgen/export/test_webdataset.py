"""WebDataset export: read back by its library, bounded, deterministic, resumed, repaired."""

import tarfile
from pathlib import Path
from typing import Any, Protocol

import pytest

import mixgen.export.webdataset
from mixgen.core.errors import InputError
from mixgen.core.files import read_jsonl
from mixgen.draw.manifest import draw_header
from mixgen.draw.mixtures import draw_mixtures
from mixgen.export.exporter import Export
from mixgen.export.webdataset import export_webdataset
from mixgen.manifest.file import read_manifest, write_manifest
from mixgen.render.set import render_set
from mixgen.sets.rendered import open_rendered
from tests.mixgen.conftest import Contents, Corpus, MakeRecipe, RenderTo, RunMixgen

SMALL = 150_000  # bytes of a tar file with three or four of the tiny mixtures


leaves_files_open = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)


class ExportTo(Protocol):
    """Exports the tiny rendered set into a folder."""

    def __call__(self, out: Path, **options: Any) -> str: ...


@pytest.fixture
def tiny_set(render_to: RenderTo, tmp_path: Path) -> Path:
    """The tiny speech set, rendered."""
    render_to(tmp_path / "set")
    return tmp_path / "set"


@pytest.fixture
def export_to(tiny_set: Path) -> ExportTo:
    """Export the tiny set with small tar files."""
    return lambda out, **options: export_webdataset(
        Export(source=tiny_set, out=out, **{"shard_bytes": SMALL, **options})
    )


def _tars(folder: Path) -> list[Path]:
    return sorted(folder.glob("[!.]*.tar"))


@leaves_files_open
def test_the_library_reads_every_byte_back(
    export_to: ExportTo, tiny_set: Path, tmp_path: Path
) -> None:
    wds = pytest.importorskip("webdataset", reason="needs the package webdataset")
    export_to(tmp_path / "out")
    tars = _tars(tmp_path / "out")
    assert len(tars) > 2
    read = {}
    for sample in wds.WebDataset([str(path) for path in tars], shardshuffle=False).decode():
        record = sample["json"]["mixture"]
        assert sample["__key__"] == record["id"]
        read[record["id"]] = sample
    manifest = read_manifest(tiny_set / "manifest.jsonl")
    assert list(read) == sorted(manifest.by_id)
    rows = {row.path: row for row in open_rendered(tiny_set)}
    for mixture in manifest.mixtures:
        sample = read[mixture.id]
        assert sample["json"]["mixture"] == mixture.as_dict()
        assert len(sample["json"]["files"]) == len(mixture.file_names)
        for name in mixture.file_names:
            path = f"{mixture.id}/{name}.flac"
            assert sample[f"{name}.flac"] == (tiny_set / path).read_bytes()
            assert rows.pop(path).as_dict() in sample["json"]["files"]
    assert rows == {}


def test_the_list_has_every_tar_file(export_to: ExportTo, tmp_path: Path) -> None:
    sentence = export_to(tmp_path)
    header, *rows = read_jsonl(tmp_path / "shards.jsonl")
    assert header["schema"] == "webdataset/1"
    assert [row["path"] for row in rows] == [path.name for path in _tars(tmp_path)]
    assert [row["bytes"] for row in rows] == [path.stat().st_size for path in _tars(tmp_path)]
    assert sum(row["mixtures"] for row in rows) == 7
    assert sentence == f"7 mixtures in {len(rows)} tar files in {tmp_path}."


def test_members_are_nobodys(export_to: ExportTo, tmp_path: Path) -> None:
    export_to(tmp_path)
    for path in _tars(tmp_path):
        with tarfile.open(path) as tar:
            for member in tar:
                owner = (member.mtime, member.uid, member.gid, member.uname, member.gname)
                assert owner == (0, 0, 0, "", "")


@pytest.mark.parametrize("sample_format", ["flac16", "flac24", "wav16", "wav_float"])
def test_no_tar_file_is_too_large(
    corpus: Corpus, speech_recipe: MakeRecipe, tmp_path: Path, sample_format: str
) -> None:
    noise = {"name": "n", "kind": "noise", "count": 1, "event_time": ["const", 0]}
    recipe = speech_recipe(
        sources=[noise | {"labels": ["fan", "rain"]}],
        reference_db=["const", -14],
        duration={"mode": "fixed", "seconds": 1.4},
        format=sample_format,
        splits={"any": {"mixtures": 12, "sources": {}}},
    )
    path = tmp_path / "m.jsonl"
    mixtures = draw_mixtures(recipe, corpus.rows, corpus.roots)
    write_manifest(path, draw_header(recipe, corpus.rows), mixtures)
    assert render_set(path, tmp_path / "set", roots=corpus.roots).failures == []
    for shard_bytes in (200_000, 500_000):
        out = tmp_path / str(shard_bytes)
        export_webdataset(Export(source=tmp_path / "set", out=out, shard_bytes=shard_bytes))
        sizes = [tar.stat().st_size for tar in _tars(out)]
        assert max(sizes) <= shard_bytes
        assert len(sizes) > 1
    alone = tmp_path / "alone"
    export_webdataset(Export(source=tmp_path / "set", out=alone, shard_bytes=1))
    assert len(_tars(alone)) == 12  # a mixture is never divided


def test_workers_do_not_change_a_byte(
    export_to: ExportTo, tmp_path: Path, contents: Contents
) -> None:
    export_to(tmp_path / "one")
    export_to(tmp_path / "two", workers=2)
    assert contents(tmp_path / "two") == contents(tmp_path / "one")


def test_one_split(export_to: ExportTo, tmp_path: Path) -> None:
    export_to(tmp_path / "out", split="test")
    assert {path.name.split("-")[0] for path in _tars(tmp_path / "out")} == {"test"}
    with pytest.raises(InputError, match="has no mixture of the split 'dev'"):
        export_to(tmp_path / "none", split="dev")
    assert not (tmp_path / "none").exists()


def test_an_interrupted_export_goes_on(
    export_to: ExportTo, tmp_path: Path, contents: Contents, monkeypatch: pytest.MonkeyPatch
) -> None:
    export_to(tmp_path / "whole")
    out, written = tmp_path / "out", []
    write = mixgen.export.webdataset._write_shard

    def interrupted(folder: Path, out: Path, shard: Any) -> dict[str, Any]:
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(shard.name)
        return write(folder, out, shard)

    with monkeypatch.context() as patch:
        patch.setattr("mixgen.export.webdataset._write_shard", interrupted)
        with pytest.raises(KeyboardInterrupt):
            export_to(out)
    assert not (out / "shards.jsonl").exists()
    (out / ".tmp.0123456789ab.test-000000.tar").write_text("half")  # of a worker that was killed
    before = {path: path.stat().st_mtime_ns for path in _tars(out)}
    assert len(before) == 2
    export_to(out)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert contents(out) == contents(tmp_path / "whole")


def test_a_tar_file_that_was_altered_is_written_again(
    export_to: ExportTo, tmp_path: Path, contents: Contents
) -> None:
    export_to(tmp_path)
    whole = contents(tmp_path)
    altered, gone, *others = _tars(tmp_path)
    altered.write_bytes(altered.read_bytes()[:-600])
    gone.unlink()
    before = {path: path.stat().st_mtime_ns for path in others}
    export_to(tmp_path)
    assert contents(tmp_path) == whole
    assert {path: path.stat().st_mtime_ns for path in others} == before


def test_a_set_that_is_not_as_recorded(export_to: ExportTo, tiny_set: Path, tmp_path: Path) -> None:
    file = tiny_set / "train-000001" / "s2.flac"
    content = file.read_bytes()
    for damage in (lambda: file.write_bytes(content[:-1]), file.unlink):
        damage()
        with pytest.raises(InputError, match=r"s2\.flac is not as recorded: `mixgen verify` lists"):
            export_to(tmp_path / "out")
        assert not list((tmp_path / "out").glob("*.tmp*"))
        assert not (tmp_path / "out" / "shards.jsonl").exists()
    file.write_bytes(content)
    lines = (tiny_set / "rendered.jsonl").read_text().splitlines(keepends=True)
    (tiny_set / "rendered.jsonl").write_text("".join(lines[:-1]))
    with pytest.raises(InputError, match=r"lacks files of mixture .*: run `mixgen render`"):
        export_to(tmp_path / "other")


def test_a_folder_of_another_export_is_refused(export_to: ExportTo, tmp_path: Path) -> None:
    export_to(tmp_path)
    with pytest.raises(InputError, match="holds an export of another set, split or size"):
        export_to(tmp_path, shard_bytes=SMALL + 1)


@leaves_files_open
def test_dots_and_long_ids(corpus: Corpus, speech_recipe: MakeRecipe, tmp_path: Path) -> None:
    wds = pytest.importorskip("webdataset", reason="needs the package webdataset")
    recipe = speech_recipe(splits={"any": {"mixtures": 2, "sources": {}}})
    mixtures = list(draw_mixtures(recipe, corpus.rows, corpus.roots))
    ids = ["050a0501_1.7783_442o030z_-1.7783", "x" * 190 + ".y"]
    named = [m.model_copy(update={"id": name}) for m, name in zip(mixtures, ids, strict=True)]
    write_manifest(tmp_path / "m.jsonl", draw_header(recipe, corpus.rows), named)
    render_set(tmp_path / "m.jsonl", tmp_path / "set", roots=corpus.roots)
    export_webdataset(Export(source=tmp_path / "set", out=tmp_path / "out"))
    samples = list(
        wds.WebDataset(str(tmp_path / "out" / "any-000000.tar"), shardshuffle=False).decode()
    )
    assert [sample["json"]["mixture"]["id"] for sample in samples] == ids
    assert [sample["__key__"] for sample in samples] == [name.replace(".", "%2E") for name in ids]
    assert all("mixture.flac" in sample for sample in samples)


def test_the_command(mixgen: RunMixgen, tiny_set: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    answer = mixgen("export", tiny_set, "--to", "webdataset", "--out", out, "--workers", 1)
    assert answer.out == f"7 mixtures in 2 tar files in {out}.\n"
    assert [path.name for path in _tars(out)] == ["test-000000.tar", "train-000000.tar"]
    manifest = mixgen("export", tiny_set / "manifest.jsonl", "--to", "webdataset", "--out", out)
    assert manifest.exit_code == 3
    assert "is a manifest that has to be rendered: run `mixgen render " in manifest.err
    rttm = mixgen("export", tiny_set, "--to", "rttm", "--out", tmp_path / "a.rttm")
    assert rttm.exit_code == 0, rttm.err
