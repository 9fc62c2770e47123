"""What every test may use: real recordings, one thread."""

import os
import shutil
import sys
from pathlib import Path
from types import ModuleType

import pytest

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
    folder = Path(os.environ.get("SEPARATION_DATA", beside))
    if not folder.is_dir():
        pytest.skip(f"needs real recordings: set SEPARATION_DATA, {folder} is not a folder")
    return folder
