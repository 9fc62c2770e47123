"""Freed memory stays with the process."""

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource
import sys
import numpy as np
from mixgen.core.memory import keep_freed_memory

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def work():
    for _ in range(5):
        arrays = [np.ones(200_000) for _ in range(8)]

if sys.argv[1] == "kept":
    keep_freed_memory()
work()
before = faults()
work()
print(faults() - before)
"""


def page_faults(memory: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, memory], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc returns small blocks")
def test_arrays_come_back_without_page_faults() -> None:
    assert page_faults("kept") < 0.01 * page_faults("returned")
