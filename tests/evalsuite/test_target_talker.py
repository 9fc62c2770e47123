"""An extractor from training to the leaderboard, on a tiny set with enrolments."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

import baselines
from baselines.inference.recording import separate_file
from baselines.inference.separate import separate_set
from baselines.training.config import training_config
from baselines.training.train import train
from evalsuite.boards.show import leaderboard_text
from evalsuite.run import run
from evalsuite.scoring.folder import ScoreFolder
from evalsuite.scoring.score import score
from mixgen.core.errors import UsageError
from mixgen.sets.rendered import RenderedSet
from tests.baselines.conftest import TinySet, enrolled_set

COLUMNS = ("si_sdr", "wrong_talker")


@pytest.fixture(scope="module")
def enrolled(tmp_path_factory: pytest.TempPathFactory) -> TinySet:
    return enrolled_set(tmp_path_factory.mktemp("enrolled"))


@pytest.fixture(scope="module")
def checkpoint(enrolled: TinySet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An extractor after 40 steps, which is enough for talkers that are tones."""
    out = tmp_path_factory.mktemp("trained") / "speakerbeam"
    config = training_config(
        "speakerbeam:tiny",
        manifest=str(enrolled.manifest),
        roots=enrolled.root_options,
        steps=40,
        batch_size=4,
        segment_s=0.25,
        learning_rate=1e-2,
        validations=2,
        valid_items=2,
        device="cpu",
    )
    train(config, out)
    return out


def test_the_leaderboard_says_whom_a_system_follows(
    enrolled: TinySet, checkpoint: Path, tmp_path: Path
) -> None:
    """Of two talkers the mixture is nearer to one; what is not told has no value."""
    systems = ["mixture", "oracle:irm", str(checkpoint)]
    result = run(sets=[enrolled.rendered], systems=systems, out=tmp_path / "o", metrics=COLUMNS)
    wrong = {row["model"]: row["wrong_talker_mean"] for row in result.rows}
    assert wrong["mixture"] == 0.5
    assert wrong["oracle:irm"] == 0.0
    assert wrong["speakerbeam:tiny"] <= 0.5
    assert "wrong_talker" in leaderboard_text(result.rows)
    estimates = tmp_path / "o" / enrolled.rendered.name / checkpoint.name / "estimates"
    run_json = json.loads((estimates / "run.json").read_text())
    assert run_json["named"]
    assert run_json["estimates"] == ["s1", "s2"]
    scores = ScoreFolder(tmp_path / "o" / enrolled.rendered.name / checkpoint.name / "scores")
    assert {(row.reference, row.estimate) for row in scores.items} == {("s1", "s1"), ("s2", "s2")}


def test_validation_keeps_the_order_of_the_targets(checkpoint: Path) -> None:
    history = [json.loads(line) for line in (checkpoint / "history.jsonl").read_text().splitlines()]
    assert len(history) == 2
    assert history[-1]["valid_si_sdri_db"] > -20


def test_another_number_of_targets_is_extracted(
    enrolled: TinySet, checkpoint: Path, tmp_path: Path
) -> None:
    """The same checkpoint, whose training mixtures had two, on mixtures with one target."""
    folder = shutil.copytree(enrolled.rendered, tmp_path / "one")
    header, *records = (folder / "manifest.jsonl").read_text().splitlines()
    one = [json.dumps({**json.loads(record), "targets": ["s2"]}) for record in records]
    (folder / "manifest.jsonl").write_text("\n".join([header, *one]) + "\n")
    made = separate_set(checkpoint, folder, tmp_path / "est", device="cpu")
    assert made["estimates"] == ["s2"]
    both = separate_set(checkpoint, enrolled.rendered, tmp_path / "both", device="cpu")
    assert both["estimates"] == ["s1", "s2"]
    for mixture in RenderedSet(enrolled.rendered).mixtures("test"):
        alone, _ = soundfile.read(tmp_path / "est" / mixture.id / "s2.wav")
        expected, _ = soundfile.read(tmp_path / "both" / mixture.id / "s2.wav")
        np.testing.assert_allclose(alone, expected, atol=1e-6)


def test_a_recording_and_enrolments_of_other_rates(
    enrolled: TinySet, checkpoint: Path, tmp_path: Path
) -> None:
    """One estimate for each enrolment, in the order given, whatever their lengths and rates."""
    rendered = RenderedSet(enrolled.rendered)
    record = rendered.mixtures("test")[0]
    mixture = rendered.mixture_path(record.id)
    files = [rendered.reference_path(record.id, f"{name}_enrolment") for name in record.targets]
    folder = tmp_path / "set"
    separate_set(checkpoint, enrolled.rendered, folder, device="cpu")
    paths = separate_file(checkpoint, mixture, tmp_path, enrolment=files[::-1], device="cpu")
    assert [path.stem for path in paths] == ["est1", "est2"]
    for path, name in zip(paths, reversed(record.targets), strict=True):
        found, expected = (soundfile.read(p)[0] for p in (path, folder / record.id / f"{name}.wav"))
        np.testing.assert_allclose(found, expected, atol=1e-6)
    samples, rate = soundfile.read(files[0])
    soundfile.write(tmp_path / "stereo.wav", np.stack([samples, samples], 1), 2 * rate)
    (path,) = separate_file(
        checkpoint, mixture, tmp_path / "est", enrolment=[tmp_path / "stereo.wav"], device="cpu"
    )
    assert len(soundfile.read(path)[0]) == record.frames


@pytest.mark.parametrize("prefix", ["est", "s"])
def test_files_of_others_are_asked_for_by_the_names_of_targets(
    prefix: str, enrolled: TinySet, tmp_path: Path
) -> None:
    """Swapped talkers: wrong under their own names, without an order under others."""
    rendered = RenderedSet(enrolled.rendered)
    for mixture in rendered.mixtures("test"):
        for number, name in enumerate(mixture.targets[::-1], start=1):
            source = rendered.reference_path(mixture.id, name)
            target = tmp_path / "theirs" / mixture.id / f"{prefix}{number}.wav"
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
    found = score(enrolled.rendered, tmp_path / "theirs", tmp_path / "scores", metrics=COLUMNS)
    values = {row.values["wrong_talker"] for row in found.items}
    reasons = {row.reasons.get("wrong_talker") for row in found.items}
    if prefix == "s":
        assert (values, reasons) == ({1.0}, {None})
    else:
        refused = "not_applicable: the system gets no enrolment"
        assert (values, reasons) == ({None}, {refused})


def test_a_recording_without_an_enrolment_is_refused_in_a_sentence(checkpoint: Path) -> None:
    separator = baselines.load(checkpoint)
    with pytest.raises(UsageError, match="needs the enrolment beside the recording"):
        baselines.separate(separator, np.ones(800), sample_rate=8000)
