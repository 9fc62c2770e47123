"""Sets on disk: the exact sum, the same bytes however rendered, and repair of just what differs."""

import gc
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import mixgen.render.journal
import mixgen.render.set
from mixgen.audio.formats import FORMATS, SampleFormat, read_file_samples, samples_sha256
from mixgen.core.errors import InputError, MachineError, UsageError
from mixgen.core.files import sha256_file
from mixgen.core.locks import file_lock
from mixgen.core.records import Record, parse_record
from mixgen.draw.manifest import draw_header
from mixgen.draw.mixtures import draw_mixtures
from mixgen.manifest.file import Manifest, write_manifest
from mixgen.manifest.mixture import Mixture
from mixgen.render.block import BlockOutcome
from mixgen.render.journal import Block
from mixgen.render.set import LOCK_FILE, parse_shard, render_set
from mixgen.sets.rendered import RenderedSet, open_rendered
from mixgen.verify.set import verify_set
from tests.mixgen.conftest import Contents, Corpus, DrawTo, MakeRecipe, RenderTo, forbid


def _check_sums(folder: Path, sample_format: SampleFormat) -> None:
    manifest = RenderedSet(folder).manifest
    rows = {row.path: row for row in open_rendered(folder)}
    for mixture in manifest.mixtures:
        files = {}
        for name in mixture.file_names:
            path = f"{mixture.id}/{name}.{sample_format.extension}"
            samples = read_file_samples(folder / path, sample_format)
            assert samples.shape == (mixture.frames, mixture.channels)
            assert samples_sha256(samples) == rows[path].sha256
            assert sha256_file(folder / path) == rows[path].file_sha256
            values = soundfile.read(folder / path, dtype="float64", always_2d=True)[0]
            assert np.abs(values).max() <= mixture.clip.peak
            assert np.abs(values).max() == pytest.approx(rows[path].peak, abs=1e-6)
            files[name] = samples.astype(np.float64)
        total = files.pop("mixture")
        np.testing.assert_array_equal(total, sum(files.values()))


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_sum_is_exact_in_every_format(render_to: RenderTo, tmp_path: Path, name: str) -> None:
    render_to(tmp_path / "set", sample_format=name)
    _check_sums(tmp_path / "set", FORMATS[name])


SNR = st.sampled_from([["const", 0], ["uniform", -10, 10], ["normal", 20, 10], ["choose", [-5, 5]]])
DURATIONS = st.sampled_from(
    [{"seconds": 0.25}, {"seconds": 0.9}, {"mode": "min"}, {"mode": "max", "limit_s": 0.7}]
)


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_sum_is_exact_for_any_recipe(
    corpus: Corpus,
    speech_recipe: MakeRecipe,
    tmp_path_factory: pytest.TempPathFactory,
    data: st.DataObject,
) -> None:
    count = data.draw(st.integers(1, 4))
    sample_format = FORMATS[data.draw(st.sampled_from(sorted(FORMATS)))]
    recipe = speech_recipe(
        sample_rate=data.draw(st.sampled_from([8000, 11025, 16000, 44100])),
        channels=data.draw(st.integers(1, 2)),
        duration=data.draw(DURATIONS),
        reference_db=["const", data.draw(st.sampled_from([-60, -25, 0]))],
        level_rule=data.draw(st.sampled_from(["lufs", "energy"])),
        clip={"peak": data.draw(st.sampled_from([0.05, 0.5, 0.99]))},
        seed=data.draw(st.integers(0, 2**40)),
        format=sample_format.name,
        sources=[{"name": "s", "kind": "speech", "count": count, "snr": data.draw(SNR)}],
        splits={"any": {"mixtures": 1, "sources": {}}},
    )
    folder = tmp_path_factory.mktemp("any")
    path = folder / "m.jsonl"
    mixtures = draw_mixtures(recipe, corpus.rows, corpus.roots)
    write_manifest(path, draw_header(recipe, corpus.rows), mixtures)
    outcome = render_set(path, folder / "set", roots=corpus.roots)
    assert outcome.failures == []
    _check_sums(folder / "set", sample_format)


