"""Signals and stored vectors that the metric tests share."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray
from scipy import signal

Array = NDArray[np.float64]


@pytest.fixture
def matlab_vectors(real_data: Path, request: pytest.FixtureRequest) -> SimpleNamespace:
    """Signals (n_src, time) and the SDR, SIR, SAR (3, n_src) that MATLAB's BSS Eval gave them."""
    folder = real_data / "metrics" / "mir_eval-separation"
    stored = json.loads((folder / f"output{request.param}.json").read_text())["Sources"]
    names = ("Distortion", "Interference", "Artifact")
    return SimpleNamespace(
        references=_read_folder(folder / f"ref{request.param}"),
        estimates=_read_folder(folder / f"est{request.param}"),
        scores=np.array([stored[f"Source to {name}"] for name in names]),
        permutation=tuple(stored["Source permutation"]),
    )


def _read_folder(folder: Path) -> Array:
    return np.stack([soundfile.read(path)[0] for path in sorted(folder.glob("*.wav"))])


@pytest.fixture
def noisy_speech(real_data: Path) -> tuple[Array, Array]:
    """Clean and noisy speech at 16 kHz, each (time,): the pair in the README of `pesq`."""
    folder = real_data / "metrics" / "pesq-ludlows"
    return (
        soundfile.read(folder / "speech.wav")[0],
        soundfile.read(folder / "speech_bab_0dB.wav")[0],
    )


@pytest.fixture
def talkers() -> Array:
    """Two speech-like sources (2, 1, time): 1 s at 16 kHz, coloured noise in syllables."""
    rng = np.random.default_rng(7)
    time_s = np.arange(16_000) / 16_000
    syllables = np.stack([np.sin(np.pi * rate * time_s) ** 2 for rate in (3.0, 4.3)])
    colour = [
        signal.lfilter([1.0], [1.0, -pole], rng.standard_normal(16_000)) for pole in (0.9, 0.6)
    ]
    return (0.1 * syllables * np.stack(colour))[:, None]
