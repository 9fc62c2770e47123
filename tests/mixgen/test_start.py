"""Programs start through `mixgen.start`, and Ctrl-C ends them there without a traceback."""

import importlib
import os
import signal
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

PROGRAMS = ("mixgen", "baselines", "evalsuite")

# A library whose import takes long, in place of the one that all programs import first.
SLOW = """
print("importing", flush=True)
import time
time.sleep(60)
"""
PATIENT = """
import os, signal
os.kill(os.getpid(), signal.SIGINT)
raise SystemExit("imported")
"""
START = """
import signal, sys
signal.signal(signal.SIGINT, getattr(signal, sys.argv.pop(1)))
import mixgen.start
getattr(mixgen.start, sys.argv.pop(1))()
"""


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_program_starts_here(program: str) -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    module, _, name = project["project"]["scripts"][program].partition(":")
    assert callable(getattr(importlib.import_module(module), name))
    words = [sys.executable, "-c", START, "default_int_handler", name, "--version"]
    shown = subprocess.run(words, capture_output=True, text=True, check=True)
    assert shown.stdout.startswith(f"{program} ")


def _command(folder: Path, library: str, handler: str, program: str) -> dict[str, Any]:
    """Return how to run a program with another library in place of typer."""
    (folder / "typer.py").write_text(library)
    paths = os.pathsep.join([str(folder), str(Path(__file__).parents[2])])
    return {
        "args": [sys.executable, "-c", START, handler, program, "--help"],
        "env": os.environ | {"PYTHONPATH": paths},
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        "text": True,
    }


@pytest.mark.parametrize("program", PROGRAMS)
def test_ctrl_c_while_a_program_is_imported(tmp_path: Path, program: str) -> None:
    with subprocess.Popen(**_command(tmp_path, SLOW, "default_int_handler", program)) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "importing\n"
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (130, "error: Stopped before the start.\n")


def test_a_program_in_the_background_ignores_ctrl_c(tmp_path: Path) -> None:
    ended = subprocess.run(**_command(tmp_path, PATIENT, "SIG_IGN", "mixgen"), check=False)
    assert ended.stderr == "imported\n"
