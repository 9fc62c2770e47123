"""Work on a Dask cluster: the same bytes, workers that die, errors in one sentence."""

import contextlib
import importlib.util
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Executor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import mixgen.core.cluster
from mixgen.audio.cache import DecodedCache, open_cache
from mixgen.core.cluster import _ClusterExecutor, _watch, cluster_map, dask_executor
from mixgen.core.errors import InputError, MachineError, UsageError
from mixgen.corpora.index import index_corpus
from mixgen.corpora.layout import get_layout
from mixgen.manifest.file import Manifest
from mixgen.render.journal import BLOCK
from mixgen.render.set import render_set
from tests.cluster import STARTED_WITHIN_S, Cluster
from tests.conftest import Signalled
from tests.mixgen.conftest import (
    Contents,
    Corpus,
    DrawTo,
    MakeRecipe,
    RenderTo,
    RunMixgen,
    errors_in,
)

needs_dask = pytest.mark.skipif(
    importlib.util.find_spec("distributed") is None, reason="needs the package distributed"
)
# What distributed leaves to the garbage collector is not this project's.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster of two workers."""
    opened = Cluster(tmp_path_factory.mktemp("cluster"))
    yield opened
    opened.stop()


@pytest.fixture
def many(speech_recipe: MakeRecipe, draw_to: DrawTo, tmp_path: Path) -> Path:
    """A manifest that takes some seconds to render."""
    path = tmp_path / "many" / "m.jsonl"
    path.parent.mkdir()
    draw_to(path, speech_recipe(splits={"any": {"mixtures": 200, "sources": {}}}))
    return path


def _command(*words: object) -> list[str]:
    return [sys.executable, "-m", "mixgen.cli", *map(str, words)]


def _rendered(folder: Path, files: int) -> Callable[[], bool]:
    """Return whether so many files are there, when called."""
    return lambda: len(list(folder.glob("*/*.flac"))) >= files


