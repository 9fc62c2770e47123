"""Shared by the tests of separators: one seed, built models, tiny sets, a trained checkpoint."""

import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Protocol

import numpy as np
import pytest
import soundfile
import torch
from numpy.typing import NDArray
from torch import Tensor

from baselines.registry import build
from baselines.separator import Separator
from baselines.training.config import TrainingConfig, training_config
from baselines.training.train import train
from mixgen.acoustics.echo_path import Echo
from mixgen.core.files import sha256_file
from mixgen.core.vocabulary import Kind, Role
from mixgen.corpora.roots import Roots
from mixgen.manifest.file import Header
from mixgen.manifest.file import write_manifest as write
from mixgen.manifest.mixture import Event, Gain, Level, Mixture, Source
from mixgen.render.set import render_set

SAMPLE_RATE = 8000
DURATION_S = 0.5
SPLITS = {"train": 4, "valid": 2, "test": 3}


class GetBuilt(Protocol):
    def __call__(self, name: str) -> Separator: ...


class MakeReferences(Protocol):
    def __call__(self, separator: Separator, time: int, batch: int = 2) -> Tensor: ...


class Separate(Protocol):
    def __call__(self, separator: Separator, mixture: Tensor, references: Tensor) -> Tensor: ...


class TrainOnTones(Protocol):
    def __call__(
        self, separator: Separator, tones_hz: Iterable[Tensor], learning_rate: float
    ) -> list[float]: ...


class RecordProperty(Protocol):
    def __call__(self, name: str, value: object) -> None: ...


class MakeConfig(Protocol):
    def __call__(self, **changes: object) -> TrainingConfig: ...


@dataclass(frozen=True)
class TinySet:
    """The paths of a manifest and of its rendered set."""

    manifest: Path
    rendered: Path
    roots: Roots

    @property
    def root_options(self) -> list[str]:
        """The roots as --root takes them."""
        return [f"{name}={folder}" for name, folder in self.roots.items()]


@pytest.fixture(autouse=True)
def reproducible() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


@cache
def _built(name: str) -> Separator:
    torch.manual_seed(1)
    return build(name).eval()


@pytest.fixture
def built() -> GetBuilt:
    """The registered separator in evaluation mode, built once for all tests; do not alter it."""
    return _built


@pytest.fixture
def separator(name: str) -> Separator:
    """The separator whose name the test is parametrised with; do not alter it."""
    return _built(name)


@pytest.fixture
def references_for() -> MakeReferences:
    """Noise of moderate level that fits a separator, (batch, n_src, channels, time)."""

    def make(separator: Separator, time: int, batch: int = 2) -> Tensor:
        return 0.1 * torch.randn(batch, separator.n_src, separator.channels, time)

    return make


def inputs_for(separator: Separator, references: Tensor) -> dict[str, Tensor]:
    """What a separator gets beside the sum of references: the same for as long as they are.

    The far end is noise in the first 2000 samples, which no mixture has an echo of; enrolments are
    the starts of references.
    """
    noise = 0.1 * np.random.default_rng(5).standard_normal(references.shape[-1])
    noise[2000:] = 0
    signals = {
        "references": references,
        "far_end": torch.as_tensor(noise, dtype=references.dtype).expand_as(references[:, 0]),
        "enrolment": references[..., :1000],
    }
    return {name: signals[name] for name in separator.inputs}


def batch_of(separator: Separator, references: Tensor) -> dict[str, Tensor]:
    """A training batch whose mixtures are the sums of references."""
    inputs = inputs_for(separator, references)
    return {"mixture": references.sum(1), "references": references, **inputs}


@pytest.fixture
def separate() -> Separate:
    """Call a separator without gradients, with its inputs."""

    def call(separator: Separator, mixture: Tensor, references: Tensor) -> Tensor:
        with torch.no_grad():
            return separator(mixture, **inputs_for(separator, references))

    return call


@pytest.fixture
def train_on_tones() -> TrainOnTones:
    """Train for one step per tensor of frequencies (batch, n_src); returns the losses."""

    def run(separator: Separator, tones_hz: Iterable[Tensor], learning_rate: float) -> list[float]:
        optimizer = torch.optim.Adam(separator.parameters(), lr=learning_rate)
        time_s = torch.arange(2000) / 8000
        losses = []
        for frequencies in tones_hz:
            references = torch.sin(2 * torch.pi * frequencies[:, :, None, None] * time_s)
            batch = batch_of(separator, references)
            optimizer.zero_grad()
            loss = separator.training_loss(batch)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return losses

    return run


