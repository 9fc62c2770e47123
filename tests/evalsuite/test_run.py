"""Separate, score and rank in one call, with systems that need no training."""

import csv
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from baselines.inference.separate import separate_set
from evalsuite import run as run_module
from evalsuite.boards.leaderboard import rank
from evalsuite.metrics import ItemScores, evaluate
from evalsuite.run import run
from evalsuite.scoring import mixture as score_mixture
from evalsuite.scoring.folder import ScoreFolder
from evalsuite.scoring.score import score
from mixgen.core.errors import InputError, UsageError
from tests.evalsuite.conftest import MakeSet, save_untrained

METRICS = ("si_sdr",)


def test_every_system_on_every_set_in_one_leaderboard(make_set: MakeSet, tmp_path: Path) -> None:
    sets = [make_set("two", n=3), make_set("three", n=3, names=("s1", "s2", "s3"))]
    systems = ["mixture", "oracle:irm"]
    result = run(sets=sets, systems=systems, out=tmp_path / "out", metrics=METRICS, workers=1)
    with (tmp_path / "out" / "leaderboard.csv").open() as stream:
        rows = [(row["set"], row["rank"], row["model"]) for row in csv.DictReader(stream)]
    assert rows == [
        ("three", "1", "oracle:irm"),
        ("three", "2", "mixture"),
        ("two", "1", "oracle:irm"),
        ("two", "2", "mixture"),
    ]
    mixture = result.rows[1]
    assert mixture["si_sdri_mean"] == pytest.approx(0.0, abs=1e-9)
    assert mixture["parameters"] == 0
    assert (tmp_path / "out" / "two" / "oracle-irm" / "scores" / "items.jsonl").is_file()


