"""Make a small rendered set, estimates of it and their scores, without running a separator."""

import json
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pytest
import soundfile

from evalsuite.scoring.plan import plan_score
from evalsuite.scoring.score import score_plan
from mixgen.core.files import sha256_bytes
from mixgen.manifest.file import Header, read_manifest
from mixgen.manifest.file import write_manifest as write_manifest_file
from mixgen.manifest.mixture import Event, Gain, Level, Mixture, Source
from mixgen.sets.rendered import FileRow, RenderedHeader, RenderedSet, write_rendered

RATE = 8000
FRAMES = 4000


class MakeSet(Protocol):
    """Renders a set of `n` mixtures of noise, whose sources have `names`; returns its folder.

    The sources count as speech unless they have other `kinds`. With `counts` mixture number i has
    the first `counts[i]` sources alone, and an empty one is noise. A list of `split` has one for
    each mixture.
    """

    def __call__(
        self,
        name: str = "tiny",
        *,
        n: int = 8,
        names: Sequence[str] = ("s1", "s2"),
        task: str = "speech_separation",
        split: str | Sequence[str] = "test",
        seed: int = 0,
        kinds: Sequence[str] = (),
        counts: Sequence[int] = (),
    ) -> Path: ...


class MakeEstimates(Protocol):
    """Writes the references plus noise as the estimates of a set; returns their folder.

    The noise is `noise_db` relative to the level of the references. With `spread_db` its level
    changes from mixture to mixture. Estimates come in the reverse order of the references unless
    they are `named`. Other keywords replace values of run.json.
    """

    def __call__(
        self,
        set_folder: Path,
        name: str = "model",
        *,
        noise_db: float = -20.0,
        spread_db: float = 0.0,
        seed: int = 1,
        named: bool = False,
        **changes: Any,
    ) -> Path: ...


class MakeScores(Protocol):
    """Scores estimates, by default by SI-SDR and SNR alone; returns the folder of the scores."""

    def __call__(
        self,
        set_folder: Path,
        estimates: Path,
        name: str | None = None,
        *,
        metrics: Sequence[str] | None = ("si_sdr", "snr"),
    ) -> Path: ...


@pytest.fixture
def make_set(tmp_path: Path) -> MakeSet:
    """Sets below `tmp_path`."""

    def make(
        name: str = "tiny",
        *,
        n: int = 8,
        names: Sequence[str] = ("s1", "s2"),
        task: str = "speech_separation",
        split: str | Sequence[str] = "test",
        seed: int = 0,
        kinds: Sequence[str] = (),
        counts: Sequence[int] = (),
    ) -> Path:
        folder = tmp_path / name
        kind_of = list(zip_longest(names, kinds))
        splits = [split] * n if isinstance(split, str) else split
        mixtures = [
            record_of(f"{splits[i]}_{i:03d}", splits[i], dict(kind_of[: (counts or [None] * n)[i]]))
            for i in range(n)
        ]
        header = Header(
            name=folder.name,
            task=task,
            format="wav_float",
            recipe_sha256="0" * 64,
            sources_sha256="0" * 64,
            seed=seed,
            created_by={"tests": "1"},
        )
        write_manifest_file(folder / "manifest.jsonl", header, mixtures)
        rows = [row for m in mixtures for row in _render(folder, m, seed)]
        manifest_sha256 = read_manifest(folder / "manifest.jsonl").sha256
        rendered = RenderedHeader(
            manifest_sha256=manifest_sha256, format="wav_float", created_by={"tests": "1"}
        )
        write_rendered(folder, rendered, rows)
        return folder

    return make


def record_of(mixture_id: str, split: str, kind_of: Mapping[str, Any]) -> Mixture:
    """The record of a mixture of noises, each with the name and the kind of a target."""
    return Mixture(
        id=mixture_id,
        split=split,
        sample_rate=RATE,
        channels=1,
        frames=FRAMES,
        seed=1,
        sources=[_source(n, f"speaker_{n}", kind or "speech") for n, kind in kind_of.items()],
        level=Level(reference_db=-30.0),
        targets=list(kind_of),
    )


def _source(name: str, label: str, kind: Any) -> Source:
    event = Event(
        corpus="noise",
        path=f"{name}.wav",
        sha256="0" * 64,
        source_time=0.0,
        event_time=0.0,
        event_duration=0.5,
        snr=0.0,
    )
    return Source(
        name=name,
        role="target",
        label=label,
        kind=kind,
        events=[event],
        gain=Gain(rule="energy"),
    )