@pytest.fixture(scope="session")
def speech(tmp_path_factory: pytest.TempPathFactory) -> TinySet:
    """A tiny set of two talkers in noise; do not alter it."""
    return speech_set(tmp_path_factory.mktemp("speech"))


@pytest.fixture(scope="session")
def counts(tmp_path_factory: pytest.TempPathFactory) -> TinySet:
    """A tiny set of none, one, two, ... talkers in noise by turns; do not alter it."""
    return counts_set(tmp_path_factory.mktemp("counts"))


@pytest.fixture(scope="session")
def meetings(tmp_path_factory: pytest.TempPathFactory) -> TinySet:
    """A tiny set of meetings of three talkers, of whom two talk at a time; do not alter it."""
    return meetings_set(tmp_path_factory.mktemp("meetings"))


@pytest.fixture(scope="session")
def speech_at_16k(tmp_path_factory: pytest.TempPathFactory) -> TinySet:
    """The tiny set of talkers at twice the rate; do not alter it."""
    return speech_set(tmp_path_factory.mktemp("speech16"), sample_rate=16000)


@pytest.fixture(scope="session")
def stems(tmp_path_factory: pytest.TempPathFactory) -> TinySet:
    """A tiny set of two named stems in stereo; do not alter it."""
    return stem_set(tmp_path_factory.mktemp("stems"))


@pytest.fixture(scope="session")
def echoes(tmp_path_factory: pytest.TempPathFactory) -> TinySet:
    """A tiny set of a talker, two far ends and a noise; do not alter it.

    Of each three mixtures, the first has both ends, the second no near end, the third no far end.
    """
    folder = tmp_path_factory.mktemp("echoes")
    _write_talkers(folder, SAMPLE_RATE)
    return _make(folder, "echo_cancellation", SAMPLE_RATE, 1, _both_ends)


@pytest.fixture(scope="session")
def enrolled(tmp_path_factory: pytest.TempPathFactory) -> TinySet:
    """A tiny set of two talkers with enrolments; do not alter it."""
    return enrolled_set(tmp_path_factory.mktemp("enrolled"))


@pytest.fixture(scope="session")
def tiny_model() -> str:
    """Name of a Conv-TasNet that trains in milliseconds."""
    return "conv_tasnet:tiny"


