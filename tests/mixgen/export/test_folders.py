"""What holds for every export to a folder of tables: whole or not at all, and never over others."""

import errno
import itertools
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from mixgen.core.errors import InputError, UsageError
from mixgen.core.files import read_jsonl, sha256_file
from mixgen.core.registry import names_in
from mixgen.corpora.roots import write_roots
from mixgen.export import exporter
from mixgen.export.exporter import Export, exporters
from tests.mixgen.conftest import Contents, Corpus, RunMixgen
from tests.mixgen.export.conftest import AWKWARD, ExportKind

FORMATS = ("asteroid", "huggingface", "lhotse", "speechbrain")
every_format = pytest.mark.parametrize("to", FORMATS)
EXPORTERS = [name for name in names_in("mixgen.export") if name != "exporter"]


@pytest.fixture
def own_set(sets: dict[str, Path], tmp_path: Path) -> Path:
    """A copy of the noisy set, to damage."""
    return Path(shutil.copytree(sets["noisy"], tmp_path / AWKWARD))


@every_format
def test_the_same_export_again_gives_the_same_bytes(
    export_kind: ExportKind, contents: Contents, to: str
) -> None:
    before = contents(export_kind("noisy", to))
    assert contents(export_kind("noisy", to)) == before
    assert len(before) >= 3


@every_format
def test_export_json_says_what_it_is_of(
    export_kind: ExportKind, sets: dict[str, Path], to: str
) -> None:
    header = json.loads((export_kind("noisy", to, split="test") / "export.json").read_text())
    assert header["schema"] == f"{to}/1"
    assert (header["split"], header["paths"]) == ("test", "absolute")
    assert header["set_sha256"] == sha256_file(sets["noisy"] / "rendered.jsonl")


@every_format
def test_one_split(export_kind: ExportKind, contents: Contents, to: str, tmp_path: Path) -> None:
    both = contents(export_kind("noisy", to, out=tmp_path / "both"))
    test = contents(export_kind("noisy", to, out=tmp_path / "test", split="test"))
    of_test = {name: content for name, content in test.items() if "test" in name}
    assert of_test
    assert {name: both[name] for name in of_test} == of_test
    assert not any("train" in name for name in test)


