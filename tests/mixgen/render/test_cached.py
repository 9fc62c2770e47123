"""Rendering and training with a cache of decoded files: the same samples, the same refusals."""

import json
import os
import shutil
from pathlib import Path
from typing import NoReturn

import pytest

import mixgen.audio.cache
from baselines.training.data import RecordExamples
from mixgen.audio import decoded
from mixgen.corpora import roots
from mixgen.manifest.file import Manifest
from mixgen.render.set import render_set
from tests.mixgen.conftest import Contents, Corpus, RenderTo, RunMixgen


@pytest.fixture(autouse=True)
def nothing_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget what earlier tests have read."""
    monkeypatch.delenv("MIXGEN_CACHE", raising=False)
    decoded.read_header.cache_clear()
    decoded._block.cache_clear()
    mixgen.audio.cache._cache_of_process.cache_clear()


def no_decoding(*_: object, **__: object) -> NoReturn:
    """Stand for every way to decode a file."""
    raise AssertionError("a file is decoded")


def forbid_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("read_audio", "read_excerpt"):
        monkeypatch.setattr(mixgen.audio.cache, name, no_decoding)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_set_is_the_same_with_a_cache(
    workers: int,
    render_to: RenderTo,
    contents: Contents,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plain, cold, warm = (tmp_path / name for name in ("plain", "cold", "warm"))
    render_to(plain)
    render_to(cold, cache=tmp_path / "cache", workers=workers)
    if workers == 1:
        forbid_decoding(monkeypatch)
    render_to(warm, cache=tmp_path / "cache", workers=workers)
    assert contents(plain) == contents(cold) == contents(warm)
    assert len(list((tmp_path / "cache").glob("libsndfile-*/??/*"))) > 3


def test_index_fills_a_cache_for_render(
    corpus: Corpus,
    drawn: tuple[Path, Manifest],
    mixgen: RunMixgen,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = tmp_path / "cache"
    for name, root in corpus.roots.items():
        kind = {"songs": "music", "noise": "noise"}.get(name, "speech")
        files = sum(row.corpus == name for row in corpus.rows)
        words = ["index", "folder", root, "--kind", kind, "--out", tmp_path / f"{name}.csv"]
        answer = mixgen(*words, "--cache", folder, "--workers", 1)
        assert f"Decoded in {folder}: {files}." in answer.out
        asked = mixgen(*words, "--cache", folder, "--workers", 1, "--json")
        assert json.loads(asked.out)["decoded"] == files
    forbid_decoding(monkeypatch)
    words = ["render", drawn[0], "--out", tmp_path / "set", "--workers", 1]
    assert mixgen(*words, "--cache", folder).exit_code == 0
    monkeypatch.setenv("MIXGEN_CACHE", str(folder))
    assert mixgen(*words[:3], tmp_path / "again", *words[4:]).exit_code == 0


def test_responses_are_not_stored(roomy: Corpus, mixgen: RunMixgen, tmp_path: Path) -> None:
    words = ["index", "folder", roomy.roots["rooms"], "--kind", "rir"]
    mixgen(*words, "--out", tmp_path / "rooms.csv", "--cache", tmp_path / "cache", "--workers", 1)
    assert list((tmp_path / "cache").iterdir()) == []


def test_only_altered_sources_are_refused(
    corpus: Corpus, drawn: tuple[Path, Manifest], tmp_path: Path
) -> None:
    copies = {name: tmp_path / name for name in corpus.roots}
    for name, root in corpus.roots.items():
        shutil.copytree(root, copies[name])
    manifest, cache = tmp_path / "manifest.jsonl", tmp_path / "cache"
    shutil.copy(drawn[0], manifest)
    render_set(manifest, tmp_path / "first", roots=copies, cache=cache)
    used = drawn[1].mixtures[0].sources[0].events[0]
    path = copies[used.corpus] / used.path
    os.utime(path, (1, 1))  # the same content
    assert render_set(manifest, tmp_path / "second", roots=copies, cache=cache).failures == []
    path.write_bytes(path.read_bytes() + b"\0")
    failures = dict(render_set(manifest, tmp_path / "third", roots=copies, cache=cache).failures)
    assert "is not the file that the manifest was drawn from" in failures[drawn[1].mixtures[0].id]
    path.unlink()
    failures = dict(render_set(manifest, tmp_path / "fourth", roots=copies, cache=cache).failures)
    assert "does not exist" in failures[drawn[1].mixtures[0].id]


def test_a_source_is_hashed_again_where_the_cache_is_damaged(
    corpus: Corpus, drawn: tuple[Path, Manifest], tmp_path: Path
) -> None:
    copies = {name: tmp_path / name for name in corpus.roots}
    for name, root in corpus.roots.items():
        shutil.copytree(root, copies[name])
    cache = tmp_path / "cache"
    render_set(drawn[0], tmp_path / "first", roots=copies, cache=cache)
    used = drawn[1].mixtures[0].sources[0].events[0]
    path = copies[used.corpus] / used.path
    status = path.stat()
    path.write_bytes(path.read_bytes()[:-1] + b"\1")  # as a disk does that fails
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    (stored,) = cache.glob(f"*/*/{used.sha256}")
    stored.write_bytes(stored.read_bytes()[:-1])
    decoded.read_header.cache_clear()
    decoded._block.cache_clear()
    roots._sha256_of.cache_clear()
    failures = dict(render_set(drawn[0], tmp_path / "again", roots=copies, cache=cache).failures)
    assert "is not the file that the manifest was drawn from" in failures[drawn[1].mixtures[0].id]


def test_an_unchanged_source_is_not_hashed_again(
    render_to: RenderTo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    render_to(tmp_path / "cold", cache=tmp_path / "cache")
    roots._sha256_of.cache_clear()
    monkeypatch.setattr(roots, "sha256_file", no_decoding)
    render_to(tmp_path / "warm", cache=tmp_path / "cache")


def test_training_examples_use_the_cache_of_the_environment(
    corpus: Corpus,
    drawn: tuple[Path, Manifest],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MIXGEN_CACHE", str(tmp_path / "cache"))
    examples = RecordExamples(drawn[1], corpus.roots, "train", segment_s=0.5, seed=0)
    first = [examples.example(index) for index in range(8)]
    forbid_decoding(monkeypatch)
    again = [examples.example(index) for index in range(8)]
    monkeypatch.undo()
    monkeypatch.delenv("MIXGEN_CACHE", raising=False)
    plain = RecordExamples(drawn[1], corpus.roots, "train", segment_s=0.5, seed=0)
    assert plain.cache is None
    for index, examples_of_index in enumerate(zip(first, again, strict=True)):
        expected = plain.example(index)
        for example in examples_of_index:
            assert (example["mixture"] == expected["mixture"]).all()
            assert (example["references"] == expected["references"]).all()
