"""What every test may use: real recordings, one thread."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Protocol

import pytest

from tests.browser import Browser

# Before torch or numpy is imported: sums in one order give the same numbers on every machine.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# museval imports musdb, whose reader of compressed stems stops without ffmpeg. No test reads any.
if shutil.which("ffmpeg") is None:
    sys.modules["musdb"] = ModuleType("musdb")


@pytest.fixture(autouse=True)
def torch_as_it_was() -> None:
    """One thread, and the smallest numbers kept: training in an earlier test drops them."""
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)
        torch.set_flush_denormal(False)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real recordings; skips the test where there is none."""
    beside = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("SEPARATION_DATA") or beside)
    if not folder.is_dir():
        pytest.skip(f"needs real recordings: set SEPARATION_DATA, {folder} is not a folder")
    return folder


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A headless Chromium; skips the test where there is none."""
    opened = Browser(tmp_path_factory.mktemp("browser"))
    yield opened
    opened.close()


# Ctrl-C has its usual effect also where the tests run in the background of a shell, whose children
# ignore it.
_START = """
import importlib, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
program = sys.argv.pop(1)
importlib.import_module(f"{program}.cli").main()
"""


def _group(leader: int) -> set[int]:
    """Return the living processes of a process group."""
    listed = subprocess.run(["ps", "-A", "-o", "pid=,pgid=,stat="], capture_output=True, text=True)
    rows = [line.split() for line in listed.stdout.splitlines()]
    return {int(pid) for pid, group, state in rows if int(group) == leader and state[0] != "Z"}


def _wait_for(happened: Callable[[], object], seconds: float) -> None:
    until = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < until
        time.sleep(0.05)


class Signalled(Protocol):
    """Runs a command, sends it a signal, and returns its exit code and its stderr.

    The signal comes as soon as `when` returns something true, by default when both workers run.
    """

    def __call__(
        self,
        command: Sequence[str | Path],
        number: signal.Signals,
        *,
        to_all: bool,
        when: Callable[[], object] | None = None,
    ) -> tuple[int, str]: ...


@pytest.fixture
def signalled() -> Signalled:
    """Run a command with two workers and send it a signal; its exit code, and its stderr.

    All processes of the command have to end.
    """

    def run(
        command: Sequence[str | Path],
        number: signal.Signals,
        *,
        to_all: bool,
        when: Callable[[], object] | None = None,
    ) -> tuple[int, str]:
        words = [sys.executable, "-c", _START, *map(str, command), "--workers", "2"]
        with subprocess.Popen(
            words,
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        ) as process:
            # The program, Python's resource tracker, and two workers.
            _wait_for(when or (lambda: len(_group(process.pid)) >= 4), 60)
            (os.killpg if to_all else os.kill)(process.pid, number)
            _, errors = process.communicate(timeout=60)
            _wait_for(lambda: not _group(process.pid), 20)
        return process.returncode, errors

    return run
