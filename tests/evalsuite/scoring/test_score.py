"""Scoring of folders: rows, failures and their reasons, resuming, workers, refusals."""

import json
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from evalsuite.metrics import ItemScores, evaluate, select, spec_sha256
from evalsuite.scoring import baseline as mixture_baseline
from evalsuite.scoring import mixture as score_mixture
from evalsuite.scoring import score as score_module
from evalsuite.scoring.inputs import _scored_files
from evalsuite.scoring.plan import plan_score
from evalsuite.scoring.score import score_plan
from mixgen.core.errors import InputError, UsageError
from mixgen.sets.rendered import RenderedSet
from tests.conftest import Signalled
from tests.evalsuite.conftest import MakeEstimates, MakeScores, MakeSet
from tests.evalsuite.metrics.conftest import echo_record

FAST = ("si_sdr", "snr")


def read_items(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / "items.jsonl").read_text().splitlines()
    return [json.loads(line, parse_constant=pytest.fail) for line in lines]


def test_rows_hold_what_evaluate_gives(
    make_set: MakeSet, make_estimates: MakeEstimates, tmp_path: Path
) -> None:
    """Scoring a folder equals `evaluate` with the samples of its files."""
    folder, out = make_set(), tmp_path / "scores"
    estimates = make_estimates(folder)
    run = score_plan(plan_score(folder, estimates), out)
    rows = read_items(out)
    mixture_id = rows[0]["id"]
    signals = [soundfile.read(estimates / mixture_id / f"est{i}.wav")[0][None] for i in (1, 2)]
    rendered = RenderedSet(folder)
    expected = evaluate(
        references=rendered.load_references(mixture_id),
        estimates=signals,
        mixture=rendered.load_mixture(mixture_id),
        sample_rate=8000,
    )
    assert [row["permutation"] for row in rows[:2]] == [[1, 0], [1, 0]]
    assert [row["estimate"] for row in rows[:2]] == ["est2", "est1"]
    for row, reference in zip(rows[:2], expected.references, strict=True):
        assert {c: row[c] for c in reference.values} == reference.values
    assert run.metric_spec_sha256 == spec_sha256(select(task="speech_separation", sample_rate=8000))


def test_every_row_has_every_column_and_every_documented_key(
    make_set: MakeSet, make_estimates: MakeEstimates, make_scores: MakeScores
) -> None:
    folder = make_set(n=2)
    rows = read_items(make_scores(folder, make_estimates(folder), metrics=None))
    columns = [c for m in select(task="speech_separation", sample_rate=8000) for c in m.all_columns]
    documented = {"id", "reference", "label", "estimate", "n_ref", "n_est", "permutation"}
    documented |= {"duration_s", "status", "reason", "reasons", *columns}
    assert all(documented <= row.keys() for row in rows)
    assert [(row["id"], row["reference"], row["label"]) for row in rows[:2]] == [
        ("test_000", "s1", "speaker_s1"),
        ("test_000", "s2", "speaker_s2"),
    ]
    assert rows[0]["duration_s"] == 0.5


