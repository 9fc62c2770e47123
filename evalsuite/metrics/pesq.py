"""PESQ by the `pesq` package, in a worker process that may crash or hang.

ITU-T P.862 (2001), mapped to MOS-LQO by P.862.1 (narrow band) and P.862.2 (wide band). The C code
of the package overruns fixed arrays on long input and holds the interpreter lock, so it is never
imported here: a worker process computes one value after another, and is replaced when it crashes or
is killed at the timeout. The value is then missing, with the crash or timeout as the reason.
"""

import atexit
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from evalsuite.metrics.item import Array, full_scale
from evalsuite.metrics.metric import (
    NOT_INSTALLED,
    ReferenceMetric,
    each_channel,
    installed_version,
)
from evalsuite.metrics.outcome import Missing, Reason, Score
from mixgen.audio.read import resample
from mixgen.core.vocabulary import SPEECH_TASKS

TIMEOUT_S = 60.0
LONGEST_S = 30.0
LOWEST_MOS = 1.0
NARROW_RATE, WIDE_RATE = 8000, 16000

# -P keeps this folder off the worker's module path: `import pesq` would import this file.
_WORKER = (sys.executable, "-P", str(Path(__file__).with_name("_pesq_worker.py")))
_REASONS = {"BufferTooShortError": Reason.TOO_SHORT, "NoUtterancesError": Reason.SILENT_REFERENCE}


class PesqProcess:
    """A worker process that starts at the first request, and again after each death.

    Attributes:
        command: command line of the worker.
        timeout_s: seconds that one answer may take.
    """

    def __init__(self, command: Sequence[str] = _WORKER, timeout_s: float = TIMEOUT_S) -> None:
        self.command, self.timeout_s = tuple(command), timeout_s
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0
        self._lock = threading.Lock()

    def score(self, *, reference: Array, estimate: Array, sample_rate: int, mode: str) -> Score:
        """Return MOS-LQO of one pair, or why it is missing.

        Args:
            reference: shape (time,).
            estimate: shape (time,).
            sample_rate: 8000 or 16000 Hz.
            mode: "nb" or "wb" (16 kHz only).
        """
        request = {"sample_rate": sample_rate, "mode": mode, "frames": len(reference)}
        samples = np.concatenate([reference, estimate]).astype("<f8").tobytes()
        with self._lock:
            answer = self._ask(json.dumps(request).encode() + b"\n" + samples)
        if isinstance(answer, Missing):
            return answer
        if "value" in answer:
            return float(str(answer["value"]))
        error = str(answer["error"])
        return Missing(_REASONS.get(error, Reason.METRIC_ERROR), f"{error} {answer['detail']}")

    def close(self) -> None:
        """End the worker if this process started one."""
        if self._process is not None and self._owner == os.getpid():
            self._process.kill()
            self._process.communicate()
        self._process = None

    def _ask(self, message: bytes) -> dict[str, object] | Missing:
        process = self._live_process()
        started = time.monotonic()
        timer = threading.Timer(self.timeout_s, process.kill)
        timer.start()
        try:
            line = _exchange(process, message)
        finally:
            timer.cancel()
        if line.endswith(b"\n"):
            answer: dict[str, object] = json.loads(line)
            return answer
        return self._reason_of_death(process, time.monotonic() - started)

    def _live_process(self) -> subprocess.Popen[bytes]:
        """Return the worker of this process; a fork starts another, as it must not share pipes."""
        if self._process is None or self._owner != os.getpid():
            self._owner = os.getpid()
            pipe, null = subprocess.PIPE, subprocess.DEVNULL
            self._process = subprocess.Popen(self.command, stdin=pipe, stdout=pipe, stderr=null)
        return self._process

    def _reason_of_death(self, process: subprocess.Popen[bytes], waited_s: float) -> Missing:
        """Close the worker that died, and return why."""
        self.close()
        if waited_s >= self.timeout_s:
            return Missing(Reason.TIMEOUT, f"no answer within {self.timeout_s:g} s")
        return Missing(Reason.CRASH, f"the process ended with code {process.returncode}")


