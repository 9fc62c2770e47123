"""Every metric of the table with the same cases."""

import dataclasses
import itertools
import json
import math
from collections.abc import Callable
from typing import get_args

import numpy as np
import pytest

from evalsuite.metrics import (
    ItemScores,
    Metric,
    evaluate,
    reason_of,
    select,
    spec,
    spec_sha256,
    table,
)
from evalsuite.metrics.table import check_columns, judges
from mixgen.core.errors import SuiteError, UsageError
from mixgen.core.vocabulary import SOUND_TASKS, SPEECH_TASKS, STEM_TASKS, Task
from tests.evalsuite.metrics.conftest import Array, echo_record

RATE = 16_000
Case = Callable[[Array], list[Array]]


def unequal(talkers: Array) -> list[Array]:
    return [0.8 * talkers[0] + 0.1 * talkers[1], talkers[1] + 0.2 * talkers[0]]


CASES: dict[str, Case] = {
    "perfect": lambda talkers: list(talkers),
    "mixture": lambda talkers: [talkers.sum(axis=0)] * 2,
    "noisy": unequal,
    "permuted": lambda talkers: unequal(talkers)[::-1],
    "sign_flip": lambda talkers: [-e for e in unequal(talkers)],
    "offset": lambda talkers: [e + 0.1 for e in unequal(talkers)],
    "late": lambda talkers: [np.roll(e, 3, axis=-1) for e in unequal(talkers)],
    "early": lambda talkers: [np.roll(e, -3, axis=-1) for e in unequal(talkers)],
    "silent": lambda talkers: [np.zeros_like(e) for e in unequal(talkers)],
    "constant": lambda talkers: [np.full_like(e, 0.1) for e in unequal(talkers)],
    "faint": lambda talkers: [1e-9 * e for e in unequal(talkers)],
    "loud": lambda talkers: [1e9 * e for e in unequal(talkers)],
    "faintest": lambda talkers: [1e-160 * e for e in unequal(talkers)],
    "loudest": lambda talkers: [1e160 * e for e in unequal(talkers)],
    "one": lambda talkers: unequal(talkers)[:1],
    "none": lambda _: [],
    "three": lambda talkers: [*unequal(talkers), talkers.sum(axis=0)],
    "not_finite": lambda talkers: [np.full_like(talkers[0], np.nan), talkers[1]],
    "short": lambda talkers: [e[..., :-1] for e in unequal(talkers)],
}


def score(metric: Metric, references: Array, estimates: list[Array]) -> ItemScores:
    """Score in a scene whose echo, for the metrics that ask for it, sounds all the time."""
    rate = RATE if metric.applies_at(RATE) else metric.lowest_rate
    mixture = references.sum(axis=0)
    return evaluate(
        references=references,
        estimates=estimates,
        mixture=mixture,
        sample_rate=rate,
        metrics=[metric.name],
        record=echo_record(mixture, sample_rate=rate, n_near=len(references)),
        read=lambda _: np.ones_like(mixture),
    )


def check_scores(metric: Metric, scores: ItemScores) -> None:
    """Check that every column holds a finite number or a reason, in strict JSON."""
    json.dumps(dataclasses.asdict(scores), allow_nan=False)
    for reference in scores.references:
        ranked = set(metric.columns + metric.improvement_columns)
        assert ranked <= set(reference.values) <= set(metric.all_columns)
        for column, value in reference.values.items():
            assert (value is None) == (column in reference.reasons)
            assert value is None or math.isfinite(value)
        for text in reference.reasons.values():
            reason_of(text)


# Judges have tests of their own: they hear speech, and may not be installed.
COMPUTED = {name: metric for name, metric in table().items() if name not in judges()}
OF_REFERENCE = [name for name, metric in COMPUTED.items() if metric.scope == "reference"]


def test_metrics_of_a_mixture_or_a_set_give_numbers_or_reasons(talkers: Array) -> None:
    others = [metric for metric in COMPUTED.values() if metric.scope != "reference"]
    for metric, estimates in itertools.product(others, CASES.values()):
        found = score(metric, talkers, estimates(talkers)).mixture
        json.dumps(dataclasses.asdict(found), allow_nan=False)
        assert {c for c, value in found.values.items() if value is None} == set(found.reasons)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", OF_REFERENCE)
def test_every_case_gives_numbers_or_reasons(name: str, case: str, talkers: Array) -> None:
    metric = table()[name]
    scores = score(metric, talkers, CASES[case](talkers))
    check_scores(metric, scores)
    assert scores.status == ("failed" if case in {"not_finite", "short"} else "ok")
    assert len(scores.references) == 2


@pytest.mark.parametrize("name", OF_REFERENCE)
def test_degenerate_references_give_numbers_or_reasons(name: str, talkers: Array) -> None:
    metric = table()[name]
    half_silent = talkers * np.array([1.0, 0.0])[:, None, None]
    check_scores(metric, score(metric, half_silent, unequal(talkers)))
    check_scores(metric, score(metric, 0.0 * talkers, unequal(talkers)))
    check_scores(metric, score(metric, talkers[..., :1], [talkers[0, :, :1]] * 2))
    check_scores(metric, score(metric, talkers[:1], [talkers[0] + 0.1 * talkers[1]]))
    stereo = np.concatenate([talkers, 0.5 * talkers], axis=1)
    check_scores(metric, score(metric, stereo, list(stereo + 0.1 * stereo[::-1])))