@pytest.fixture
def brief(speech: TinySet, tiny_model: str) -> MakeConfig:
    """A configuration that trains a few steps on the tiny set of talkers in about a second."""

    def make(**changes: object) -> TrainingConfig:
        chosen = {
            "manifest": str(speech.manifest),
            "roots": speech.root_options,
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
def trained(speech: TinySet, tiny_model: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
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
def checkpoint(trained: Path, tmp_path: Path) -> Path:
    """A copy of the trained checkpoint, which the test may alter."""
    return Path(shutil.copytree(trained, tmp_path / "copy"))


# Tiny corpora and their sets, drawn and rendered as real ones are, half a second per mixture.
def speech_set(folder: Path, sample_rate: int = SAMPLE_RATE) -> TinySet:
    """Two of four talkers per mixture (a tone each) over a background noise, mono."""
    _write_talkers(folder, sample_rate)
    return _make(folder, "speech_separation", sample_rate, 1, _talkers)


def counts_set(folder: Path, sample_rate: int = SAMPLE_RATE) -> TinySet:
    """None, one or two of four talkers over a background noise, in turn, mono."""
    _write_talkers(folder, sample_rate)
    return _make(
        folder, "speech_separation", sample_rate, 1, lambda f, i: _talkers(f, i)[2 - i % 3 :]
    )


# Of each talker in a meeting, in seconds: the first two overlap, and so do the last two.
UTTERANCES_S = {"s1": [(0.0, 0.12), (0.32, 0.4)], "s2": [(0.08, 0.2)], "s3": [(0.36, 0.48)]}


def meetings_set(folder: Path, sample_rate: int = SAMPLE_RATE) -> TinySet:
    """Three of four talkers over a background noise, who say what `UTTERANCES_S` has, mono."""
    _write_talkers(folder, sample_rate)
    return _make(folder, "meetings", sample_rate, 1, _meeting)


def _meeting(folder: Path, index: int) -> list[Source]:
    noise = _talkers(folder, index)[-1]
    talkers = []
    for number, (name, spans) in enumerate(UTTERANCES_S.items()):
        talker = f"talker{(index + number) % 4}"
        whole = _source(folder, name, talker, "speech", "target", f"{talker}.wav", 3.0)
        events = [
            whole.events[0].model_copy(
                update={"event_time": start_s, "event_duration": stop_s - start_s}
            )
            for start_s, stop_s in spans
        ]
        talkers.append(whole.model_copy(update={"events": events}))
    return [*talkers, noise]


def _write_talkers(folder: Path, sample_rate: int) -> None:
    for number in range(4):
        _write_tone(
            folder / f"corpus/talker{number}.wav", 300.0 * (number + 1), 1.0, sample_rate, 1
        )
    _write_noise(folder / "corpus/hum.wav", 0.3, sample_rate)


def stem_set(folder: Path, sample_rate: int = SAMPLE_RATE) -> TinySet:
    """Stereo songs of two stems, vocals and drums; each song has tones of one pitch."""
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


def enrolled_set(folder: Path) -> TinySet:
    """Two talkers, a tone each, over a noise, with enrolments of 0.5 s and 0.3 s, mono."""
    _write_talkers(folder, SAMPLE_RATE)
    return _make(folder, "target_speaker", SAMPLE_RATE, 1, _enrolled_talkers)


def _both_ends(folder: Path, index: int) -> list[Source]:
    near = _source(folder, "near", "talker0", "speech", "target", "talker0.wav", 0.0)
    far = [
        _source(folder, f"echo{n}", f"talker{n}", "speech", "far_end", f"talker{n}.wav", -3.0)
        for n in (1, 2)
    ]
    path = Echo(delay_s=0.01, far_end_db=-25.0)
    far = [source.model_copy(update={"echo": path}) for source in far]
    noise = _source(folder, "noise", "hum", "noise", "background", "hum.wav", -20.0)
    return [*([near] if index % 3 != 1 else []), *(far if index % 3 != 2 else []), noise]


def _enrolled_talkers(folder: Path, index: int) -> list[Source]:
    talkers = _talkers(folder, index)
    lengths_s = (0.5, 0.3)
    for number, (source, length_s) in enumerate(zip(talkers, lengths_s, strict=False)):
        (event,) = source.events
        enrolment = event.model_copy(update={"source_time": 0.5, "event_duration": length_s})
        talkers[number] = source.model_copy(update={"enrolment": enrolment})
    return talkers


def _stems(folder: Path, index: int) -> list[Source]:
    return [
        _source(folder, stem, stem, "music", "target", f"{index % 3}/{stem}.wav", 0.0)
        for stem in ("vocals", "drums")
    ]


def _source(
    folder: Path, name: str, label: str, kind: Kind, role: Role, path: str, snr: float
) -> Source:
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


def _make(
    folder: Path,
    task: str,
    sample_rate: int,
    channels: int,
    sources: Callable[[Path, int], list[Source]],
) -> TinySet:
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
        _mixture(f"{split}-{index}", split, index, sample_rate, channels, sources(folder, index))
        for split, count in SPLITS.items()
        for index in range(count)
    ]
    path = folder / "manifest.jsonl"
    write(path, header, mixtures)
    roots = {"tiny": folder / "corpus"}
    render_set(path, folder / "set", roots=roots)
    return TinySet(path, folder / "set", roots)


def _mixture(
    mixture_id: str, split: str, seed: int, sample_rate: int, channels: int, sources: list[Source]
) -> Mixture:
    return Mixture(
        id=mixture_id,
        split=split,
        sample_rate=sample_rate,
        channels=channels,
        frames=round(DURATION_S * sample_rate),
        seed=seed,
        sources=sources,
        level=Level(reference_db=-30.0),
        targets=[source.name for source in sources if source.role == "target"],
    )


def _write_tone(
    path: Path, frequency_hz: float, duration_s: float, sample_rate: int, channels: int
) -> None:
    time_s = np.arange(round(duration_s * sample_rate)) / sample_rate
    tone = 0.3 * np.sin(2 * np.pi * frequency_hz * time_s) * (1 + 0.5 * np.sin(20 * time_s))
    _write(path, np.tile(tone[:, None], (1, channels)), sample_rate)


def _write_noise(path: Path, duration_s: float, sample_rate: int) -> None:
    noise = np.random.default_rng(0).normal(scale=0.1, size=(round(duration_s * sample_rate), 1))
    _write(path, noise, sample_rate)


def _write(path: Path, samples: NDArray[np.float64], sample_rate: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, sample_rate, subtype="PCM_16")
