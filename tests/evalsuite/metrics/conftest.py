"""Signals and stored scores that the metric tests share."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray
from scipy import signal

from evalsuite.metrics import ItemScores, evaluate
from mixgen.acoustics.echo_path import Echo
from mixgen.manifest.mixture import Event, Gain, Level, Mixture, Source

Array = NDArray[np.float64]
Pair = tuple[Array, Array]

SONG_RATE = 4000


@dataclass(frozen=True)
class MatlabVectors:
    """Signals, and the scores that MATLAB's BSS Eval computed for them.

    Attributes:
        references: shape (n_src, time).
        estimates: shape (n_src, time).
        scores: SDR, SIR, SAR in dB, shape (3, n_src).
        permutation: for each reference the index of its estimate.
    """

    references: Array
    estimates: Array
    scores: Array
    permutation: tuple[int, ...]


@pytest.fixture
def matlab_vectors(real_data: Path, request: pytest.FixtureRequest) -> MatlabVectors:
    """One of the test vectors of `mir_eval`, by its number."""
    folder = real_data / "metrics" / "mir_eval-separation"
    stored = json.loads((folder / f"output{request.param}.json").read_text())["Sources"]
    names = ("Distortion", "Interference", "Artifact")
    return MatlabVectors(
        references=read_folder(folder / f"ref{request.param}"),
        estimates=read_folder(folder / f"est{request.param}"),
        scores=np.array([stored[f"Source to {name}"] for name in names]),
        permutation=tuple(stored["Source permutation"]),
    )


def read_folder(folder: Path) -> Array:
    return np.stack([soundfile.read(path)[0] for path in sorted(folder.glob("*.wav"))])


@pytest.fixture
def noisy_speech(real_data: Path) -> Pair:
    """Clean and noisy speech at 16 kHz, each (time,): the pair in the README of `pesq`."""
    folder = real_data / "metrics" / "pesq-ludlows"
    return (
        soundfile.read(folder / "speech.wav")[0],
        soundfile.read(folder / "speech_bab_0dB.wav")[0],
    )


def echo_record(mixture: Array, *, sample_rate: int, n_near: int) -> Mixture:
    """Make the record of a mixture (channels, time) of near-end talkers s1, s2, ... and an echo."""
    event = Event(
        corpus="c",
        path="c.wav",
        sha256="0" * 64,
        source_time=0.0,
        event_time=0.0,
        event_duration=1.0,
        snr=0.0,
    )
    targets = [f"s{number}" for number in range(1, n_near + 1)]
    path = Echo(delay_s=0.0, far_end_db=-25.0)
    gain = Gain(rule="energy")
    sources = [
        Source(name=name, role="target", label=name, kind="speech", events=[event], gain=gain)
        for name in targets
    ]
    echo = Source(
        name="echo",
        role="far_end",
        label="far",
        kind="speech",
        events=[event],
        gain=gain,
        echo=path,
    )
    return Mixture(
        id="m",
        split="test",
        sample_rate=sample_rate,
        channels=len(mixture),
        frames=mixture.shape[-1],
        seed=1,
        sources=[*sources, echo],
        level=Level(reference_db=-30.0),
        targets=targets,
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


@pytest.fixture
def stereo_song() -> Pair:
    """References and estimates (2, 2, time), 4.5 s: two stereo stems and a poor separation."""
    rng = np.random.default_rng(11)
    references = (
        rng.standard_normal((2, 2, int(4.5 * SONG_RATE))) * np.array([0.1, 0.05])[:, None, None]
    )
    noise = 0.02 * rng.standard_normal(references.shape)
    return references, 0.8 * references + 0.3 * references[:, ::-1].sum(axis=0) + noise


def score_song(references: Array, estimates: Array, metric: str) -> ItemScores:
    return evaluate(
        references=references,
        estimates=list(estimates),
        mixture=references.sum(axis=0),
        sample_rate=SONG_RATE,
        names=[f"stem{index}" for index in range(len(references))],
        metrics=[metric],
    )
