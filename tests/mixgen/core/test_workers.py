"""Worker processes: they end with the one that started them, and leave Ctrl-C to it."""

import contextlib
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import soundfile

from mixgen.core.errors import MachineError
from mixgen.core.workers import bounded_map, process_pool
from tests.conftest import Signalled
from tests.mixgen.conftest import DrawTo, MakeRecipe, errors_in

Command = list[str | Path]


def test_jobs_are_taken_in_as_they_are_done() -> None:
    taken: list[int] = []
    jobs = (taken.append(number) or number for number in range(50))
    with ThreadPoolExecutor(3) as pool:
        results = bounded_map(str, jobs, window=4, executor=pool)
        for done, (job, result) in enumerate(results):
            assert (job, result) == (done, str(done))
            assert len(taken) <= done + 4
    assert taken == list(range(50))


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_results_come_in_the_order_of_the_jobs(workers: int) -> None:
    assert list(bounded_map(abs, [-3, 1, -2], workers=workers)) == [(-3, 3), (1, 1), (-2, 2)]
    assert list(bounded_map(abs, [], workers=workers)) == []


def test_a_killed_worker_is_one_sentence() -> None:
    with pytest.raises(MachineError, match="worker process was killed"):
        list(bounded_map(os._exit, [9, 9], workers=2))


def test_workers_use_one_thread_and_this_process_keeps_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    names = ["OMP_NUM_THREADS", "MKL_NUM_THREADS"]
    assert list(bounded_map(os.getenv, names, workers=2)) == [(name, "1") for name in names]
    assert [os.environ.get(name) for name in names] == ["3", None]


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_an_exception_ends_the_workers_at_once() -> None:
    begun = time.monotonic()
    with contextlib.suppress(KeyError), process_pool(2) as pool:
        worker = pool.submit(os.getpid).result()
        jobs = [pool.submit(time.sleep, 600) for _ in range(3)]
        raise KeyError
    assert time.monotonic() - begun < 60
    assert all(job.done() for job in jobs)
    assert not _is_alive(worker)


@pytest.fixture
def rendering(speech_recipe: MakeRecipe, draw_to: DrawTo, tmp_path: Path) -> Command:
    """A command that renders for a while."""
    path = tmp_path / "m.jsonl"
    draw_to(path, speech_recipe(splits={"any": {"mixtures": 600, "sources": {}}}))
    return ["mixgen", "render", path, "--out", tmp_path / "set"]


@pytest.fixture
def indexing(tmp_path: Path) -> Command:
    """A command that indexes for a while."""
    root = tmp_path / "root"
    root.mkdir()
    soundfile.write(root / "0.wav", [0.1, -0.1] * 80_000, 16000)
    for number in range(1, 1500):
        os.link(root / "0.wav", root / f"{number}.wav")
    return ["mixgen", "index", "folder", root, "--out", tmp_path / "s.csv"]


@pytest.mark.parametrize("work", ["rendering", "indexing"])
def test_ctrl_c_is_one_sentence(
    work: str, request: pytest.FixtureRequest, signalled: Signalled
) -> None:
    code, stderr = signalled(request.getfixturevalue(work), signal.SIGINT, to_all=True)
    assert code == 130
    assert errors_in(stderr) == [
        "error: Stopped before the end: the same command uses what is written already."
    ]


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 130), (signal.SIGKILL, -signal.SIGKILL)]
)
def test_workers_end_with_the_program(
    rendering: Command, number: signal.Signals, code: int, signalled: Signalled
) -> None:
    assert signalled(rendering, number, to_all=False)[0] == code
