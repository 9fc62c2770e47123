"""A folder of finished audio goes where a rendered set does: into training, separation, scores."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from baselines.training.data import RecordExamples, RenderedExamples
from evalsuite.run import run
from evalsuite.scoring.plan import plan_score
from mixgen.core.errors import InputError
from mixgen.corpora.roots import find_roots
from mixgen.manifest.file import read_manifest
from mixgen.published.folder import import_folder
from mixgen.sets.rendered import load_set

RATE = 8000


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """Two songs of two stems in stereo, whose mixture is not their sum."""
    rng = np.random.default_rng(7)
    for song in ("a", "b"):
        for name in ("vocals", "other", "mixture"):
            path = tmp_path / "songs" / song / f"{name}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, 0.1 * rng.standard_normal((RATE * 2, 2)), RATE)
    out = tmp_path / "songs.jsonl"
    import_folder(tmp_path / "songs", "ID/SOURCE", out)
    return out


def test_training_reads_the_same_segments_of_the_set_and_of_the_manifest(manifest: Path) -> None:
    options = {"segment_s": 0.5, "seed": 3}
    of_set = RenderedExamples(load_set(manifest), "test", **options)
    of_records = RecordExamples(read_manifest(manifest), find_roots([manifest]), "test", **options)
    for index in range(4):
        one, other = of_set.example(index), of_records.example(index)
        assert one.keys() == other.keys() == {"mixture", "references"}
        for name, samples in one.items():
            assert samples.shape[-1] == RATE // 2
            np.testing.assert_array_equal(samples, other[name])


def test_systems_are_run_and_scored(manifest: Path, tmp_path: Path) -> None:
    systems = ["oracle:irm", "mixture"]
    options = {"out": tmp_path / "out", "metrics": ("si_sdr",), "workers": 1}
    result = run(sets=[manifest], systems=systems, **options)
    assert [row["model"] for row in result.rows] == systems
    assert {row["n"] for row in result.rows} == {2}
    mixture = result.rows[1]
    assert mixture["si_sdri_mean"] == pytest.approx(0.0, abs=1e-9)
    scores = tmp_path / "out" / "songs" / "mixture" / "scores" / "run.json"
    assert json.loads(scores.read_text())["task"] == "music_separation"


def test_a_file_that_changed_is_not_scored(manifest: Path, tmp_path: Path) -> None:
    run(sets=[manifest], systems=["mixture"], out=tmp_path / "out", metrics=("si_sdr",), workers=1)
    path = tmp_path / "songs" / "a" / "vocals.wav"
    soundfile.write(path, np.zeros((RATE * 2, 2)), RATE)
    estimates = tmp_path / "out" / "songs" / "mixture" / "estimates"
    with pytest.raises(InputError, match=r"does not hold the samples that were recorded.*restore"):
        plan_score(manifest, estimates)