def test_run_record_holds_system_set_definitions_and_machine(
    make_set: MakeSet,
    make_estimates: MakeEstimates,
    make_scores: MakeScores,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2,1")
    folder = make_set()
    scores = make_scores(folder, make_estimates(folder, checkpoint_sha256="c" * 64))
    run = json.loads((scores / "run.json").read_text())
    expected = {
        "schema": "scores/1",
        "model": "model",
        "checkpoint_sha256": "c" * 64,
        "manifest_sha256": RenderedSet(folder).manifest.sha256,
        "set": "tiny",
        "split": "test",
        "task": "speech_separation",
        "parameters": 1000,
        "macs_per_second": 2.5e9,
        "real_time_factor": 0.125,
        "counts": {"n": 8, "n_failed": 0, "n_references": 16, "n_inf": 0},
    }
    assert {key: run[key] for key in expected} == expected
    assert [metric["name"] for metric in run["metrics"]] == ["si_sdr", "snr"]
    assert (run["hardware"]["cores"] >= 1, run["hardware"]["threads"]) == (True, 2)
    assert {"numpy", "separation-suite"} <= run["versions"].keys()


def test_named_estimates_are_not_permuted(
    make_set: MakeSet, make_estimates: MakeEstimates, make_scores: MakeScores
) -> None:
    folder = make_set(n=2)
    estimates = make_estimates(folder, named=True)
    first, second = (estimates / "test_000" / f"{name}.wav" for name in ("s1", "s2"))
    content = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(content)
    rows = read_items(make_scores(folder, estimates))
    assert [row["si_sdr"] < 0 for row in rows] == [True, True, False, False]
    assert rows[0]["permutation"] == [0, 1]


def remove(path: Path) -> None:
    path.unlink()


def write_garbage(path: Path) -> None:
    path.write_bytes(b"not audio")


def cut(path: Path) -> None:
    samples, rate = soundfile.read(path)
    soundfile.write(path, samples[:-1], rate, subtype="FLOAT")


def poison(path: Path) -> None:
    samples, rate = soundfile.read(path)
    samples[7] = np.nan
    soundfile.write(path, samples, rate, subtype="FLOAT")


def change_rate(path: Path) -> None:
    samples, _ = soundfile.read(path)
    soundfile.write(path, samples, 16000, subtype="FLOAT")


@pytest.mark.parametrize(
    ("damage", "reason", "failed"),
    [
        (remove, "missing_estimate", ["s1"]),
        (write_garbage, "missing_estimate: est2.wav cannot be read", ["s1", "s2"]),
        (cut, "wrong_shape: estimate 2", ["s1", "s2"]),
        (poison, "non_finite_estimate: estimate 2", ["s1", "s2"]),
        (change_rate, "wrong_shape: est2.wav has 16000 Hz", ["s1", "s2"]),
    ],
)
def test_a_bad_estimate_fails_its_item_alone(
    make_set: MakeSet,
    make_estimates: MakeEstimates,
    make_scores: MakeScores,
    damage: Callable[[Path], None],
    reason: str,
    failed: list[str],
) -> None:
    folder = make_set(n=3)
    estimates = make_estimates(folder)
    damage(estimates / "test_001" / "est2.wav")
    scores = make_scores(folder, estimates)
    rows = [row for row in read_items(scores) if row["status"] == "failed"]
    assert [(row["id"], row["reference"]) for row in rows] == [("test_001", n) for n in failed]
    assert all(row["reason"].startswith(reason) for row in rows)
    assert all(row["si_sdri"] is None and row["reasons"]["si_sdri"] for row in rows)
    counts = json.loads((scores / "run.json").read_text())["counts"]
    assert (counts["n"], counts["n_failed"]) == (3, 1)


def test_a_failure_of_the_separator_is_a_failed_item(
    make_set: MakeSet, make_estimates: MakeEstimates, make_scores: MakeScores
) -> None:
    folder = make_set(n=2)
    failures = [{"id": "test_001", "reason": "out of memory"}]
    rows = read_items(make_scores(folder, make_estimates(folder, failures=failures)))
    assert [row["status"] for row in rows] == ["ok", "ok", "failed", "failed"]
    assert rows[2]["reason"] == "missing_estimate: the separator failed: out of memory"
    assert rows[2]["permutation"] == [None, None]


def test_perfect_estimates_are_counted_as_infinite(
    make_set: MakeSet, make_estimates: MakeEstimates, make_scores: MakeScores
) -> None:
    folder = make_set(n=2)
    estimates = make_estimates(folder, noise_db=-400.0)
    scores = make_scores(folder, estimates, metrics=("si_sdr", "p_si_snr"))
    rows = read_items(scores)
    assert [row["reasons"].get("si_sdr") for row in rows] == ["perfect", "perfect", None] * 2
    assert {row["reasons"]["p_si_snr"] for row in rows[2::3]} == {"perfect"}
    assert {row["status"] for row in rows} == {"ok"}
    assert json.loads((scores / "run.json").read_text())["counts"]["n_inf"] == 4


def test_music_gets_the_metrics_of_music(
    make_set: MakeSet, make_estimates: MakeEstimates, make_scores: MakeScores
) -> None:
    folder = make_set(n=1, names=("vocals", "drums"), task="music_separation")
    rows = read_items(make_scores(folder, make_estimates(folder, named=True), metrics=None))
    assert rows[0]["reference"] == "vocals"
    assert rows[0]["sdr_v4_med"] == pytest.approx(20.0, abs=0.5)
    assert "stoi" not in rows[0]


def test_workers_change_nothing(
    make_set: MakeSet, make_estimates: MakeEstimates, tmp_path: Path
) -> None:
    folder = make_set(n=5)
    plan = plan_score(folder, make_estimates(folder, spread_db=5.0), metrics=FAST)
    for workers in (1, 2):
        score_plan(plan, tmp_path / str(workers), workers=workers)
    one, two = (tmp_path / str(workers) / "items.jsonl" for workers in (1, 2))
    assert one.read_bytes() == two.read_bytes()
    assert [row["id"] for row in read_items(tmp_path / "2")][::2] == [
        f"test_{i:03d}" for i in range(5)
    ]


def test_a_killed_run_continues_where_it_stopped(
    make_set: MakeSet,
    make_estimates: MakeEstimates,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = make_set(n=4)
    failures = [{"id": "test_000", "reason": "a line\u2028separator"}]
    plan = plan_score(folder, make_estimates(folder, failures=failures), metrics=FAST)
    whole, resumed = tmp_path / "whole", tmp_path / "resumed"
    score_plan(plan, whole)
    scored: list[str] = []

    def stop_at_the_third(
        job: score_mixture.ScoringJob, pending: score_mixture.PendingMixture
    ) -> score_mixture.Scored:
        if len(scored) == 2:
            raise KeyboardInterrupt
        scored.append(pending.scene.id)
        return score_mixture.score_mixture(job, pending)

    monkeypatch.setattr(score_module, "score_mixture", stop_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        score_plan(plan, resumed)
    assert not (resumed / "items.jsonl").exists()
    with (resumed / "unfinished.jsonl").open("a") as stream:
        stream.write('{"id": "test_002", "rows": [{"id')  # cut short by a kill

    scored.clear()
    score_plan(plan, resumed)
    assert scored == ["test_002", "test_003"]
    assert (resumed / "items.jsonl").read_bytes() == (whole / "items.jsonl").read_bytes()
    assert not (resumed / "unfinished.jsonl").exists()


def test_the_journal_of_other_inputs_is_not_used(
    make_set: MakeSet, make_estimates: MakeEstimates, tmp_path: Path
) -> None:
    folder, out = make_set(n=2), tmp_path / "scores"
    out.mkdir()
    row = '{"id": "test_000", "rows": [], "baseline": null}'
    (out / "unfinished.jsonl").write_text(f'{{"inputs_sha256": "other"}}\n{row}\n')
    score_plan(plan_score(folder, make_estimates(folder), metrics=FAST), out)
    assert len(read_items(out)) == 4


def test_the_baseline_is_computed_once_for_a_set(
    make_set: MakeSet,
    make_estimates: MakeEstimates,
    make_scores: MakeScores,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = make_set(n=2)
    first = read_items(make_scores(folder, make_estimates(folder, "one")))
    (cache,) = (folder / mixture_baseline.FOLDER).iterdir()
    baselines: list[object] = []

    def spy(**arguments: Any) -> ItemScores:
        baselines.append(arguments["baseline"])
        return evaluate(**arguments)

    monkeypatch.setattr(score_mixture, "evaluate", spy)
    second = read_items(make_scores(folder, make_estimates(folder, "two")))
    assert None not in baselines
    assert [row["si_sdri"] for row in first] == [row["si_sdri"] for row in second]
    assert len(cache.read_text().splitlines()) == 2


def test_a_changed_set_gets_another_baseline(make_set: MakeSet) -> None:
    before = mixture_baseline.cache_path(RenderedSet(make_set()), spec_sha256="a")
    after = mixture_baseline.cache_path(RenderedSet(make_set(seed=1)), spec_sha256="a")
    assert before != after


def test_a_set_without_write_permission_is_scored_without_a_cache(
    make_set: MakeSet, make_estimates: MakeEstimates, make_scores: MakeScores
) -> None:
    folder = make_set(n=1)
    (folder / mixture_baseline.FOLDER).write_text("a file where the folder would be")
    assert len(read_items(make_scores(folder, make_estimates(folder)))) == 2


def test_refuses_estimates_of_another_manifest(
    make_set: MakeSet, make_estimates: MakeEstimates
) -> None:
    estimates = make_estimates(make_set("one"))
    with pytest.raises(InputError, match="made for the manifest"):
        plan_score(make_set("two", seed=5), estimates)


def test_refuses_a_manifest_that_was_changed_after_rendering(
    make_set: MakeSet, make_estimates: MakeEstimates
) -> None:
    folder, other = make_set("one", n=1), make_set("two", n=1, seed=5)
    shutil.copy(other / "manifest.jsonl", folder / "manifest.jsonl")
    with pytest.raises(InputError, match="was rendered from the manifest"):
        plan_score(folder, make_estimates(folder), metrics=FAST)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 130), (signal.SIGKILL, -signal.SIGKILL)]
)
def test_workers_end_with_the_program(
    make_set: MakeSet,
    make_estimates: MakeEstimates,
    tmp_path: Path,
    signalled: Signalled,
    number: signal.Signals,
    code: int,
) -> None:
    folder = make_set(n=300)
    command = ["evalsuite", "score", "--set", folder, "--estimates", make_estimates(folder)]
    assert signalled([*command, "--out", tmp_path / "scores"], number, to_all=False)[0] == code


def test_refuses_another_split(make_set: MakeSet, make_estimates: MakeEstimates) -> None:
    folder = make_set()
    with pytest.raises(InputError, match="split 'test', not 'valid'"):
        plan_score(folder, make_estimates(folder), split="valid")


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"sample_rate": 16000}, "estimates are at 16000 Hz"),
        ({"schema": "estimates/9"}, "schema"),
        ({"named": "perhaps"}, "named"),
    ],
)
def test_refuses_bad_records_of_estimates(
    make_set: MakeSet, make_estimates: MakeEstimates, changes: dict[str, Any], match: str
) -> None:
    folder = make_set(n=1)
    with pytest.raises(InputError, match=match):
        plan_score(folder, make_estimates(folder, **changes))