@pytest.mark.usefixtures("small_blocks")
def test_workers_do_not_change_a_byte(
    render_to: RenderTo, tmp_path: Path, contents: Contents
) -> None:
    render_to(tmp_path / "one")
    render_to(tmp_path / "two", workers=2)
    assert contents(tmp_path / "two") == contents(tmp_path / "one")


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("order", [(1, 2, 3), (3, 1, 2), (2, 3, 1)])
def test_shards_do_not_change_a_byte(
    render_to: RenderTo,
    tmp_path: Path,
    contents: Contents,
    order: tuple[int, ...],
) -> None:
    render_to(tmp_path / "one")
    for index in order:
        assert not (tmp_path / "parts" / "rendered.jsonl").exists()
        render_to(tmp_path / "parts", shard=(index, 3))
    assert contents(tmp_path / "parts") == contents(tmp_path / "one")


def test_more_shards_than_blocks(render_to: RenderTo, tmp_path: Path, contents: Contents) -> None:
    render_to(tmp_path / "one")
    for index in (3, 1, 2):
        render_to(tmp_path / "parts", shard=(index, 3))
    assert contents(tmp_path / "parts") == contents(tmp_path / "one")


def _times(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in folder.glob("*/*")}


def test_again_writes_nothing(render_to: RenderTo, tmp_path: Path) -> None:
    render_to(tmp_path)
    times = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    assert render_to(tmp_path).written == 0
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == times


def test_a_wrong_last_line_is_found_before_the_work(
    corpus: Corpus,
    drawn: tuple[Path, Manifest],
    tmp_path: Path,
) -> None:
    path = tmp_path / "m.jsonl"
    lines = drawn[0].read_text().splitlines(keepends=True)
    for wrong in ('{"id": \n', lines[-1]):
        path.write_text("".join([*lines, wrong]))
        with pytest.raises(InputError, match=r"line 9 is not valid JSON|'test-000001' twice"):
            render_set(path, tmp_path / "set", roots=corpus.roots)
        assert list(tmp_path.iterdir()) == [path]


