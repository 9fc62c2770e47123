"""Examples caption each file with what it holds, and keep the length of each file."""

from pathlib import Path

import numpy as np
import soundfile

from mixgen.manifest.mixture import Mixture
from mixgen.report.examples import describe, load
from mixgen.sets.rendered import FileRow
from tests.mixgen.report.conftest import Build

RATE = 8000


def _row(name: str, frames: int) -> FileRow:
    return FileRow(
        id="train-0",
        name=name,
        path=f"train-0/{name}.wav",
        frames=frames,
        sample_rate=RATE,
        channels=1,
        peak=0.5,
        sha256="0" * 64,
        file_sha256="0" * 64,
        clip_gain_db=0.0,
        requested={},
        measured={},
    )


def _captions(mixture: Mixture) -> dict[str, tuple[str, str, str]]:
    files = describe(mixture, {}, load(Path(), mixture, {}, 1.0))["files"]
    return {file["name"]: (file["role"], file["what"], file["label"]) for file in files}


def test_captions_name_the_content_of_each_file(build: Build) -> None:
    position = {"position_m": [1.0, 2.0, 1.0]}
    simulation = {
        "engine": "pyroomacoustics",
        "version": "1.0",
        "size_m": [4, 4, 3],
        "t60_s": 0.3,
        "microphones_m": [[1, 1, 1]],
    }
    echo = {
        "delay_s": 0.1,
        "far_end_db": -25.0,
        "low_hz": 200.0,
        "amplifier_clip": None,
        "loudspeaker": None,
    }
    talker = build.source(
        "s1",
        "ann",
        build.event("1.wav"),
        room=position,
        references=["early", "dry"],
        enrolment=build.event("2.wav"),
    )
    phone = build.source("far", "bob", build.event("3.wav"), role="far_end", echo=echo)
    mixture = build.mixture("train-0", talker, phone, room={"name": "a", "simulation": simulation})
    assert _captions(mixture) == {
        "mixture": (None, "sum of all sources", None),
        "s1": ("target", "target", "ann"),
        "s1_early": ("target", "target, early", "ann"),
        "s1_dry": ("target", "target, dry", "ann"),
        "s1_enrolment": ("target", "enrolment", "ann"),
        "far": ("far_end", "echo", "bob"),
        "far_far_end": ("far_end", "far-end signal", "bob"),
    }


def test_a_degraded_mixture_is_shown_with_its_undegraded_sum(build: Build) -> None:
    quantise = {"name": "quantise", "bits": 8}
    captions = _captions(build.mixture("train-0", degradations=[quantise]))
    assert captions["mixture"][1] == "degraded sum"
    assert captions["undegraded"][1] == "sum of all sources"


def test_an_enrolment_keeps_its_length(build: Build, tmp_path: Path) -> None:
    talker = build.source("s1", "ann", build.event("1.wav"), enrolment=build.event("2.wav"))
    mixture = build.mixture("train-0", talker)
    frames = {"mixture": 2 * RATE, "s1": 2 * RATE, "s1_enrolment": 3 * RATE + 80}
    rows = {name: _row(name, count) for name, count in frames.items()}
    (tmp_path / "train-0").mkdir()
    for row in rows.values():
        soundfile.write(tmp_path / row.path, np.zeros(row.frames), RATE)
    files = load(tmp_path, mixture, rows, 10.0)
    assert [f.samples.shape[1] for f in files if f.samples is not None] == list(frames.values())
    described = describe(mixture, rows, files)["files"]
    assert [file["duration_s"] for file in described] == [2.0, 2.0, 3.01]
