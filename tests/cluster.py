"""A Dask cluster of processes on this machine, for tests."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
STARTED_WITHIN_S = 120


class Cluster:
    """A scheduler and workers of one thread, each a process, that listen on this machine alone."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "scheduler.json"
        self._log = open(folder / "log.txt", "w")  # noqa: SIM115  closed with the cluster
        to_file = ("--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(self.file))
        self.scheduler = self._start("scheduler", *to_file)
        self._wait(self.file.exists)
        self.workers = [self.add_worker(), self.add_worker()]
        self._wait(lambda: self._in_log("Starting worker compute stream") == 2)

    def _start(self, kind: str, *words: str) -> subprocess.Popen[bytes]:
        program = [sys.executable, "-m", f"distributed.cli.dask_{kind}", *words, "--no-dashboard"]
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
        folder = self.file.parent
        return subprocess.Popen(
            program, cwd=folder, env=environment, stdout=self._log, stderr=subprocess.STDOUT
        )

    def add_worker(self) -> subprocess.Popen[bytes]:
        """Start one more worker."""
        words = ("--scheduler-file", str(self.file), "--host", "127.0.0.1", "--no-nanny")
        return self._start("worker", *words, "--nthreads", "1")

    @property
    def address(self) -> str:
        """The address of the scheduler."""
        return str(json.loads(self.file.read_text())["address"])

    def _in_log(self, words: str) -> int:
        return (self.file.parent / "log.txt").read_text().count(words)

    def _wait(self, happened: Callable[[], bool]) -> None:
        until = time.monotonic() + STARTED_WITHIN_S
        while not happened():
            assert self.scheduler.poll() is None, (self.file.parent / "log.txt").read_text()
            assert time.monotonic() < until
            time.sleep(0.1)

    def stop(self) -> None:
        """End all processes."""
        for process in (*self.workers, self.scheduler):
            process.kill()
            process.wait()
        self._log.close()