def _render(folder: Path, mixture: Mixture, seed: int) -> list[FileRow]:
    """Write sources of noise and their sum as 32-bit float files."""
    generator = np.random.default_rng([seed, *mixture.id.encode()])
    names = [source.name for source in mixture.sources]
    sources = 0.1 * generator.standard_normal((len(names), FRAMES)).astype("f4")
    mixed = sources.sum(axis=0) if names else 0.01 * generator.standard_normal(FRAMES).astype("f4")
    signals = {"mixture": mixed, **dict(zip(names, sources, strict=True))}
    return [_write(folder, mixture, name, samples) for name, samples in signals.items()]


def _write(folder: Path, mixture: Mixture, name: str, samples: Any) -> FileRow:
    path = folder / mixture.id / f"{name}.wav"
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, RATE, subtype="FLOAT")
    return FileRow(
        id=mixture.id,
        name=name,
        path=f"{mixture.id}/{name}.wav",
        frames=FRAMES,
        sample_rate=RATE,
        channels=1,
        peak=float(np.abs(samples).max()),
        sha256=sha256_bytes(samples.tobytes()),
        file_sha256=sha256_bytes(path.read_bytes()),
        clip_gain_db=0.0,
        requested={},
        measured={"overlap": 1.0} if name == "mixture" else {"energy_ratio_db": 0.5},
    )


@pytest.fixture
def make_estimates(tmp_path: Path) -> MakeEstimates:
    """Estimates below `tmp_path`."""

    def make(
        set_folder: Path,
        name: str = "model",
        *,
        noise_db: float = -20.0,
        spread_db: float = 0.0,
        seed: int = 1,
        named: bool = False,
        **changes: Any,
    ) -> Path:
        folder = tmp_path / f"{name}_estimates"
        rendered = RenderedSet(set_folder)
        generator = np.random.default_rng(seed)
        for mixture in rendered.mixtures():
            level = noise_db + spread_db * generator.standard_normal()
            references = rendered.load_references(mixture.id)[:, 0]  # (n_src, time)
            noise = np.random.default_rng(7).standard_normal(references.shape)
            estimates = references + 0.1 * 10 ** (level / 20) * noise
            names = mixture.targets if named else _unnamed(len(references))[::-1]
            (folder / mixture.id).mkdir(parents=True, exist_ok=True)
            for estimate_name, samples in zip(names, estimates, strict=True):
                path = folder / mixture.id / f"{estimate_name}.wav"
                soundfile.write(path, samples, RATE, subtype="FLOAT")
        _write_run(folder, rendered, name, named, **changes)
        return folder

    return make


def _unnamed(n: int) -> list[str]:
    return [f"est{i}" for i in range(1, n + 1)]


def _write_run(folder: Path, rendered: RenderedSet, name: str, named: bool, **changes: Any) -> None:
    """Write EST/run.json as a separator does."""
    targets = rendered.mixtures()[0].targets
    record = {
        "schema": "estimates/1",
        "model": name,
        "checkpoint_sha256": None,
        "manifest_sha256": rendered.manifest.sha256,
        "split": rendered.mixtures()[0].split,
        "named": named,
        "estimates": targets if named else _unnamed(len(targets)),
        "sample_rate": RATE,
        "parameters": 1000,
        "macs_per_second": 2.5e9,
        "real_time_factor": 0.125,
        "peak_memory_mb": None,
        "device": "cpu",
        "threads": 1,
        "versions": {"torch": "2"},
        "failures": [],
    }
    (folder / "run.json").write_text(json.dumps(record | changes))


@pytest.fixture
def make_scores(tmp_path: Path) -> MakeScores:
    """Scores below `tmp_path`."""

    def make(
        set_folder: Path,
        estimates: Path,
        name: str | None = None,
        *,
        metrics: Sequence[str] | None = ("si_sdr", "snr"),
    ) -> Path:
        out = tmp_path / (name or estimates.name.replace("_estimates", "_scores"))
        score_plan(plan_score(set_folder, estimates, metrics=metrics), out)
        return out

    return make


def save_untrained(folder: Path, *, seed: int, **hyperparameters: Any) -> Path:
    """Write a checkpoint of an untrained Conv-TasNet for two speakers at 8 kHz; return `folder`."""
    import torch

    from baselines.registry import build
    from tests.checkpoints import save

    torch.manual_seed(seed)
    return save(folder, build("conv_tasnet:small", **hyperparameters), "conv_tasnet:small")
