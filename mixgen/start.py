"""Start the command-line programs: Ctrl-C ends them in one sentence, also while they are imported.

This module imports nothing that takes time.
"""

import importlib
import os
import signal
import sys


def mixgen() -> None:
    """Run the program `mixgen`."""
    _start("mixgen.cli")


def baselines() -> None:
    """Run the program `baselines`."""
    _start("baselines.cli")


def evalsuite() -> None:
    """Run the program `evalsuite`."""
    _start("evalsuite.cli")


def _start(module: str) -> None:
    before = signal.getsignal(signal.SIGINT)
    # A KeyboardInterrupt would be lost in what C code imports. Background jobs ignore Ctrl-C.
    if before is signal.default_int_handler:
        signal.signal(signal.SIGINT, _stop)
    program = importlib.import_module(module)
    signal.signal(signal.SIGINT, before)
    program.main()


def _stop(*_: object) -> None:
    os.write(sys.stderr.fileno(), b"error: Stopped before the start.\n")
    os._exit(130)