def test_few_mixtures_are_in_memory(
    corpus: Corpus,
    speech_recipe: MakeRecipe,
    draw_to: DrawTo,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / "m.jsonl"
    draw_to(path, speech_recipe(splits={"any": {"mixtures": 300, "sources": {}}}))
    gc.collect()
    before = _mixtures_in_memory()
    most = 0

    def count(block: Block, **_: Any) -> BlockOutcome:
        nonlocal most
        assert len(block.mixtures) <= mixgen.render.journal.BLOCK
        most = max(most, _mixtures_in_memory() - before)
        return BlockOutcome()

    monkeypatch.setattr(mixgen.render.set, "_KEPT", mixgen.render.journal.BLOCK)
    monkeypatch.setattr(mixgen.render.set, "render_block", count)
    render_set(path, tmp_path / "set", roots=corpus.roots)
    assert mixgen.render.journal.BLOCK <= most <= 3 * mixgen.render.journal.BLOCK


def test_records_of_a_short_manifest_are_read_once(
    drawn: tuple[Path, Manifest],
    render_to: RenderTo,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read = []

    def note(kind: type[Record], data: Any, where: str) -> Any:
        if kind is Mixture:
            read.append(data["id"])
        return parse_record(kind, data, where)

    monkeypatch.setattr("mixgen.manifest.file.parse_record", note)
    render_to(tmp_path / "set")
    assert read == [mixture.id for mixture in drawn[1].mixtures]


def _mixtures_in_memory() -> int:
    return sum(type(thing) is Mixture for thing in gc.get_objects())


def test_repair_of_just_what_differs(
    render_to: RenderTo, tmp_path: Path, contents: Contents
) -> None:
    render_to(tmp_path)
    whole, times = contents(tmp_path), _times(tmp_path)
    flipped, cut, gone = sorted(tmp_path.glob("*/*.flac"))[3:20:8]
    content = bytearray(flipped.read_bytes())
    content[len(content) // 2] ^= 1
    flipped.write_bytes(content)
    cut.write_bytes(cut.read_bytes()[:-7])
    gone.unlink()
    damaged = {path.relative_to(tmp_path).as_posix() for path in (flipped, cut, gone)}
    assert {problem.path for problem in verify_set(tmp_path)} == damaged
    assert render_to(tmp_path).written == 3
    assert verify_set(tmp_path, deep=True) == []
    assert contents(tmp_path) == whole
    after = _times(tmp_path)
    changed = {path for path in after if after[path] != times[path]}
    assert changed == {str(path) for path in (flipped, cut, gone)}


def test_altered_copy_of_the_manifest_is_repaired(
    render_to: RenderTo, tmp_path: Path, contents: Contents
) -> None:
    render_to(tmp_path)
    whole = contents(tmp_path)
    copy = tmp_path / "manifest.jsonl"
    copy.write_text(copy.read_text().replace('"tiny"', '"tony"'))
    assert [problem.path for problem in verify_set(tmp_path)] == ["manifest.jsonl"]
    assert render_to(tmp_path).written == 0
    assert contents(tmp_path) == whole


def test_another_manifest_is_refused(
    corpus: Corpus,
    render_to: RenderTo,
    speech_recipe: MakeRecipe,
    draw_to: DrawTo,
    tmp_path: Path,
) -> None:
    render_to(tmp_path / "set")
    path = tmp_path / "other.jsonl"
    draw_to(path, speech_recipe(seed=1))
    with pytest.raises(InputError, match="holds a set of another manifest"):
        render_set(path, tmp_path / "set", roots=corpus.roots)


def test_a_second_manifest_takes_nothing_from_an_unfinished_set(
    corpus: Corpus,
    render_to: RenderTo,
    speech_recipe: MakeRecipe,
    draw_to: DrawTo,
    tmp_path: Path,
    contents: Contents,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("mixgen.render.journal.BLOCK", 2)
    render_to(tmp_path / "set", shard=(1, 2))
    (tmp_path / "set" / "manifest.jsonl").unlink()
    path = tmp_path / "other.jsonl"
    draw_to(path, speech_recipe(seed=5))
    for folder in ("set", "fresh"):
        render_set(path, tmp_path / folder, roots=corpus.roots)
    assert contents(tmp_path / "set") == contents(tmp_path / "fresh")


def test_links_out_of_the_set_are_not_followed(
    render_to: RenderTo, tmp_path: Path, contents: Contents
) -> None:
    folder, victim = tmp_path / "set", tmp_path / "victim"
    render_to(folder)
    (folder / "train-000000").rename(victim)
    (victim / ".tmp.mine").write_text("mine")
    (folder / "train-000000").symlink_to(victim)
    before = contents(victim)
    outcome = render_to(folder)
    reason = f"{folder / 'train-000000'} is a link that leads out of {folder}: remove the link."
    assert outcome.failures == [("train-000000", reason)]
    assert contents(victim) == before
    (folder / "train-000000").unlink()
    for name in ("mixture", "s1", "s2", "noise"):
        link = folder / "train-000000" / f"{name}.flac"
        link.parent.mkdir(exist_ok=True)
        link.symlink_to(victim / link.name)
    assert render_to(folder).written == 4
    assert contents(victim) == before
    assert verify_set(folder) == []


def test_another_format_is_refused(render_to: RenderTo, tmp_path: Path) -> None:
    render_to(tmp_path)
    with pytest.raises(InputError, match="holds this set as flac16, not wav24"):
        render_to(tmp_path, sample_format="wav24")


def test_a_wrong_format_in_the_header_is_not_followed(
    render_to: RenderTo, tmp_path: Path, contents: Contents
) -> None:
    render_to(tmp_path)
    whole, times = contents(tmp_path), _times(tmp_path)
    record = tmp_path / "rendered.jsonl"
    record.write_text(record.read_text().replace('"format": "flac16"', '"format": "wav24"'))
    with pytest.raises(
        InputError,
        match=r"has the format wav24 in its header, which .* is not: remove rendered\.jsonl",
    ):
        render_to(tmp_path)
    record.unlink()
    assert render_to(tmp_path).written == 0
    assert contents(tmp_path) == whole
    assert _times(tmp_path) == times


def test_altered_source_fails_its_mixtures_alone(
    corpus: Corpus,
    drawn: tuple[Path, Manifest],
    tmp_path: Path,
) -> None:
    path, manifest = drawn
    roots = {**corpus.roots, "speech": tmp_path / "speech"}
    used = manifest.mixtures[0].sources[0].events[0].path
    for row in corpus.rows:
        if row.corpus == "speech":
            copy = tmp_path / "speech" / row.path
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes((corpus.roots["speech"] / row.path).read_bytes())
    (tmp_path / "speech" / used).write_bytes((tmp_path / "speech" / used).read_bytes() + b"x")
    outcome = render_set(path, tmp_path / "set", roots=roots)
    failed = {m.id for m in manifest.mixtures if used in {s.events[0].path for s in m.sources}}
    assert {mixture_id for mixture_id, _ in outcome.failures} == failed
    assert all("is not the file that the manifest was drawn from" in r for _, r in outcome.failures)
    assert {p.name for p in (tmp_path / "set").iterdir() if p.is_dir()}.isdisjoint(failed)
    restored = render_set(path, tmp_path / "set", roots=corpus.roots)
    assert restored.failures == []
    assert verify_set(tmp_path / "set", deep=True) == []


def test_a_source_that_cannot_be_read_fails_its_mixtures_alone(
    corpus: Corpus,
    drawn: tuple[Path, Manifest],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path, manifest = drawn
    used = manifest.mixtures[0].sources[0].events[0].path
    source = corpus.roots["speech"] / used
    with monkeypatch.context() as context:
        forbid(context, "open", source)
        outcome = render_set(path, tmp_path / "set", roots=corpus.roots)
    failed = {m.id for m in manifest.mixtures if used in {s.events[0].path for s in m.sources}}
    reason = f"Cannot read {source}: Permission denied."
    assert outcome.failures == [(m.id, reason) for m in manifest.mixtures if m.id in failed]
    assert render_set(path, tmp_path / "set", roots=corpus.roots).failures == []
    assert verify_set(tmp_path / "set", deep=True) == []


def test_a_file_of_the_set_that_cannot_be_read_is_written_again(
    render_to: RenderTo, tmp_path: Path, contents: Contents, monkeypatch: pytest.MonkeyPatch
) -> None:
    render_to(tmp_path)
    whole = contents(tmp_path)
    with monkeypatch.context() as context:
        forbid(context, "open", tmp_path / "train-000000" / "s1.flac")
        assert render_to(tmp_path).written == 1
    assert contents(tmp_path) == whole


@pytest.mark.parametrize("value", [1e300, -1e4])
def test_a_source_that_is_too_loud_fails_its_mixture(
    speech_recipe: MakeRecipe, corpus: Corpus, tmp_path: Path, value: float
) -> None:
    """An index that is older than the limit may list it."""
    loud = np.full(8000, 0.1)
    loud[100] = value
    soundfile.write(tmp_path / "loud.wav", loud, 8000, subtype="DOUBLE")
    row = next(row for row in corpus.rows if row.kind == "speech")
    listed = {"corpus": "c", "path": "loud.wav", "sha256": sha256_file(tmp_path / "loud.wav")}
    rows = [row.model_copy(update={**listed, "duration_s": 1.0, "sample_rate": 8000})]
    source = {"name": "s", "kind": "speech", "snr": ["const", 0]}
    splits = {"any": {"mixtures": 1, "sources": {}}}
    recipe = speech_recipe(sources=[source], splits=splits)
    roots = {"c": tmp_path}
    path = tmp_path / "m.jsonl"
    write_manifest(path, draw_header(recipe, rows), draw_mixtures(recipe, rows, roots))
    ((_, reason),) = render_set(path, tmp_path / "set", roots=roots).failures
    assert f"loud.wav has a peak of {abs(value):.3g}, and 1000 (+60 dB full scale)" in reason


def _render_and_be_killed(manifest: Path, folder: Path, wait_for: int) -> None:
    command = [sys.executable, "-m", "mixgen.cli", "render", manifest, "--out", folder]
    process = subprocess.Popen([*map(str, command), "--workers", "1"], stderr=subprocess.DEVNULL)
    until = time.monotonic() + 30
    while len(list(folder.glob("*/*.flac"))) < wait_for:
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < until
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()


def test_killed_run_goes_on_to_the_same_bytes(
    corpus: Corpus,
    speech_recipe: MakeRecipe,
    draw_to: DrawTo,
    tmp_path: Path,
    contents: Contents,
) -> None:
    splits = {"train": {"mixtures": 100, "sources": {"speech": "train"}}}
    path = tmp_path / "m.jsonl"
    draw_to(path, speech_recipe(splits=splits))
    _render_and_be_killed(path, tmp_path / "killed", wait_for=150)
    left = [file for file in contents(tmp_path / "killed") if file.endswith(".flac")]
    assert 0 < len(left) < 400
    assert not (tmp_path / "killed" / "rendered.jsonl").exists()
    stale = tmp_path / "killed" / "train-000090" / ".tmp.s1.abc.flac"
    stale.parent.mkdir(exist_ok=True)
    stale.write_bytes(b"half a file")
    for name in ("manifest.jsonl", "rendered.jsonl"):
        (tmp_path / "killed" / f".tmp.123.{name}").write_bytes(b"half a file")
    outcome = render_set(path, tmp_path / "killed", roots=corpus.roots)
    assert outcome.written < 400
    render_set(path, tmp_path / "whole", roots=corpus.roots)
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")


def test_a_second_run_in_one_folder_is_refused(
    render_to: RenderTo, tmp_path: Path, contents: Contents
) -> None:
    render_to(tmp_path / "whole")
    folder = tmp_path / "set"
    folder.mkdir()
    words = f"Another run is at work in {folder}: wait until it ends, or choose another folder"
    with file_lock(folder / LOCK_FILE):
        for shard in ((1, 1), (1, 2)):
            with pytest.raises(MachineError, match=words):
                render_to(folder, shard=shard)
    assert list(folder.iterdir()) == []
    render_to(folder)
    assert contents(folder) == contents(tmp_path / "whole")


@pytest.mark.usefixtures("small_blocks")
def test_shards_run_at_the_same_time_and_each_once(
    render_to: RenderTo, tmp_path: Path, contents: Contents
) -> None:
    render_to(tmp_path / "whole")
    folder = tmp_path / "set"
    folder.mkdir()
    with file_lock(folder / LOCK_FILE, shared=True), file_lock(folder / f"{LOCK_FILE}.1-of-2"):
        for shard in ((1, 1), (1, 2)):
            with pytest.raises(MachineError, match="Another run is at work in"):
                render_to(folder, shard=shard)
        assert render_to(folder, shard=(2, 2)).written > 0
    render_to(folder, shard=(1, 2))
    assert contents(folder) == contents(tmp_path / "whole")


def test_a_full_disk_is_refused_before_the_work(
    render_to: RenderTo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = SimpleNamespace(free=0)
    monkeypatch.setattr(mixgen.render.set.shutil, "disk_usage", lambda _: full)
    with pytest.raises(MachineError, match=r"needs about 1 MB and .* has 0 MB free"):
        render_to(tmp_path / "set")


@pytest.mark.parametrize(
    "word", ["", "1", "1/", "/2", "a/b", "-1/2", "1/2/3", "1.5/2", "²/2", "٣/4", "1/" + "9" * 5000]
)
def test_shard_words(word: str) -> None:
    with pytest.raises(UsageError, match="--shard takes i/N"):
        parse_shard(word)


@pytest.mark.parametrize("shard", [(0, 2), (3, 2), (1, 0)])
def test_shard_out_of_range(render_to: RenderTo, tmp_path: Path, shard: tuple[int, int]) -> None:
    with pytest.raises(UsageError, match="i from 1 to N"):
        render_to(tmp_path / "set", shard=shard)


def test_loading_a_set(render_to: RenderTo, tmp_path: Path) -> None:
    render_to(tmp_path)
    rendered = RenderedSet(tmp_path)
    mixture, references = (
        rendered.load_mixture("test-000000"),
        rendered.load_references("test-000000"),
    )
    assert mixture.shape == (1, 6400)
    assert references.shape == (2, 1, 6400)
    assert rendered.reference_path("test-000000", "s1").name == "s1.flac"
    with pytest.raises(InputError, match="has no mixture 'x'"):
        rendered.mixture_path("x")
    with pytest.raises(InputError, match="is not a rendered set"):
        RenderedSet(tmp_path / "train-000000")
