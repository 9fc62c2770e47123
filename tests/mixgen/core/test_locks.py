"""Locks: one holder or several that share, nothing left behind, also by a killed process."""

import errno
import fcntl
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mixgen.core.errors import MachineError
from mixgen.core.locks import file_lock

HOLDER = """
import sys, time
from pathlib import Path
from mixgen.core.locks import file_lock
with file_lock(Path(sys.argv[1]), shared=sys.argv[2] == "shared"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_one_holder_and_no_file_afterwards(tmp_path: Path) -> None:
    for _ in range(2):
        with file_lock(tmp_path / "lock"):
            with (
                pytest.raises(MachineError, match=f"Another run is at work in {tmp_path}: wait"),
                file_lock(tmp_path / "lock"),
            ):
                pass
            assert (tmp_path / "lock").exists()
        assert list(tmp_path.iterdir()) == []


def test_holders_that_share(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    with file_lock(lock, shared=True):
        with file_lock(lock, shared=True):
            pass
        assert lock.exists()  # still held
        with pytest.raises(MachineError), file_lock(lock):
            pass
        assert lock.exists()
    assert not lock.exists()
    with file_lock(lock), pytest.raises(MachineError), file_lock(lock, shared=True):
        pass
    assert not lock.exists()


@pytest.mark.parametrize("kind", ["alone", "shared"])
def test_a_killed_holder_holds_nobody_back(tmp_path: Path, kind: str) -> None:
    lock = tmp_path / "lock"
    command = [sys.executable, "-c", HOLDER, str(lock), kind]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(MachineError), file_lock(lock):
            pass
        process.send_signal(signal.SIGKILL)
    assert lock.exists()
    with file_lock(lock):
        pass
    assert not lock.exists()


def test_a_lock_that_another_removes_is_never_held_twice(tmp_path: Path) -> None:
    """Threads stand for processes: each opens the file for itself."""
    lock, inside = tmp_path / "lock", []

    def work(number: int) -> int:
        held = 0
        for _ in range(200):
            try:
                with file_lock(lock):
                    inside.append(number)
                    assert inside == [number]
                    inside.clear()
                    held += 1
            except MachineError:
                pass
        return held

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(work, range(4))) > 0


def test_a_folder_that_cannot_be_written_needs_no_lock(tmp_path: Path) -> None:
    with file_lock(tmp_path / "none" / "lock"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_file_system_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with file_lock(tmp_path / "lock"), file_lock(tmp_path / "lock"):
        pass