def test_finished_steps_are_not_repeated(
    make_set: MakeSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = {"sets": [make_set(n=2)], "systems": ["mixture"], "out": tmp_path / "out"}
    first = run(**arguments, metrics=METRICS, workers=1)
    monkeypatch.setattr(run_module, "score_plan", pytest.fail)
    estimate = tmp_path / "out" / "tiny" / "mixture" / "estimates" / "test_000" / "est1.wav"
    written = estimate.stat().st_mtime_ns
    assert run(**arguments, metrics=METRICS, workers=1).rows == first.rows
    assert estimate.stat().st_mtime_ns == written


def test_a_changed_set_is_separated_and_scored_again(make_set: MakeSet, tmp_path: Path) -> None:
    def mean_score(seed: int) -> float:
        arguments = {"systems": ["oracle:irm"], "out": tmp_path / "out", "workers": 1}
        result = run(sets=[make_set(n=2, seed=seed)], metrics=METRICS, **arguments)
        return result.rows[0]["si_sdr_mean"]

    assert mean_score(0) != mean_score(1)


def test_a_program_that_needs_a_far_end_is_skipped_on_a_set_without(
    make_set: MakeSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "canceller_module.py").write_text("def cancel(mixture, rate, far_end): ...")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    systems = ["mixture", "canceller_module:cancel"]
    result = run(sets=[make_set(n=1)], systems=systems, out=tmp_path / "o", metrics=METRICS)
    assert [row["model"] for row in result.rows] == ["mixture"]
    assert "does not fit tiny: The separator needs the far end" in result.skipped[0]


def test_metrics_that_rank_nothing_are_refused_before_anything_is_separated(
    make_set: MakeSet, tmp_path: Path
) -> None:
    for name in ("erle", "der"):
        with pytest.raises(UsageError, match=f"cannot be ranked by {name} alone"):
            run(sets=[make_set(n=1)], systems=["mixture"], out=tmp_path / "o", metrics=[name])
    assert not (tmp_path / "o").exists()


def test_a_metric_under_a_choice_ranks_systems(make_set: MakeSet, tmp_path: Path) -> None:
    metrics = ["si_sdr", "dwer@tests.evalsuite.probes.fake_recogniser:transcribe"]
    result = run(sets=[make_set(n=1)], systems=["mixture"], out=tmp_path / "o", metrics=metrics)
    assert "dwer_mean" in result.rows[0]


def test_scores_that_rank_nothing_are_a_sentence(make_set: MakeSet, tmp_path: Path) -> None:
    folder = make_set(n=1)
    separate_set("mixture", folder, tmp_path / "est", device="cpu", threads=1)
    score(folder, tmp_path / "est", tmp_path / "scores", metrics=["erle"])
    with pytest.raises(InputError, match="no column that ranks systems, but erle only"):
        rank([tmp_path / "scores"])


@pytest.fixture
def speech_checkpoint(tmp_path: Path) -> Path:
    """A checkpoint of an untrained Conv-TasNet for two speakers at 8 kHz."""
    return save_untrained(tmp_path / "checkpoint", seed=0)


def test_a_system_that_does_not_fit_is_skipped_and_reported(
    make_set: MakeSet, speech_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    three = make_set("three", n=1, names=("s1", "s2", "s3"))
    systems = ["mixture", str(speech_checkpoint)]
    result = run(sets=[three], systems=systems, out=tmp_path / "o", metrics=METRICS, workers=1)
    assert [row["model"] for row in result.rows] == ["mixture"]
    assert "does not fit three" in result.skipped[0]
    assert result.skipped[0] in capsys.readouterr().err


@pytest.fixture
def separated(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids of the mixtures that are separated from now on."""
    from baselines.inference import separate

    ids: list[str] = []
    original = separate._separate_mixture

    def spy(separator: Any, rendered: Any, mixture: Any, statistics: Any) -> Any:
        ids.append(mixture.id)
        return original(separator, rendered, mixture, statistics)

    monkeypatch.setattr(separate, "_separate_mixture", spy)
    return ids


def test_a_checkpoint_separates_a_set_once_whatever_its_name_and_the_metrics(
    make_set: MakeSet,
    speech_checkpoint: Path,
    separated: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = {"sets": [make_set(n=2)], "out": tmp_path / "out"}
    copy = Path(shutil.copytree(speech_checkpoint, tmp_path / "copy"))
    first = run(systems=[str(speech_checkpoint)], **arguments, metrics=METRICS).rows
    assert len(separated) == 2
    run(systems=[str(speech_checkpoint)], **arguments, metrics=("si_sdr", "snr"))
    assert (
        run(systems=[str(copy)], **arguments, metrics=METRICS).rows[0]["si_sdr_mean"]
        == (first[0]["si_sdr_mean"])
    )
    both = run(systems=[str(speech_checkpoint), str(copy)], **arguments, metrics=METRICS)
    assert len(separated) == 2
    assert f"{copy} is the same checkpoint as that of " in both.skipped[0]
    assert both.skipped[0] in capsys.readouterr().err
    assert [row["model"] for row in both.rows][:1] == ["conv_tasnet:small"]
    run(sets=[make_set("other", n=1, seed=3)], systems=[str(copy)], out=tmp_path / "out")
    assert len(separated) == 3


def test_equal_weights_with_other_hyperparameters_are_another_system(
    make_set: MakeSet, speech_checkpoint: Path, separated: list[str], tmp_path: Path
) -> None:
    other = save_untrained(tmp_path / "other", seed=0, stream_window_s=0.5)
    weights = [folder / "model.safetensors" for folder in (speech_checkpoint, other)]
    assert weights[0].read_bytes() == weights[1].read_bytes()
    systems = [str(speech_checkpoint), str(other)]
    result = run(sets=[make_set(n=1)], systems=systems, out=tmp_path / "out", metrics=METRICS)
    assert separated == ["test_000", "test_000"]
    assert len(result.rows) == 2
    assert not result.skipped


def test_a_changed_checkpoint_separates_again(
    make_set: MakeSet, speech_checkpoint: Path, separated: list[str], tmp_path: Path
) -> None:
    """Also where the folder has estimates of the checkpoint that had the name before."""
    arguments = {"sets": [make_set(n=1)], "systems": [str(speech_checkpoint)]}
    run(**arguments, out=tmp_path / "out", metrics=METRICS)
    shutil.rmtree(speech_checkpoint)
    save_untrained(speech_checkpoint, seed=1)
    run(**arguments, out=tmp_path / "out", metrics=METRICS)
    assert separated == ["test_000", "test_000"]


def test_the_baseline_of_a_set_is_computed_once_for_all_systems_and_runs(
    make_set: MakeSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    baselines: list[object] = []

    def spy(**arguments: Any) -> ItemScores:
        baselines.append(arguments["baseline"])
        return evaluate(**arguments)

    monkeypatch.setattr(score_mixture, "evaluate", spy)
    arguments = {"sets": [make_set(n=2)], "metrics": METRICS}
    run(systems=["mixture", "oracle:irm"], **arguments, out=tmp_path / "one")
    run(systems=["oracle:ibm"], **arguments, out=tmp_path / "two")
    assert [baseline is None for baseline in baselines] == [True, True, *[False] * 4]


def test_no_system_that_fits_is_an_error(
    make_set: MakeSet, speech_checkpoint: Path, tmp_path: Path
) -> None:
    three = make_set("three", n=1, names=("s1", "s2", "s3"))
    with pytest.raises(InputError, match="No system fits any set"):
        run(sets=[three], systems=[str(speech_checkpoint)], out=tmp_path / "out")


def test_a_broken_checkpoint_is_an_error_before_any_work(
    make_set: MakeSet, speech_checkpoint: Path, tmp_path: Path
) -> None:
    weights = speech_checkpoint / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(InputError, match="model"):
        run(sets=[make_set(n=1)], systems=["mixture", str(speech_checkpoint)], out=tmp_path / "o")
    assert not (tmp_path / "o").exists()


def test_unknown_and_untrained_systems_are_errors(make_set: MakeSet, tmp_path: Path) -> None:
    folder = make_set(n=1)
    for system in ("mixtur", "conv_tasnet:small"):
        with pytest.raises(UsageError, match=system):
            run(sets=[folder], systems=["mixture", system], out=tmp_path / "out")


def test_folders_have_the_last_part_of_a_path_or_the_whole_path_as_name(
    make_set: MakeSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    sets = [make_set("a/same", n=1), make_set("b/same", n=1, seed=1), make_set("c/own", n=1)]
    sets = [folder.relative_to(tmp_path) for folder in sets]
    run(sets=sets, systems=["mixture"], out=Path("out"), metrics=METRICS, workers=1)
    folders = {path.name for path in Path("out").iterdir() if path.is_dir()}
    assert folders == {"a-same", "b-same", "own"}


def test_two_sets_of_one_name_are_refused(make_set: MakeSet, tmp_path: Path) -> None:
    folder = make_set(n=1)
    with pytest.raises(UsageError, match="share the folder"):
        run(sets=[folder, folder], systems=["mixture"], out=tmp_path / "out")


def test_changed_estimates_are_scored_again(make_set: MakeSet, tmp_path: Path) -> None:
    arguments = {"sets": [make_set(n=2)], "systems": ["oracle:irm"], "out": tmp_path / "out"}
    before = run(**arguments, metrics=METRICS, workers=1).rows[0]["si_sdr_mean"]
    path = tmp_path / "out" / "tiny" / "oracle-irm" / "estimates" / "test_000" / "s1.wav"
    samples, rate = soundfile.read(path)
    soundfile.write(path, samples + 0.1 * samples[::-1], rate, subtype="FLOAT")
    assert run(**arguments, metrics=METRICS, workers=1).rows[0]["si_sdr_mean"] < before


def test_a_leaderboard_grows(make_set: MakeSet, tmp_path: Path) -> None:
    """It keeps earlier sets, systems and splits; broken scores are left out."""
    out = tmp_path / "out"
    arguments = {"out": out, "metrics": METRICS, "workers": 1}
    one, two = make_set("one", n=1), make_set("two", n=1, seed=4, split="valid")
    run(sets=[one], systems=["mixture"], **arguments)
    run(sets=[two], systems=["mixture"], split="valid", **arguments)
    (out / "old" / "system" / "scores").mkdir(parents=True)
    (out / "old" / "system" / "scores" / "run.json").write_text('{"schema": "scores/1"}')
    rows = run(sets=[one], systems=["oracle:irm"], **arguments).rows
    assert [(row["set"], row["split"], row["model"]) for row in rows] == [
        ("one", "test", "oracle:irm"),
        ("one", "test", "mixture"),
        ("two", "valid", "mixture"),
    ]


def test_scenes_of_no_one_and_two_sources_are_scored(make_set: MakeSet, tmp_path: Path) -> None:
    """The ranking is by P-SI-SNR; an empty scene has one row, of the mixture."""
    folder = make_set(n=3, counts=[0, 1, 2])
    result = run(sets=[folder], systems=["mixture", "oracle:irm"], out=tmp_path / "out", workers=1)
    assert [row["model"] for row in result.rows] == ["oracle:irm", "mixture"]
    oracle, mixture = result.rows
    assert oracle["headline"] == "p_si_snr_mean"
    assert (oracle["count_right_mean"], mixture["count_right_mean"]) == (1.0, 1 / 3)
    assert (oracle["n_found_mean"], mixture["n_extra_mean"]) == (1.0, 1.0)
    scores = ScoreFolder(tmp_path / "out" / "tiny" / "oracle-irm" / "scores")
    assert [(row.id, row.reference) for row in scores.items] == [
        ("test_000", None),
        ("test_001", "s1"),
        ("test_001", None),
        ("test_002", "s1"),
        ("test_002", "s2"),
        ("test_002", None),
    ]
    assert {row.status for row in scores.items} == {"ok"}


def test_a_split_of_empty_scenes_alone_is_separated_and_scored(
    make_set: MakeSet, tmp_path: Path
) -> None:
    """As the far end alone in a set of echoes: what was found in them is counted."""
    folder = make_set(n=2, counts=[0, 0])
    result = run(sets=[folder], systems=["mixture"], out=tmp_path / "out")
    (row,) = result.rows
    assert (row["n"], row["n_fail"], row["n_extra_mean"]) == (2, 0, 1.0)


def test_a_program_of_others_is_a_system(
    make_set: MakeSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its name in front is also that of its folder."""
    (tmp_path / "half.py").write_text(
        "def half(mixture, rate):\n    return [mixture, mixture / 2]\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    systems = ["mixture", "mine=half:half"]
    rows = run(sets=[make_set(n=1)], systems=systems, out=Path("out"), metrics=METRICS).rows
    assert sorted(row["model"] for row in rows) == ["mine", "mixture"]
    assert [row["si_sdri_mean"] for row in rows] == pytest.approx([0.0, 0.0], abs=1e-9)
    assert (tmp_path / "out" / "tiny" / "mine" / "scores" / "items.jsonl").is_file()


@pytest.mark.parametrize("names", [("s1", "s2"), ("vocals", "drums")])
def test_a_folder_of_estimates_is_a_system(
    make_set: MakeSet, tmp_path: Path, names: tuple[str, str]
) -> None:
    """By the ids of the mixtures; stems by their names, talkers by the best permutation."""
    folder = make_set(n=2, names=names, task="music_separation")
    for path in (folder / f"test_00{i}" / f"{name}.wav" for i in range(2) for name in names):
        samples, rate = soundfile.read(path)
        out = tmp_path / "others" / path.stem / f"{path.parent.name}.wav"
        out.parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(0).standard_normal(len(samples))
        soundfile.write(out, samples + 0.01 * noise, rate, subtype="FLOAT")
    systems = ["mixture", f"mine={tmp_path / 'others'}"]
    result = run(sets=[folder], systems=systems, out=tmp_path / "out", metrics=METRICS)
    assert [row["model"] for row in result.rows] == ["mine", "mixture"]
    assert result.rows[0]["si_sdr_mean"] == pytest.approx(20.0, abs=0.5)
    scores = ScoreFolder(tmp_path / "out" / "tiny" / "mine" / "scores")
    assert scores.run.named == (names[0] == "vocals")


def test_a_folder_of_other_mixtures_is_a_sentence(make_set: MakeSet, tmp_path: Path) -> None:
    for name in ("s1", "s2"):
        (tmp_path / "others" / name).mkdir(parents=True)
        for i in range(3):
            soundfile.write(tmp_path / "others" / name / f"utt{i}.wav", np.ones(100), 8000)
    with pytest.raises(InputError, match=r"named after a mixture of .*, such as test_000"):
        run(sets=[make_set(n=1)], systems=[str(tmp_path / "others")], out=tmp_path / "out")