def test_refuses_unknown_metrics_and_tasks(
    make_set: MakeSet, make_estimates: MakeEstimates
) -> None:
    folder = make_set(n=1)
    with pytest.raises(UsageError, match="no metric 'sdr'"):
        plan_score(folder, make_estimates(folder), metrics=["sdr"])
    odd = make_set("odd", n=1, task="karaoke")
    with pytest.raises(InputError, match="karaoke"):
        plan_score(odd, make_estimates(odd))


def test_refuses_a_folder_without_estimates(make_set: MakeSet, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no estimates"):
        plan_score(make_set(n=1), tmp_path)


def test_a_missing_reference_stops_the_run(
    make_set: MakeSet, make_estimates: MakeEstimates, tmp_path: Path
) -> None:
    folder = make_set(n=1)
    plan = plan_score(folder, make_estimates(folder), metrics=FAST)
    shutil.rmtree(folder / "test_000")
    with pytest.raises(InputError, match=r"audio file .* does not exist"):
        score_plan(plan, tmp_path / "scores")


def halve(path: Path) -> None:
    samples, rate = soundfile.read(path)
    soundfile.write(path, 0.5 * samples, rate, subtype="FLOAT")


@pytest.mark.parametrize("name", ["mixture", "s2"])
@pytest.mark.parametrize("damage", [halve, remove, write_garbage])
def test_refuses_a_set_whose_samples_are_not_those_that_were_rendered(
    make_set: MakeSet, make_estimates: MakeEstimates, name: str, damage: Callable[[Path], None]
) -> None:
    folder = make_set(n=2)
    estimates = make_estimates(folder)
    damage(folder / "test_001" / f"{name}.wav")
    with pytest.raises(InputError, match=rf"test_001/{name}.wav.*`mixgen verify .*tiny`"):
        plan_score(folder, estimates)


def test_checks_what_metrics_of_echo_and_cancellers_read() -> None:
    record = echo_record(np.zeros((1, 800)), sample_rate=8000, n_near=1)
    names = [name for _, name in _scored_files([record])]
    assert names == ["mixture", "s1", "echo", "echo_far_end"]


def test_a_set_with_other_bytes_and_the_same_samples_is_scored(
    make_set: MakeSet, make_estimates: MakeEstimates
) -> None:
    folder = make_set(n=1)
    with (folder / "test_000" / "s1.wav").open("ab") as stream:
        stream.write(b"LIST\x04\x00\x00\x00INFO")
    assert plan_score(folder, make_estimates(folder)).scenes


def test_refuses_a_set_whose_rows_are_missing(
    make_set: MakeSet, make_estimates: MakeEstimates
) -> None:
    folder = make_set(n=2)
    record = folder / "rendered.jsonl"
    record.write_text("".join(record.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(InputError, match="no line for test_001/s2"):
        plan_score(folder, make_estimates(folder))


def test_a_reference_whose_score_fails_makes_its_item_fail(
    make_set: MakeSet, make_estimates: MakeEstimates, make_scores: MakeScores
) -> None:
    folder = make_set(n=2)
    estimates = make_estimates(folder)
    path = estimates / "test_001" / "est1.wav"
    samples, rate = soundfile.read(path)
    soundfile.write(path, 0.0 * samples, rate, subtype="FLOAT")
    rows = read_items(make_scores(folder, estimates))
    assert [row["status"] for row in rows] == ["ok", "ok", "ok", "failed"]
    assert (rows[3]["reason"], rows[3]["si_sdr"], rows[3]["snr"]) == ("silent_estimate", None, 0.0)
    assert rows[3]["mixture"].keys() == {"si_sdr", "snr"}


def test_too_short_for_the_filter_has_no_bss_eval() -> None:
    scores = evaluate(
        references=np.ones((2, 1, 160)) * [[[1.0]], [[2.0]]],
        estimates=[np.ones((1, 160))] * 2,
        mixture=np.full((1, 160), 3.0),
        sample_rate=8000,
        metrics=["bss512"],
    )
    assert all(
        r.reasons["sdr_bss512"].startswith("too_short: 160 samples") for r in scores.references
    )


def test_a_reference_that_is_no_speech_has_no_speech_metrics(
    make_set: MakeSet, make_estimates: MakeEstimates, make_scores: MakeScores
) -> None:
    folder = make_set(n=1, kinds=("speech", "noise"))
    rows = read_items(make_scores(folder, make_estimates(folder), metrics=("stoi", "si_sdr")))
    reasons = [row["reasons"].get("stoi", "") for row in rows]
    assert "noise" not in reasons[0]
    assert reasons[1] == "not_applicable: for speech, and the reference is noise"
    assert [row["status"] for row in rows] == ["ok", "ok"]
    assert all(row["si_sdr"] is not None for row in rows)
