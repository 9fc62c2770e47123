"""What the tests of separators share: one seed, built models, tiny sets, a trained checkpoint."""

import shutil
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from baselines.registry import build
from baselines.training.config import training_config
from baselines.training.train import train
from mixgen.core.files import sha256_file
from mixgen.corpora.roots import Roots
from mixgen.manifest.file import Header
from mixgen.manifest.file import write_manifest as write
from mixgen.manifest.mixture import Event, Gain, Level, Mixture, Source
from mixgen.render.set import render_set


@pytest.fixture(autouse=True)
def reproducible():
    torch.set_num_threads(1)
    torch.manual_seed(0)


@cache
def _built(name):
    torch.manual_seed(1)
    return build(name).eval()


@pytest.fixture
def built():
    """The registered separator in evaluation mode, built once for all tests; do not alter it."""
    return _built


@pytest.fixture
def separator(name):
    """The separator whose name the test is parametrised with; do not alter it."""
    return _built(name)


@pytest.fixture
def references_for():
    """Noise of moderate level that fits a separator, (batch, n_src, channels, time)."""

    def make(separator, time, batch=2):
        return 0.1 * torch.randn(batch, separator.n_src, separator.channels, time)

    return make


@pytest.fixture
def separate():
    """Call a separator as its kind wants to be called, without gradients."""

    def call(separator, mixture, references):
        with torch.no_grad():
            if separator.uses_references:
                return separator(mixture, references)
            return separator(mixture)

    return call


@pytest.fixture(scope="session")
def speech(tmp_path_factory):
    """A tiny set of two talkers in noise; do not alter it."""
    return speech_set(tmp_path_factory.mktemp("speech"))


@pytest.fixture(scope="session")
def stems(tmp_path_factory):
    """A tiny set of two named stems in stereo; do not alter it."""
    return stem_set(tmp_path_factory.mktemp("stems"))


@pytest.fixture(scope="session")
def tiny_model():
    """Name of a Conv-TasNet that trains in milliseconds."""
    return "conv_tasnet:tiny"


@pytest.fixture
def brief(speech, tiny_model):
    """A configuration that trains a few steps on the tiny set of talkers in about a second."""

    def make(**changes):
        chosen = {
            "manifest": str(speech.manifest),
            "roots": speech.root_words,
            "steps": 4,
            "batch_size": 2,
            "segment_s": 0.25,
            "validations": 2,
            "valid_items": 2,
            "threads": 1,
            "device": "cpu",
        }
        return training_config(tiny_model, **(chosen | changes))

    return make


@pytest.fixture(scope="session")
def trained(speech, tiny_model, tmp_path_factory):
    """The folder of a checkpoint trained for two steps; do not alter it."""
    folder = tmp_path_factory.mktemp("trained") / "checkpoint"
    config = training_config(
        tiny_model,
        rendered=str(speech.rendered),
        steps=2,
        batch_size=2,
        segment_s=0.25,
        validations=1,
        valid_items=1,
        device="cpu",
    )
    train(config, folder)
    return folder


@pytest.fixture
def checkpoint(trained, tmp_path):
    """A copy of the trained checkpoint, to be altered."""
    return Path(shutil.copytree(trained, tmp_path / "copy"))


SAMPLE_RATE = 8000
DURATION_S = 0.5
SPLITS = {"train": 4, "valid": 2, "test": 3}


@dataclass(frozen=True)
class TinySet:
    """Where a manifest and its rendered set are."""

    manifest: Path
    rendered: Path
    roots: Roots

    @property
    def root_words(self) -> list[str]:
        """The roots as --root takes them."""
        return [f"{name}={folder}" for name, folder in self.roots.items()]