def _exchange(process: subprocess.Popen[bytes], message: bytes) -> bytes:
    """Send a request and return the line of the answer; without a line end the worker died."""
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("the worker was started without pipes")
    try:
        process.stdin.write(message)
        process.stdin.flush()
    except BrokenPipeError:
        return b""
    return process.stdout.readline()


_PROCESS = PesqProcess()
atexit.register(_PROCESS.close)


def pesq(*, reference: Array, estimate: Array, sample_rate: int, mode: str) -> Score:
    """Return PESQ of one channel as MOS-LQO, from 1.0 to 4.55 (narrow band) or 4.64 (wide band).

    Rates above 16 kHz are resampled to 16 kHz, rates between 8 and 16 kHz to 8 kHz; no signal is
    upsampled. Signals longer than 30 s are cut into equal parts of at most 30 s; the value is the
    mean over the parts with speech.

    Args:
        reference: shape (time,).
        estimate: shape (time,).
        sample_rate: in Hz, at least 8000; at least 16000 for "wb".
        mode: "nb" or "wb".
    """
    if installed_version("pesq") == NOT_INSTALLED:
        return Missing(Reason.NOT_INSTALLED, "pip install pesq")
    if not reference.any():
        return Missing(Reason.SILENT_REFERENCE)
    rate = WIDE_RATE if sample_rate >= WIDE_RATE else NARROW_RATE
    # PESQ aligns levels itself, but its samples are float32.
    scaled = [*full_scale(reference), *full_scale(estimate)]
    pair = resample(np.stack(scaled), sample_rate, rate)  # (2, time)
    n_parts = int(np.ceil(pair.shape[-1] / (LONGEST_S * rate)))
    parts = np.array_split(pair, n_parts, axis=-1)
    return _mean_of_speech([_score_part(part, rate, mode) for part in parts])


def _score_part(pair: Array, rate: int, mode: str) -> Score:
    reference, estimate = pair
    if not reference.any():
        return Missing(Reason.SILENT_REFERENCE)
    if not estimate.any():
        return Missing(Reason.SILENT_ESTIMATE)
    return _PROCESS.score(reference=reference, estimate=estimate, sample_rate=rate, mode=mode)


def _mean_of_speech(parts: list[Score]) -> Score:
    """Return the mean over the parts with a sounding reference, or the first failure of any."""
    missing = [part for part in parts if isinstance(part, Missing)]
    failed = [part for part in missing if part.reason is not Reason.SILENT_REFERENCE]
    values = [part for part in parts if not isinstance(part, Missing)]
    if failed or not values:
        return (failed or missing)[0]
    return float(np.mean(values))


def _metric(column: str, mode: str, rate: int, highest_rate: int | None) -> ReferenceMetric:
    return ReferenceMetric(
        name=column,
        columns=(column,),
        score=each_channel(column, partial(pesq, mode=mode)),
        unit="MOS-LQO",
        tasks=SPEECH_TASKS,
        kinds=frozenset({"speech"}),
        lowest_rate=rate,
        highest_rate=highest_rate,
        parameters={
            "mode": mode,
            "sample_rate": rate,
            "resampler": "soxr HQ",
            "longest_s": LONGEST_S,
            "timeout_s": TIMEOUT_S,
            "corrigendum_2": "not applied",
            "channels": "mean of mono values",
        },
        source="ITU-T P.862 (2001) with P.862.1" if mode == "nb" else "ITU-T P.862.2 (2005)",
        floor=LOWEST_MOS,
        libraries=("pesq",),
    )


METRICS = (
    _metric("pesq_nb8k", "nb", NARROW_RATE, WIDE_RATE),
    _metric("pesq_nb16k", "nb", WIDE_RATE, None),
    _metric("pesq_wb16k", "wb", WIDE_RATE, None),
)
