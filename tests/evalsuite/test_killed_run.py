"""A run that is killed leaves no process behind, and the same command goes on where it stopped."""

import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from evalsuite.run import run
from evalsuite.scoring.journal import JOURNAL_FILE
from tests.conftest import Signalled
from tests.evalsuite.conftest import MakeSet

N = 12
# What differs between two runs of one command.
MEASURED = {"real_time_factor", "peak_memory_mb", "date"}

SLOW = """
import shutil, sys, time
time.sleep(0.05)
for name in ("a", "b"):
    shutil.copy(sys.argv[1], f"{sys.argv[2]}/{name}.wav")
"""


def scored(folder: Path) -> int:
    """Return how many mixtures the journal of a score holds."""
    path = folder / "scores" / JOURNAL_FILE
    return path.read_bytes().count(b"\n") - 1 if path.is_file() else 0


def files(folder: Path, pattern: str) -> dict[Path, tuple[bytes, int]]:
    """Return the content and the time of writing of the files that fit a pattern."""
    return {
        path.relative_to(folder): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in folder.glob(pattern)
    }


def contents(folder: Path, pattern: str) -> dict[Path, bytes]:
    return {path: content for path, (content, _) in files(folder, pattern).items()}


@pytest.mark.parametrize("phase", ["separating", "scoring"])
def test_the_same_command_goes_on_after_a_kill(
    make_set: MakeSet, tmp_path: Path, signalled: Signalled, phase: str
) -> None:
    (tmp_path / "slow.py").write_text(SLOW)
    set_folder = make_set(n=N)
    system = f"slow={sys.executable} {tmp_path / 'slow.py'} {{mixture}} {{out}}"
    killed, whole = (tmp_path / name / "tiny" / "slow" for name in ("killed", "whole"))

    def under_way() -> bool:
        if phase == "separating":
            return len(list(killed.glob("estimates/*/est2.wav"))) >= 3
        return scored(killed) >= 3

    command = ["evalsuite", "run", "--set", set_folder, "--system", system]
    command = [*command, "--out", tmp_path / "killed"]
    assert signalled(command, signal.SIGKILL, to_all=False, when=under_way)[0] == -signal.SIGKILL
    assert not (killed / "scores" / "items.jsonl").exists()
    before = files(killed, "estimates/*/*.wav")
    assert (0 < len(before) < 2 * N) if phase == "separating" else (0 < scored(killed) < N)

    def rows(out: str) -> list[dict[str, Any]]:
        rows = run(sets=[set_folder], systems=[system], out=tmp_path / out).rows
        return [{c: v for c, v in row.items() if c not in MEASURED} for row in rows]

    assert rows("killed") == rows("whole")
    assert before.items() <= files(killed, "estimates/*/*.wav").items()
    for pattern in ("estimates/*/*.wav", "scores/items.jsonl"):
        assert contents(killed, pattern) == contents(whole, pattern)
    assert not (killed / "scores" / JOURNAL_FILE).exists()