LEVEL_BLIND = ["si_sdr", "bss512", "stoi", "pesq_wb16k", "lag", "srmr", "mfcc", "si_sdr_dt"]


@pytest.mark.parametrize("level", [1e-160, 1e-9, 1e9, 1e160])
@pytest.mark.parametrize("name", LEVEL_BLIND)
def test_the_level_of_an_estimate_changes_nothing(name: str, level: float, talkers: Array) -> None:
    """PESQ computes in float32."""
    noise = 0.01 * np.random.default_rng(3).standard_normal(talkers.shape)
    estimates = np.stack(unequal(talkers)) + noise
    plain = score(table()[name], talkers, list(estimates))
    scaled = score(table()[name], talkers, list(level * estimates))
    for before, after in zip(plain.references, scaled.references, strict=True):
        assert after.values == pytest.approx(before.values, rel=1e-5, abs=1e-9)


@pytest.mark.parametrize("name", OF_REFERENCE)
def test_order_of_estimates_does_not_matter(name: str, talkers: Array) -> None:
    plain = score(table()[name], talkers, CASES["noisy"](talkers))
    permuted = score(table()[name], talkers, CASES["permuted"](talkers))
    assert (plain.permutation, permuted.permutation) == ((0, 1), (1, 0))
    assert [r.values for r in plain.references] == [r.values for r in permuted.references]


@pytest.mark.parametrize("name", [name for name in OF_REFERENCE if table()[name].columns])
def test_better_estimates_score_better(name: str, talkers: Array) -> None:
    metric = table()[name]
    worse = score(metric, talkers, list(talkers + 0.7 * talkers[::-1]))
    better = score(metric, talkers, list(talkers + 0.1 * talkers[::-1]))
    # Leakage is interference, not artifacts, SRMR looks at reverberation alone, and both estimates
    # are nearest to their own talker.
    for column in metric.columns:
        if "sar" in column or column in ("srmr", "wrong_talker"):
            continue
        for low, high in zip(worse.references, better.references, strict=True):
            gain = (high.values[column] or 0.0) - (low.values[column] or 0.0)
            assert gain > 0 if metric.higher_is_better else gain < 0


@pytest.mark.parametrize("name", [name for name in OF_REFERENCE if table()[name].improvements])
def test_the_mixture_improves_nothing(name: str, talkers: Array) -> None:
    metric = table()[name]
    scores = score(metric, talkers, CASES["mixture"](talkers))
    for reference in scores.references:
        for column in metric.improvement_columns:
            assert reference.values[column] == pytest.approx(0.0, abs=1e-12)


def test_a_column_filled_twice_is_refused() -> None:
    snr = table()["snr"]
    other = dataclasses.replace(snr, name="other")
    with pytest.raises(SuiteError, match="columns of the metrics are called 'snr'"):
        check_columns([snr, other])


def test_defaults_follow_task_and_rate() -> None:
    def columns(task: str, rate: int) -> set[str]:
        return {c for row in select(task=task, sample_rate=rate) for c in row.columns}

    bss = {"sdr_bss512", "sir_bss512", "sar_bss512"}
    speech = {"si_sdr", "snr", "stoi", "estoi"} | bss
    more = {
        "meetings": {
            "sa_sdr",
            "si_sdr_active",
            "si_sdr_utt_best",
            "si_sdr_utt_stream",
            "der_collar0ms",
            "der_collar250ms",
        },
        "dereverberation": {"srmr", "lsd_db", "mfcc_distance"},
        "echo_cancellation": {"si_sdr_dt", "snr_dt"},
        "target_speaker": {"wrong_talker"},
    }
    for task in SPEECH_TASKS:
        own = speech | more.get(task, set())
        assert columns(task, 8_000) == own | {"pesq_nb8k"}
        assert columns(task, 16_000) == own | {"pesq_nb16k", "pesq_wb16k"}
    for task in STEM_TASKS:
        assert columns(task, 44_100) == {"si_sdr", "snr", "sdr_v4_med", "sdr_v4_strict_med"}
    assert columns("universal_separation", 16_000) == {"si_sdr", "snr"} | bss


def test_every_task_is_of_speech_stems_or_sounds() -> None:
    assert set(get_args(Task)) == SPEECH_TASKS | STEM_TASKS | SOUND_TASKS
    assert all(row.tasks <= set(get_args(Task)) for row in table().values())


def test_unknown_names_are_refused() -> None:
    with pytest.raises(UsageError, match="no metric 'sdr': choose one of aecmos, bss512"):
        select(task="speech_separation", sample_rate=8000, metrics=["sdr"])
    with pytest.raises(UsageError, match="no task 'birds'"):
        select(task="birds", sample_rate=8000)


def test_the_hash_follows_the_definition() -> None:
    rows = list(table().values())
    assert spec_sha256(rows) == spec_sha256(rows[::-1]) == spec_sha256()
    changed = dataclasses.replace(rows[0], parameters={"taps": 1024})
    assert spec_sha256([changed, *rows[1:]]) != spec_sha256()
    assert json.loads(json.dumps(spec(), allow_nan=False)) == spec()


def test_every_column_is_defined_in_the_documentation(request: pytest.FixtureRequest) -> None:
    docs = request.config.rootpath / "docs"
    for page, metrics in (("metrics.md", COMPUTED), ("judges.md", judges())):
        text = (docs / page).read_text()
        columns = {c for row in metrics.values() for c in row.columns + row.diagnostics}
        assert {column for column in columns if f"`{column}`" not in text} == set()