def _wait_for(happened: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    until = time.monotonic() + STARTED_WITHIN_S
    while not happened():
        assert process.poll() is None, "it ended before"
        assert time.monotonic() < until
        time.sleep(0.02)


@needs_dask
@pytest.mark.usefixtures("small_blocks")
def test_a_cluster_does_not_change_a_byte(
    mixgen: RunMixgen,
    cluster: Cluster,
    drawn: tuple[Path, Manifest],
    render_to: RenderTo,
    tmp_path: Path,
    contents: Contents,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    render_to(tmp_path / "here")
    monkeypatch.chdir(tmp_path)  # workers are elsewhere, so relative paths have to be made absolute
    there = Path("there")
    answer = mixgen("render", drawn[0], "--out", there, "--dask", cluster.address)
    assert answer.out == "28 files written, 28 in place, in there.\n", answer.err
    assert contents(there) == contents(tmp_path / "here")
    (there / "train-000003" / "s2.flac").unlink()
    again = mixgen("render", drawn[0], "--out", there, "--dask", cluster.file)
    assert again.out == "1 files written, 28 in place, in there.\n", again.err
    assert contents(there) == contents(tmp_path / "here")


@needs_dask
def test_workers_of_a_cluster_share_a_cache(
    mixgen: RunMixgen,
    cluster: Cluster,
    drawn: tuple[Path, Manifest],
    corpus: Corpus,
    render_to: RenderTo,
    tmp_path: Path,
    contents: Contents,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    render_to(tmp_path / "here")
    monkeypatch.chdir(tmp_path)
    words = ("render", drawn[0], "--out", "there", "--cache", "cache", "--dask", cluster.file)
    assert mixgen(*words).exit_code == 0
    assert contents(tmp_path / "there") == contents(tmp_path / "here")
    cache = open_cache("cache")
    assert cache is not None
    used = {event.sha256 for m in drawn[1].mixtures for s in m.sources for event in s.events}
    assert all(map(cache.holds, used))
    words = ("index", "folder", corpus.roots["speech"], "--cache", "indexed")
    answer = mixgen(*words, "--dask", cluster.file, "--out", tmp_path / "s.csv")
    files = sum(row.corpus == "speech" for row in corpus.rows)
    assert answer.out.endswith(f" Decoded in indexed: {files}.\n")


@pytest.fixture
def hidden_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DecodedCache:
    """A cache that workers do not see."""
    cache = open_cache(tmp_path / "hidden")
    assert cache is not None
    exists = Path.exists
    monkeypatch.setattr(Path, "exists", lambda path: path.name != "hidden" and exists(path))
    return cache


def test_a_worker_that_renders_without_the_cache(
    render_to: RenderTo, tmp_path: Path, hidden_cache: DecodedCache
) -> None:
    with ThreadPoolExecutor(1) as pool, pytest.raises(MachineError, match=r"see /.*/hidden:"):
        render_to(tmp_path / "set", cache=hidden_cache.folder, executor=pool)


def test_a_worker_that_indexes_without_the_cache(
    corpus: Corpus, hidden_cache: DecodedCache
) -> None:
    layout, root = get_layout("folder"), corpus.roots["speech"]
    with ThreadPoolExecutor(1) as pool, pytest.raises(MachineError, match=r"see /.*/hidden:"):
        index_corpus(layout, root, corpus="speech", cache=hidden_cache, executor=pool)


@needs_dask
@pytest.mark.usefixtures("small_blocks")
def test_shards_on_a_cluster_do_not_change_a_byte(
    mixgen: RunMixgen,
    cluster: Cluster,
    drawn: tuple[Path, Manifest],
    render_to: RenderTo,
    tmp_path: Path,
    contents: Contents,
) -> None:
    render_to(tmp_path / "here")
    words = ("render", drawn[0], "--out", tmp_path / "there")
    assert mixgen(*words, "--shard", "2/2", "--dask", cluster.file).exit_code == 0
    assert not (tmp_path / "there" / "rendered.jsonl").exists()
    assert mixgen(*words, "--shard", "1/2", "--workers", 1).exit_code == 0
    assert contents(tmp_path / "there") == contents(tmp_path / "here")
    whole = mixgen("verify", tmp_path / "there", "--deep", "--dask", cluster.file)
    assert whole.out == f"{tmp_path / 'there'} is whole.\n"


@needs_dask
def test_verify_finds_the_same_problems(
    mixgen: RunMixgen, cluster: Cluster, render_to: RenderTo, tmp_path: Path
) -> None:
    render_to(tmp_path)
    (tmp_path / "train-000001" / "s1.flac").unlink()
    (tmp_path / "test-000000" / "noise.flac").write_bytes(b"noise")
    (tmp_path / "test-000001" / "more.flac").write_bytes(b"more")
    here = mixgen("verify", tmp_path, "--deep", "--json")
    there = mixgen("verify", tmp_path, "--deep", "--json", "--dask", cluster.file)
    assert len(json.loads(here.out)) == 3
    assert there == here


@needs_dask
def test_an_index_is_the_same(
    mixgen: RunMixgen, cluster: Cluster, corpus: Corpus, tmp_path: Path
) -> None:
    root = tmp_path / "root"
    for row in corpus.rows:
        if row.corpus == "speech":
            (root / row.path).parent.mkdir(parents=True, exist_ok=True)
            (root / row.path).write_bytes((corpus.roots["speech"] / row.path).read_bytes())
    (root / "spk0" / "empty.wav").touch()
    words = ("index", "folder", root, "--parts", "train=0.5,test=0.5", "--out")
    here = mixgen(*words, tmp_path / "here.csv", "--workers", 1)
    there = mixgen(*words, tmp_path / "there.csv", "--dask", cluster.file)
    assert (here.exit_code, here.err) == (there.exit_code, there.err)
    assert "empty.wav has zero bytes" in there.err
    assert (tmp_path / "there.csv").read_bytes() == (tmp_path / "here.csv").read_bytes()


@needs_dask
def test_an_export_is_the_same(
    mixgen: RunMixgen, cluster: Cluster, render_to: RenderTo, tmp_path: Path, contents: Contents
) -> None:
    render_to(tmp_path / "set")
    words = ("export", tmp_path / "set", "--to", "webdataset", "--shard-mb", 1, "--out")
    here = mixgen(*words, tmp_path / "here", "--workers", 1)
    there = mixgen(*words, tmp_path / "there", "--dask", cluster.file)
    assert (here.exit_code, there.exit_code) == (0, 0), there.err
    assert contents(tmp_path / "there") == contents(tmp_path / "here")


@needs_dask
@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--seed", "7", "--split", "train"),
        ("--mixtures", "train=9", "--splits", "test=train,test"),
    ],
    ids=" ".join,
)
def test_a_draw_is_the_same(
    mixgen: RunMixgen,
    cluster: Cluster,
    corpus: Corpus,
    speech_recipe: MakeRecipe,
    tmp_path: Path,
    options: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("mixgen.draw.ranges._MIXTURES", 3)
    splits = {
        "train": {"mixtures": 20, "sources": {"speech": "train"}},
        "test": {"mixtures": 7, "sources": {"speech": "test"}},
    }
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(speech_recipe(splits=splits).model_dump_json(exclude_defaults=True))
    sources = [word for path in corpus.sources[:2] for word in ("--sources", path)]
    for name, where in (("here", ()), ("there", ("--dask", cluster.file))):
        out = tmp_path / f"{name}.jsonl"
        answer = mixgen("draw", recipe, *sources, "--out", out, *options, *where)
        assert answer.exit_code == 0, answer.err
    assert (tmp_path / "there.jsonl").read_bytes() == (tmp_path / "here.jsonl").read_bytes()
    unknown = mixgen(
        "draw", recipe, *sources, "--out", out, "--split", "dev", "--dask", cluster.file
    )
    assert unknown.exit_code == 3
    assert unknown.err.startswith("error: The recipe has no split 'dev'")


@needs_dask
def test_a_killed_worker_costs_its_block(
    cluster: Cluster, many: Path, corpus: Corpus, tmp_path: Path, contents: Contents
) -> None:
    folder = tmp_path / "there"
    words = _command("render", many, "--out", folder, "--dask", cluster.file)
    with subprocess.Popen(words, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as run:
        _wait_for(_rendered(folder, 40), run)
        cluster.workers[0].kill()
        out, errors = run.communicate(timeout=STARTED_WITHIN_S)
    cluster.workers.append(cluster.add_worker())
    assert run.returncode == 0, errors
    written, rest = out.split(" ", 1)
    # Files of the lost block that were there already are not written again.
    assert 800 - 4 * BLOCK <= int(written) <= 800
    assert rest == f"files written, 800 in place, in {folder}.\n"
    render_set(many, tmp_path / "here", roots=corpus.roots)
    assert contents(folder) == contents(tmp_path / "here")


@needs_dask
def test_ctrl_c_is_one_sentence(
    cluster: Cluster, many: Path, tmp_path: Path, signalled: Signalled
) -> None:
    folder = tmp_path / "set"
    code, errors = signalled(
        ["mixgen", "render", many, "--out", folder, "--dask", cluster.file],
        signal.SIGINT,
        to_all=True,
        when=_rendered(folder, 40),
    )
    assert code == 130
    assert errors_in(errors) == [
        "error: Stopped before the end: the same command uses what is written already."
    ]


@needs_dask
def test_a_scheduler_that_ends_is_one_sentence(
    many: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT", "3s")  # it tries to come back
    opened = Cluster(tmp_path)
    folder = tmp_path / "set"
    words = _command("render", many, "--out", folder, "--dask", opened.file)
    try:
        with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as run:
            try:
                _wait_for(_rendered(folder, 40), run)
                opened.scheduler.kill()
                _, errors = run.communicate(timeout=STARTED_WITHIN_S)
            finally:
                run.kill()
    finally:
        opened.stop()
    assert run.returncode == 6
    (sentence,) = errors_in(errors)
    assert sentence.startswith("error: The connection to the Dask scheduler at tcp://127.0.0.1:")


class _LostClient:
    """A client whose scheduler is gone; its futures stay pending."""

    status = "closed"

    def submit(self, *_: object) -> "Future[None]":
        """Return a future that nobody finishes."""
        return Future()

    def nthreads(self) -> dict[str, int]:
        """Fail as a closed client does."""
        raise OSError("closed")


def test_jobs_of_a_lost_connection_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mixgen.core.cluster._PATIENCE_S", 0.05)
    client = _LostClient()
    executor = _ClusterExecutor(client)  # type: ignore[arg-type]
    threading.Thread(target=_watch, args=(client, executor, threading.Event())).start()
    with pytest.raises(CancelledError):
        executor.submit(len, []).result(timeout=STARTED_WITHIN_S)


@needs_dask
def test_a_job_that_ends_its_workers(cluster: Cluster) -> None:
    from distributed import KilledWorker

    with pytest.raises(MachineError, match="A job ended every worker"), _executor(cluster):
        raise KilledWorker("job", "worker", 3)


def _executor(cluster: Cluster) -> contextlib.AbstractContextManager[Executor]:
    return dask_executor(cluster.address)


@needs_dask
@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "tcp://127.0.0.1", "carrier://pigeon:1"])
def test_no_scheduler(
    mixgen: RunMixgen, tmp_path: Path, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import dask

    monkeypatch.setenv("DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT", "1s")
    with dask.config.set({"distributed.comm.timeouts.connect": "1s"}):
        answer = mixgen("verify", tmp_path, "--dask", address)
    assert answer.exit_code == 6
    assert answer.err.count("\n") == 1
    assert answer.err.startswith(f"error: No Dask scheduler answers at {address} (")


def test_addresses(tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    with pytest.raises(UsageError, match=r"or a scheduler file, not 'node1:8786'"):
        dask_executor("node1:8786").__enter__()
    path = tmp_path / "scheduler.json"
    path.write_text("[]")
    with pytest.raises(InputError, match="is not a scheduler file"):
        dask_executor(str(path)).__enter__()


def test_without_distributed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(MachineError, match=r"pip install 'separation-suite\[dask\]'"):
        dask_executor("tcp://127.0.0.1:1").__enter__()


def test_a_worker_that_does_not_see_a_folder(tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as pool:
        folders = [tmp_path, tmp_path / "elsewhere"]
        with pytest.raises(MachineError, match=f"does not see {folders[1]}: sources, sets"):
            list(cluster_map(abs, [-1], pool, folders=folders))
        folders[1].mkdir()
        found = list(cluster_map(abs, [-1, -2, 3], pool, folders=folders, batch=2))
    assert found == [(-1, 1), (-2, 2), (3, 3)]


def test_a_worker_with_other_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    own = mixgen.core.cluster.created_by()
    answers = iter([{**own, "numpy": "1.0"}, own])  # of this process, then of the worker
    monkeypatch.setattr(mixgen.core.cluster, "created_by", lambda: next(answers))
    with ThreadPoolExecutor(1) as pool, pytest.raises(MachineError) as caught:
        list(cluster_map(abs, [-1], pool, folders=()))
    wanted = f"has numpy {own['numpy']} where 1.0 is wanted: install the same versions"
    assert wanted in str(caught.value)


class _Forgetful(Executor):
    """Does jobs here, on a disk of its own: this process never sees what they write."""

    def submit(self, work: Callable[..., Any], /, *words: Any, **options: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(work(*words, **options))
        for (outcome,) in [future.result()]:
            for row in outcome.rows:
                (self.folder / row.path).unlink()
        return future

    def __init__(self, folder: Path) -> None:
        self.folder = folder


@pytest.mark.usefixtures("small_blocks")
def test_a_worker_that_writes_elsewhere(render_to: RenderTo, tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="that is not the one of this machine"):
        render_to(tmp_path, executor=_Forgetful(tmp_path))
    assert not (tmp_path / "rendered.jsonl").exists()
