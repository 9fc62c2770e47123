"""Worker processes: they end with the one that started them, and leave Ctrl-C to it."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import soundfile

from mixgen.core.workers import in_window, process_pool
from mixgen.manifest.file import Manifest
from mixgen.recipe.schema import Recipe

Command = list[str | Path]


def test_jobs_are_taken_in_as_they_are_done() -> None:
    taken: list[int] = []
    jobs = (taken.append(number) or number for number in range(50))
    with ThreadPoolExecutor(3) as pool:
        for done, (job, result) in enumerate(in_window(pool, str, jobs, 4)):
            assert (job, result) == (done, str(done))
            assert len(taken) <= done + 4
    assert taken == list(range(50))


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
def rendering(
    speech_recipe: Callable[..., Recipe], draw_to: Callable[..., Manifest], tmp_path: Path
) -> Command:
    """A command that renders for a while."""
    path = tmp_path / "m.jsonl"
    draw_to(path, speech_recipe(splits={"any": {"mixtures": 600, "sources": {}}}))
    return ["render", path, "--out", tmp_path / "set"]


@pytest.fixture
def indexing(tmp_path: Path) -> Command:
    """A command that indexes for a while."""
    root = tmp_path / "root"
    root.mkdir()
    soundfile.write(root / "0.wav", [0.1, -0.1] * 80_000, 16000)
    for number in range(1, 1500):
        os.link(root / "0.wav", root / f"{number}.wav")
    return ["index", "folder", root, "--out", tmp_path / "s.csv"]


def _group(leader: int) -> set[int]:
    listed = subprocess.run(["ps", "-A", "-o", "pid=,pgid=,stat="], capture_output=True, text=True)
    rows = [line.split() for line in listed.stdout.splitlines()]
    return {int(pid) for pid, group, state in rows if int(group) == leader and state[0] != "Z"}


def _wait_for(happened: Callable[[], object], seconds: float) -> None:
    until = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < until
        time.sleep(0.05)


def _signalled(command: Command, number: signal.Signals, *, to_all: bool) -> tuple[int, str]:
    """Run a command with two workers, send the signal; return its exit code and what it said."""
    words = [sys.executable, "-m", "mixgen.cli", *map(str, command), "--workers", "2"]
    with subprocess.Popen(
        words, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, start_new_session=True
    ) as process:
        # The program, what keeps account of its semaphores, and two workers.
        _wait_for(lambda: len(_group(process.pid)) >= 4, 60)
        (os.killpg if to_all else os.kill)(process.pid, number)
        _, said = process.communicate(timeout=60)
        _wait_for(lambda: not _group(process.pid), 20)
    return process.returncode, said


@pytest.mark.parametrize("work", ["rendering", "indexing"])
def test_ctrl_c_is_one_sentence(work: str, request: pytest.FixtureRequest) -> None:
    code, said = _signalled(request.getfixturevalue(work), signal.SIGINT, to_all=True)
    assert code == 130
    lines = [line for line in said.splitlines() if not line.startswith(("checking", "indexing"))]
    assert lines == [
        "error: Stopped before the end: the same command uses what is written already."
    ]


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 130), (signal.SIGKILL, -signal.SIGKILL)]
)
def test_workers_end_with_the_program(
    rendering: Command, number: signal.Signals, code: int
) -> None:
    assert _signalled(rendering, number, to_all=False)[0] == code
