"""Sets in the tree of a published layout: interrupted, repaired, verified, used."""

import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest

import mixgen.render.exact
from baselines.training.mixing import allows_dynamic_mixing
from mixgen.core.errors import InputError, UsageError
from mixgen.core.files import sha256_file
from mixgen.dataset import ManifestDataset, RenderedDataset
from mixgen.manifest.file import read_manifest
from mixgen.published.librimix import import_librimix
from mixgen.published.render import render_in_layout
from mixgen.published.wsj0_mix import import_wsj0mix
from mixgen.report import make_report
from mixgen.sets.rendered import load_set, open_rendered, sets_in
from mixgen.verify.set import verify_set
from tests.conftest import Signalled
from tests.mixgen.conftest import Contents, RunMixgen
from tests.mixgen.published.conftest import StandIn


@pytest.fixture(scope="module")
def manifest(librimix: StandIn, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All twelve variants of three mixtures of Libri2Mix."""
    out = tmp_path_factory.mktemp("manifest") / "M.jsonl"
    import_librimix([librimix.lists[0]], librimix.roots["speech"], out, librimix.roots["noise"])
    return out


@pytest.fixture(scope="module")
def tree(manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The official tree of the manifest."""
    out = tmp_path_factory.mktemp("tree") / "out"
    render_in_layout(manifest, out, "librimix")
    return out


def test_a_file_of_several_variants_is_written_once(manifest: Path, tmp_path: Path) -> None:
    outcome = render_in_layout(manifest, tmp_path / "out", "librimix")
    files = list((tmp_path / "out").rglob("*.wav"))
    assert outcome.written == outcome.in_place == len(files) == 3 * 4 * 6
    again = render_in_layout(manifest, tmp_path / "out", "librimix")
    assert (again.written, again.in_place) == (0, len(files))


def test_any_number_of_workers_writes_the_same_bytes(
    manifest: Path, tree: Path, tmp_path: Path, contents: Contents
) -> None:
    render_in_layout(manifest, tmp_path / "out", "librimix", workers=2)
    found, expected = contents(tmp_path / "out"), contents(tree)
    assert found.keys() == expected.keys()
    tables = {path for path in found if path.endswith(".csv")}
    assert {p: found[p] for p in found.keys() - tables} == {
        p: expected[p] for p in found.keys() - tables
    }


def test_a_killed_run_is_finished_without_doing_anything_again(
    manifest: Path,
    tree: Path,
    tmp_path: Path,
    contents: Contents,
    signalled: Signalled,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("mixgen.render.journal.BLOCK", 1)
    out = tmp_path / "out"
    tree_of_files = out / "Libri2Mix"  # without the scratch folder, whose files come and go
    words = ["mixgen", "render", manifest, "--out", out, "--layout", "librimix"]
    code, _ = signalled(
        words, signal.SIGKILL, to_all=True, when=lambda: next(tree_of_files.rglob("*.wav"), None)
    )
    assert code == -signal.SIGKILL
    before = {path: path.stat().st_mtime_ns for path in tree_of_files.rglob("*.wav")}
    assert before
    (records,) = (out / ".sets").iterdir()
    (records / ".scratch.1-of-1").mkdir(exist_ok=True)
    (records / ".scratch.1-of-1/.tmp.123.a.wav").write_bytes(b"half a file")
    (records / ".tmp.123.rendered.jsonl").write_bytes(b"half a file")
    (records / ".scratch").mkdir(exist_ok=True)
    (records / ".scratch/.tmp.123.mixture.csv").write_bytes(b"half a file")
    render_in_layout(manifest, out, "librimix")
    assert verify_set(out, deep=True) == []
    assert {path: path.stat().st_mtime_ns for path in before} == before
    relative = {p: c for p, c in contents(out).items() if not p.endswith(".csv")}
    assert relative == {p: c for p, c in contents(tree).items() if not p.endswith(".csv")}


def test_tables_that_are_not_finished_are_not_among_the_files(
    manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, replace = tmp_path / "out", os.replace
    moved: list[Path] = []

    def note(source: Path, to: Path) -> None:
        moved.append(source)
        replace(source, to)

    monkeypatch.setattr("mixgen.core.files.os.replace", note)
    render_in_layout(manifest, out, "librimix")
    tables = list(out.rglob("metadata/*.csv"))
    assert len(tables) == sum(path.suffix == ".csv" for path in moved) > 0
    assert not any(path.is_relative_to(out / "Libri2Mix") for path in moved)
    assert list(out.rglob(".scratch*")) == []


def test_verify_finds_what_is_wrong_anywhere_in_a_tree_and_render_repairs_it(
    manifest: Path, tree: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    shutil.copytree(tree, out)
    folder = out / "Libri2Mix/wav16k/max/test"
    gone, altered = sorted((folder / "s1").iterdir())[:2]
    gone.unlink()
    altered.write_bytes(altered.read_bytes()[:-2])
    (folder / "s2/mine.wav").write_bytes(b"")
    found = {(Path(p.path).name, p.kind) for p in verify_set(out)}
    assert found == {(gone.name, "missing"), (altered.name, "altered"), ("mine.wav", "unknown")}
    assert render_in_layout(manifest, out, "librimix").written == 2
    (folder / "s2/mine.wav").unlink()
    assert verify_set(out, deep=True) == []


@pytest.mark.parametrize("workers", [1, 3])
def test_verify_reads_a_file_of_several_variants_and_sets_once(
    manifest: Path,
    librimix: StandIn,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    workers: int,
) -> None:
    """Variants of one manifest share `s1`, and so do those of another in the same tree."""
    out, other = tmp_path / "out", tmp_path / "other.jsonl"
    chosen = {"types": ["mix_clean"], "mode": ["min"]}
    import_librimix(
        [librimix.lists[0]], librimix.roots["speech"], other, librimix.roots["noise"], **chosen
    )
    for path in (manifest, other):
        render_in_layout(path, out, "librimix")
    assert len(sets_in(out)) == 2
    read: list[Path] = []

    def counted(path: Path) -> str:
        read.append(path)
        return sha256_file(path)

    monkeypatch.setattr("mixgen.verify.set.sha256_file", counted)
    assert verify_set(out, workers=workers) == []
    assert sorted(read) == sorted(out.rglob("*.wav"))
    shared = out / "Libri2Mix/wav8k/min/test/s1"
    altered = sorted(shared.iterdir())[0]
    altered.write_bytes(altered.read_bytes()[:-2])
    found = [problem for problem in verify_set(out, workers=workers) if problem.kind == "altered"]
    name = altered.relative_to(out).as_posix()
    assert [problem.path for problem in found] == [name] * (3 + 1)  # types, and the other set


def test_corpora_beside_a_tree_are_not_searched(tree: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(tree, out)
    shutil.copytree(out / "Libri2Mix/wav8k", out / "LibriSpeech/wav8k")
    assert verify_set(out) == []


def test_a_native_set_and_trees_may_be_in_one_folder(
    manifest: Path, wsj0mix: StandIn, tmp_path: Path
) -> None:
    other = tmp_path / "W.jsonl"
    roots = wsj0mix.roots
    import_wsj0mix([wsj0mix.lists[0]], roots["activlev"], roots["wsj0"], other)
    render_in_layout(manifest, tmp_path / "out")
    render_in_layout(manifest, tmp_path / "out", "librimix")
    render_in_layout(other, tmp_path / "out", "wsj0mix")
    assert len(sets_in(tmp_path / "out")) == 3
    assert verify_set(tmp_path / "out", deep=True) == []
    (tmp_path / "out/2speakers/wav8k/x.wav").write_bytes(b"")
    (tmp_path / "out/y.wav").write_bytes(b"")
    unknown = {problem.path for problem in verify_set(tmp_path / "out")}
    assert unknown == {"2speakers/wav8k/x.wav", "y.wav"}


def test_native_and_official_files_hold_the_same(
    manifest: Path, tree: Path, tmp_path: Path
) -> None:
    render_in_layout(manifest, tmp_path / "out")
    official = load_set(tree)
    native = load_set(tmp_path / "out")
    for mixture in native.mixtures():
        for name in mixture.file_names:
            ours = (native.root / native.file_path(mixture, name)).read_bytes()
            assert ours == (official.root / official.file_path(mixture, name)).read_bytes()


def test_a_set_in_a_tree_is_read_like_any_other(manifest: Path, tree: Path, tmp_path: Path) -> None:
    (records,) = sets_in(tree)
    from_files, in_memory = RenderedDataset(records), ManifestDataset(manifest)
    for index in (0, 7):
        np.testing.assert_array_equal(from_files[index].mixture, in_memory[index].mixture)
        np.testing.assert_array_equal(from_files[index].references, in_memory[index].references)
    page = make_report(tree, tmp_path / "report", examples=1)
    assert "4077-13754-0001" in page.read_text()


def test_a_folder_of_several_sets_has_to_be_named(
    tree: Path, wsj0mix: StandIn, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    shutil.copytree(tree, out)
    roots = wsj0mix.roots
    import_wsj0mix([wsj0mix.lists[0]], roots["activlev"], roots["wsj0"], tmp_path / "W.jsonl")
    render_in_layout(tmp_path / "W.jsonl", out, "wsj0mix")
    with pytest.raises(InputError, match=r"holds 2 sets: give the folder of one, such as"):
        load_set(out)
    assert len(load_set(sets_in(out)[0]).mixtures()) in (12, 36)


def test_levels_are_measured_on_request(tree: Path, manifest: Path, tmp_path: Path) -> None:
    (records,) = sets_in(tree)
    first = next(row for row in open_rendered(records) if row.name == "s1")
    assert first.measured.keys() == {"energy_ratio_db"}
    render_in_layout(manifest, tmp_path / "out", "librimix", measures=True)
    rows = list(open_rendered(sets_in(tmp_path / "out")[0]))
    measured = next(row for row in rows if row.name == "s1").measured
    assert measured.keys() == {"energy_ratio_db", "level_db"}
    assert measured["energy_ratio_db"] == first.measured["energy_ratio_db"]
    assert measured["level_db"] == pytest.approx(-30, abs=15)
    assert next(row for row in rows if row.name == "mixture").measured["overlap"] > 0.3
    assert verify_set(tmp_path / "out", deep=True) == []


def test_sources_are_read_once_for_all_variants(
    manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    original = mixgen.render.exact.read_event

    def counted(event, *rest, **options):  # type: ignore[no-untyped-def]
        read.append(event.path)
        return original(event, *rest, **options)

    monkeypatch.setattr("mixgen.render.exact.read_event", counted)
    render_in_layout(manifest, tmp_path / "out", "librimix")
    assert len(read) == 3 * 3


def test_shards_finish_a_tree(manifest: Path, tree: Path, tmp_path: Path) -> None:
    for shard in ((1, 2), (2, 2)):
        render_in_layout(manifest, tmp_path / "out", "librimix", shard=shard)
    assert verify_set(tmp_path / "out") == []
    names = {path.name for path in (tmp_path / "out").rglob("*.csv")}
    assert names == {path.name for path in tree.rglob("*.csv")}


def test_a_layout_belongs_to_its_set(manifest: Path, tmp_path: Path, mixgen: RunMixgen) -> None:
    with pytest.raises(UsageError, match=r"no layout 'librimx'.*Did you mean 'librimix'"):
        render_in_layout(manifest, tmp_path / "out", "librimx")
    answer = mixgen("render", manifest, "--out", tmp_path / "out", "--layout", "wsj0mix")
    assert answer.exit_code == 3
    assert "give --layout librimix or native" in answer.err
    assert not (tmp_path / "out").exists()


def test_a_link_out_of_the_tree_is_not_followed(manifest: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    folder = tmp_path / "out/Libri2Mix/wav8k/min/test"
    folder.mkdir(parents=True)
    (folder / "s1").symlink_to(tmp_path / "elsewhere")
    outcome = render_in_layout(manifest, tmp_path / "out", "librimix")
    assert len(outcome.failures) == 3 * 3
    assert "leads out of" in outcome.failures[0][1]
    assert not list((tmp_path / "elsewhere").iterdir())


def test_scaper_cannot_render_the_records(
    manifest: Path, tmp_path: Path, mixgen: RunMixgen
) -> None:
    answer = mixgen("export", manifest, "--to", "jams", "--out", tmp_path / "jams")
    assert answer.exit_code == 3
    assert "is computed as the script of a published set does" in answer.err


def test_records_are_not_mixed_anew(manifest: Path) -> None:
    assert not allows_dynamic_mixing(read_manifest(manifest).mixtures[:1])


def test_importing_again_gives_the_same_manifest(
    manifest: Path, librimix: StandIn, tmp_path: Path
) -> None:
    out = tmp_path / "M.jsonl"
    out.write_text("what was here is replaced")
    import_librimix([librimix.lists[0]], librimix.roots["speech"], out, librimix.roots["noise"])
    assert out.read_bytes() == manifest.read_bytes()
    assert read_manifest(out).sha256 == read_manifest(manifest).sha256
