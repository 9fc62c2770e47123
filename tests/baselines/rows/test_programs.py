"""The programs in benchmarks/rows: estimates come as late as declared, and enhance."""

import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from numpy.typing import NDArray

from tests.baselines.rows.conftest import REPOSITORY, ROWS

pytestmark = pytest.mark.parity

Signal = NDArray[np.float64]

# Boards of echo are at 16 kHz, and WebRTC's AEC3 takes no less.
NAMES_AND_RATES = [
    (name, rate)
    for name, given in ROWS["programs"].items()
    for rate in ((16_000,) if given.get("far_end") else (8_000, 16_000))
]


@pytest.fixture(scope="module")
def clean(real_data: Path) -> Signal:
    """Real speech at 16 kHz: the programs change little of it."""
    pairs = real_data / "speech" / "voicebank-demand-p287-denoiser"
    samples, _ = soundfile.read(pairs / "clean" / "p287_003.wav", frames=64_000)
    return np.asarray(samples)


def lag_of(late: Signal, signal: Signal) -> int:
    """Return by how many samples one signal comes later than the other, by cross-correlation."""
    length = 2 * len(signal)
    spectrum = np.fft.rfft(late, length) * np.fft.rfft(signal, length).conj()
    lag = int(np.argmax(np.fft.irfft(spectrum)))
    return lag if lag < len(signal) else lag - length


@pytest.mark.parametrize(("name", "rate"), NAMES_AND_RATES)
def test_estimates_come_as_late_as_declared(
    name: str, rate: int, rows_environment: Path, clean: Signal, tmp_path: Path
) -> None:
    """Cancellers get a silent far end; their high-pass filters delay some frequencies by a ms."""
    given = ROWS["programs"][name]
    signal = np.asarray(soxr.resample(clean, 16_000, rate))
    soundfile.write(tmp_path / "mixture.wav", signal, rate, subtype="FLOAT")
    python, program = rows_environment / "bin" / "python", REPOSITORY / f"benchmarks/rows/{name}.py"
    names = ["s1", "s2"]
    words = [python, program, tmp_path / "mixture.wav", tmp_path, *names]
    if given.get("far_end"):
        names = ["near"]
        soundfile.write(tmp_path / "far_end.wav", np.zeros_like(signal), rate)
        words[3:] = [tmp_path / "far_end.wav", tmp_path]
    ended = subprocess.run(words, capture_output=True, text=True, check=False)
    if "No module named" in ended.stderr:
        pytest.skip(f"{given['package']} has no wheel for this Python")
    assert ended.returncode == 0, ended.stderr
    estimates = [soundfile.read(tmp_path / f"{word}.wav") for word in names]
    assert {found for _, found in estimates} == {rate}
    assert all((samples == estimates[0][0]).all() for samples, _ in estimates)
    estimate = estimates[0][0]
    assert estimate.shape == signal.shape
    lag = lag_of(estimate, signal)
    if given.get("far_end"):
        assert lag == pytest.approx(given["latency_s"] * rate, abs=0.001 * rate)
        return
    assert lag == round(given["latency_s"] * rate)
    aligned, reference = estimate[lag:], signal[: len(signal) - lag]
    scale = aligned @ reference / (reference @ reference)
    error = aligned - scale * reference
    assert 10 * np.log10(scale**2 * (reference @ reference) / (error @ error)) > 10