@every_format
def test_an_error_in_the_middle_leaves_nothing(
    export_kind: ExportKind, to: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = exporter.rendered_mixtures

    def interrupted(*arguments: Any) -> Any:
        yield from itertools.islice(whole(*arguments), 3)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(f"mixgen.export.{to}.rendered_mixtures", interrupted)
        with pytest.raises(KeyboardInterrupt):
            export_kind("noisy", to)
    assert list(tmp_path.iterdir()) == []
    before = export_kind("noisy", to)
    with monkeypatch.context() as patch:
        patch.setattr(f"mixgen.export.{to}.rendered_mixtures", interrupted)
        with pytest.raises(KeyboardInterrupt):
            export_kind("noisy", to)
    assert list(tmp_path.iterdir()) == [before]
    assert (before / "export.json").is_file()


@every_format
def test_other_files_are_not_replaced(export_kind: ExportKind, to: str, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    for out in (tmp_path / "mine", tmp_path / "mine" / "notes.txt"):
        with pytest.raises(UsageError, match="is in use and holds no export: give another --out"):
            export_kind("noisy", to, out=out)
    assert (tmp_path / "mine" / "notes.txt").read_text() == "mine"
    (tmp_path / "empty").mkdir()
    export_kind("noisy", to, out=tmp_path / "empty")


@every_format
def test_another_export_is_not_replaced(
    export_kind: ExportKind, to: str, tmp_path: Path, contents: Contents
) -> None:
    other = next(name for name in FORMATS if name != to)
    before = contents(export_kind("noisy", to, out=tmp_path / "out"))
    for kind, format_name, options in (
        ("clean", to, {}),
        ("noisy", other, {}),
        ("noisy", to, {"split": "test"}),
    ):
        with pytest.raises(InputError, match="holds an export of another set, format, split or"):
            export_kind(kind, format_name, out=tmp_path / "out", **options)
    assert contents(tmp_path / "out") == before


@every_format
def test_what_is_no_whole_set_is_refused(
    own_set: Path, to: str, tmp_path: Path, export_kind: ExportKind
) -> None:
    out = tmp_path / "out"

    def refuses(words: str, **options: Any) -> None:
        with pytest.raises(InputError, match=words):
            export_kind("noisy", to, out=out, **{"source": own_set, **options})
        assert not out.exists()

    refuses(
        "is a manifest that has to be rendered: run `mixgen render",
        source=own_set / "manifest.jsonl",
    )
    refuses("has no mixture of the split 'dev'", split="dev")
    rendered, manifest = own_set / "rendered.jsonl", own_set / "manifest.jsonl"
    lines = rendered.read_text().splitlines(keepends=True)
    rendered.write_text("".join(lines[:-1]))
    refuses("lacks files of mixture .*: run `mixgen render`")
    rendered.write_text("".join(lines))
    text = manifest.read_text()
    manifest.write_text(text.replace('"seed": ', '"seed": 1', 2))
    refuses("is not the one that its files were rendered from")
    manifest.write_text(text)
    rendered.unlink()
    refuses(r"has no rendered\.jsonl: run `mixgen render` to finish the set")


@every_format
def test_a_split_that_leads_out_of_the_folder_is_refused(
    own_set: Path, to: str, tmp_path: Path, export_kind: ExportKind
) -> None:
    """Its manifest was changed by hand, and the recorded hash with it."""
    manifest, rendered = own_set / "manifest.jsonl", own_set / "rendered.jsonl"
    manifest.write_text(manifest.read_text().replace('"split": "test"', '"split": "../../x"'))
    header, *rows = read_jsonl(rendered)
    header["manifest_sha256"] = sha256_file(manifest)
    rendered.write_text("".join(json.dumps(row) + "\n" for row in (header, *rows)))
    if to == "huggingface":  # it spells the name in letters of its own
        export_kind("noisy", to, source=own_set)
        return
    with pytest.raises(InputError, match="is not allowed: give a relative path"):
        export_kind("noisy", to, source=own_set, out=tmp_path / "out" / "deep")
    assert not list(tmp_path.rglob("x*"))


@every_format
def test_a_folder_that_is_not_utf8_is_refused(
    own_set: Path, to: str, export_kind: ExportKind, tmp_path: Path
) -> None:
    moved = own_set.rename(tmp_path / "\udcff")
    with pytest.raises(InputError, match="is not UTF-8, and the export would name it"):
        export_kind("noisy", to, source=moved)


@every_format
def test_a_full_disk_is_one_sentence(
    mixgen: RunMixgen,
    sets: dict[str, Path],
    to: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*_: Any) -> Any:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("mixgen.export.exporter.TextFiles._open", full)
    answer = mixgen("export", sets["noisy"], "--to", to, "--out", tmp_path / "out")
    assert answer.exit_code == 6
    assert "error: No space left on the disk while writing" in answer.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("to", sorted(set(EXPORTERS) - {"lhotse", "speechbrain"}))
def test_relative_paths_are_refused_where_nothing_is_relative(
    mixgen: RunMixgen, sets: dict[str, Path], tmp_path: Path, to: str
) -> None:
    words = ("export", sets["noisy"], "--to", to, "--out", tmp_path / "out")
    answer = mixgen(*words, "--paths", "relative")
    assert answer.exit_code == 2
    assert f"{to} takes no --paths relative: leave it out (the formats that take" in answer.err
    assert "lhotse, speechbrain)." in answer.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("given", [(), ("SET",), ("SET", "--out", "OUT")])
def test_without_a_format_it_lists_them(
    mixgen: RunMixgen, sets: dict[str, Path], tmp_path: Path, given: tuple[str, ...]
) -> None:
    words = [{"SET": sets["noisy"], "OUT": tmp_path / "out"}.get(word, word) for word in given]
    answer = mixgen("export", *words)
    assert (answer.exit_code, answer.out) == (2, "")
    head, *lines, last = answer.err.splitlines()
    assert head.split() == ["format", "what", "it", "writes", "example"]
    assert [line.split()[0] for line in lines] == sorted(EXPORTERS)
    for entry, line in zip(exporters().values(), lines, strict=True):
        assert entry.summary in line
        assert line.endswith(entry.example)
    assert last == "error: Say with --to which of these formats to write."
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("given", [(), ("SET",), ("--out", "OUT")])
def test_a_format_needs_a_set_and_a_place(
    mixgen: RunMixgen, sets: dict[str, Path], tmp_path: Path, given: tuple[str, ...]
) -> None:
    words = [{"SET": sets["noisy"], "OUT": tmp_path / "out"}.get(word, word) for word in given]
    answer = mixgen("export", "--to", "lhotse", *words)
    assert answer.exit_code == 2
    assert "Say which set to export, and with --out where to: mixgen export sets/" in answer.err


@pytest.mark.parametrize("to", EXPORTERS)
def test_every_example_runs(
    mixgen: RunMixgen,
    corpus: Corpus,
    sets: dict[str, Path],
    tmp_path: Path,
    to: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With roots.json beside the manifest, where `mixgen draw` writes it."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(sets["clean"], "sets/speech")
    shutil.copy("sets/speech/manifest.jsonl", "sets/speech.jsonl")
    write_roots(Path("sets"), corpus.roots)
    program, *words = exporters()[to].example.split()
    assert program == "mixgen"
    assert words[words.index("--to") + 1] == to
    answer = mixgen(*words, "--workers", 1)
    assert answer.exit_code == 0, answer.err
    assert Path(words[words.index("--out") + 1]).exists()


@every_format
def test_memory_does_not_grow_with_the_set(own_set: Path, to: str, export_kind: ExportKind) -> None:
    """Mixtures come one at a time, and at most two are in memory."""
    alive, most = 0, 0
    real = exporter.RenderedMixture

    class Counted(real):  # type: ignore[misc, valid-type]
        def __init__(self, *values: Any) -> None:
            nonlocal alive, most
            super().__init__(*values)
            alive += 1
            most = max(most, alive)

        def __del__(self) -> None:
            nonlocal alive
            alive -= 1

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exporter, "RenderedMixture", Counted)
        patch.setattr(Export, "mixtures", None)
        export_kind("noisy", to, source=own_set)
    assert (most, alive) in ((1, 0), (2, 0))
