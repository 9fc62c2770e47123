"""PESQ against published values; workers that die or hang."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from evalsuite.metrics import evaluate, pesq
from evalsuite.metrics.outcome import Missing, Reason
from evalsuite.metrics.pesq import PesqProcess
from mixgen.audio.read import resample
from tests.evalsuite.metrics.conftest import Pair

needs_pesq = pytest.mark.skipif(
    importlib.util.find_spec("pesq") is None, reason="pesq is not installed"
)


def columns(pair: Pair, sample_rate: int) -> dict[str, float | None]:
    """Return both PESQ columns of 16 kHz."""
    clean, noisy = pair
    scores = evaluate(
        references=clean[None, None],
        estimates=[noisy[None]],
        mixture=noisy[None],
        sample_rate=sample_rate,
        metrics=["pesq_nb16k", "pesq_wb16k"],
    )
    return scores.references[0].values


@needs_pesq
def test_published_values(noisy_speech: Pair) -> None:
    """The README of `pesq` prints these values for this pair (without Corrigendum 2)."""
    scores = columns(noisy_speech, 16_000)
    assert scores["pesq_wb16k"] == pytest.approx(1.0832337141036987, abs=1e-4)
    assert scores["pesq_nb16k"] == pytest.approx(1.6072081327438354, abs=1e-4)


@needs_pesq
def test_identity_reaches_the_highest_value(noisy_speech: Pair) -> None:
    clean, _ = noisy_speech
    scores = columns((clean, 0.1 * clean), 16_000)
    assert scores["pesq_wb16k"] == pytest.approx(4.643888473510742, abs=1e-4)
    assert scores["pesq_nb16k"] == pytest.approx(4.548638343811035, abs=1e-4)


@needs_pesq
def test_rates_are_lowered_and_never_raised(noisy_speech: Pair) -> None:
    clean, noisy = noisy_speech
    at_48k = tuple(resample(samples[None], 16_000, 48_000)[0] for samples in noisy_speech)
    back = tuple(resample(samples[None], 48_000, 16_000)[0] for samples in at_48k)
    assert columns(at_48k, 48_000) == columns(back, 16_000)
    scores = evaluate(
        references=clean[None, None, ::2],
        estimates=[noisy[None, ::2]],
        mixture=noisy[None, ::2],
        sample_rate=8_000,
        metrics=["pesq_wb16k", "pesq_nb8k"],
    ).references[0]
    assert scores.reasons["pesq_wb16k"].startswith("not_applicable")
    assert 1.0 < scores.values["pesq_nb8k"] < 4.6
    assert not scores.failures


@needs_pesq
def test_long_audio_is_the_mean_of_its_parts(
    noisy_speech: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mean is over equal parts; parts with a silent reference do not count."""
    request = {"sample_rate": 16_000, "mode": "wb"}
    halves = [np.array_split(samples, 2) for samples in noisy_speech]
    parts = [pesq.pesq(reference=r, estimate=e, **request) for r, e in zip(*halves, strict=True)]
    monkeypatch.setattr(pesq, "LONGEST_S", 2.0)
    clean, noisy = noisy_speech
    whole = pesq.pesq(reference=clean, estimate=noisy, **request)
    assert whole == pytest.approx(np.mean(parts))
    clean = clean.copy()
    clean[len(halves[0][0]) :] = 0.0
    assert pesq.pesq(reference=clean, estimate=noisy, **request) == parts[0]


@needs_pesq
def test_too_short_is_a_reason() -> None:
    blip = np.random.default_rng(0).standard_normal(1000)
    value = pesq.pesq(reference=blip, estimate=blip, sample_rate=16_000, mode="wb")
    assert isinstance(value, Missing)
    assert value.reason is Reason.TOO_SHORT


@needs_pesq
def test_a_killed_worker_is_replaced(noisy_speech: Pair) -> None:
    clean, noisy = noisy_speech
    request = {"reference": clean, "estimate": noisy, "sample_rate": 16_000, "mode": "wb"}
    process = PesqProcess()
    first = process.score(**request)
    os.kill(process._process.pid, signal.SIGKILL)
    process._process.wait()
    death = process.score(**request)
    assert death == Missing(Reason.CRASH, "the process ended with code -9")
    assert process.score(**request) == first
    process.close()


@needs_pesq
def test_one_worker_answers_many_requests(noisy_speech: Pair) -> None:
    clean, noisy = noisy_speech
    process = PesqProcess()
    answers = set()
    workers = set()
    for _ in range(3):
        answers.add(process.score(reference=clean, estimate=noisy, sample_rate=16_000, mode="nb"))
        workers.add(process._process.pid)
    process.close()
    assert len(answers) == len(workers) == 1


def test_a_worker_that_hangs_is_killed() -> None:
    process = PesqProcess([sys.executable, "-c", "import time; time.sleep(60)"], timeout_s=0.5)
    started = time.monotonic()
    value = process.score(reference=np.ones(9), estimate=np.ones(9), sample_rate=8000, mode="nb")
    assert value == Missing(Reason.TIMEOUT, "no answer within 0.5 s")
    assert time.monotonic() - started < 10.0


@pytest.mark.parametrize(
    "script", ["import os; os.abort()", "print('{', end='')", "raise SystemExit(3)"]
)
def test_a_worker_that_dies_is_a_crash(script: str) -> None:
    process = PesqProcess([sys.executable, "-c", script])
    samples = np.ones(200_000)
    value = process.score(reference=samples, estimate=samples, sample_rate=8000, mode="nb")
    assert isinstance(value, Missing)
    assert value.reason is Reason.CRASH
    assert value.reason.is_failure


def test_a_missing_package_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pesq, "installed_version", lambda _: "not installed")
    value = pesq.pesq(reference=np.ones(9), estimate=np.ones(9), sample_rate=8000, mode="nb")
    assert value == Missing(Reason.NOT_INSTALLED, "pip install pesq")


@needs_pesq
def test_the_c_code_and_torch_are_not_imported_here() -> None:
    script = (
        "import json, sys, numpy as np\n"
        "from evalsuite.metrics import evaluate, table\n"
        "x = np.random.default_rng(0).standard_normal((1, 1, 16000))\n"
        "s = evaluate(references=x, estimates=[x[0]], mixture=x[0], sample_rate=16000)\n"
        "print(json.dumps([sorted({'pesq', 'cypesq', 'torch'} & set(sys.modules)), list(table())]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    imported, names = json.loads(done.stdout)
    assert imported == []
    assert "pesq_wb16k" in names