# Tiny corpora and the sets made of them: the same steps as in real work, half a second each.
def speech_set(folder: Path, sample_rate: int = SAMPLE_RATE) -> TinySet:
    """Two of four talkers per mixture (a tone each) over a background noise, mono."""
    for number in range(4):
        _write_tone(
            folder / f"corpus/talker{number}.wav", 300.0 * (number + 1), 1.0, sample_rate, 1
        )
    _write_noise(folder / "corpus/hum.wav", 0.3, sample_rate)
    return _make(folder, "speech_separation", sample_rate, 1, _talkers)


def stem_set(folder: Path, sample_rate: int = SAMPLE_RATE) -> TinySet:
    """Stereo songs of two stems, vocals and drums; song k is a tone that stands for k."""
    for song in range(3):
        for octave, stem in ((1, "vocals"), (4, "drums")):
            tone_hz = 200.0 * octave * (1 + song / 4)
            _write_tone(folder / f"corpus/{song}/{stem}.wav", tone_hz, 1.0, sample_rate, 2)
    return _make(folder, "music_separation", sample_rate, 2, _stems)


def _talkers(folder: Path, index: int) -> list[Source]:
    talkers = [index % 4, (index + 1) % 4]
    return [
        *(
            _source(folder, f"s{n}", f"talker{t}", "speech", "target", f"talker{t}.wav", 3.0 * n)
            for n, t in enumerate(talkers, start=1)
        ),
        _source(folder, "noise", "hum", "noise", "background", "hum.wav", -10.0),
    ]


def _stems(folder: Path, index: int) -> list[Source]:
    return [
        _source(folder, stem, stem, "music", "target", f"{index % 3}/{stem}.wav", 0.0)
        for stem in ("vocals", "drums")
    ]


def _source(folder, name, label, kind, role, path, snr):
    event = Event(
        corpus="tiny",
        path=path,
        sha256=sha256_file(folder / "corpus" / path),
        source_time=0.0,
        event_time=0.0,
        event_duration=DURATION_S,
        snr=snr,
    )
    gain = Gain(rule="energy")
    return Source(name=name, role=role, label=label, kind=kind, events=[event], gain=gain)


def _make(folder: Path, task: str, sample_rate: int, channels: int, sources) -> TinySet:
    header = Header(
        name="tiny",
        task=task,
        format="wav16",
        recipe_sha256="0" * 64,
        sources_sha256="0" * 64,
        seed=0,
        created_by={},
    )
    mixtures = [
        _mixture(folder, split, index, sample_rate, channels, sources)
        for split, count in SPLITS.items()
        for index in range(count)
    ]
    path = folder / "manifest.jsonl"
    write(path, header, mixtures)
    roots = {"tiny": folder / "corpus"}
    render_set(path, folder / "set", roots=roots)
    return TinySet(path, folder / "set", roots)


def _mixture(folder, split, index, sample_rate, channels, sources) -> Mixture:
    listed = sources(folder, index)
    return Mixture(
        id=f"{split}-{index}",
        split=split,
        sample_rate=sample_rate,
        channels=channels,
        frames=round(DURATION_S * sample_rate),
        seed=index,
        sources=listed,
        level=Level(reference_db=-30.0),
        targets=[source.name for source in listed if source.role == "target"],
    )


def _write_tone(path: Path, frequency_hz, duration_s, sample_rate, channels) -> None:
    time_s = np.arange(round(duration_s * sample_rate)) / sample_rate
    tone = 0.3 * np.sin(2 * np.pi * frequency_hz * time_s) * (1 + 0.5 * np.sin(20 * time_s))
    _write(path, np.tile(tone[:, None], (1, channels)), sample_rate)


def _write_noise(path: Path, duration_s, sample_rate) -> None:
    noise = np.random.default_rng(0).normal(scale=0.1, size=(round(duration_s * sample_rate), 1))
    _write(path, noise, sample_rate)


def _write(path: Path, samples, sample_rate) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, sample_rate, subtype="PCM_16")


@pytest.fixture(scope="session")
def speech_at_16k(tmp_path_factory):
    """The tiny set of talkers at twice the rate; do not alter it."""
    return speech_set(tmp_path_factory.mktemp("speech16"), sample_rate=16000)
