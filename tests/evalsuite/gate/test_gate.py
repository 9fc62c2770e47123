"""The gate: verdicts, pairing, tolerances, refusals."""

import json
from pathlib import Path
from statistics import fmean
from typing import Any, Protocol
from xml.etree import ElementTree

import pytest

from evalsuite.boards.statistics import mean_interval
from evalsuite.boards.talkers import talker_slicings
from evalsuite.gate import check as gate
from evalsuite.gate.check import CheckResult, check, parse_tolerances
from evalsuite.gate.verdicts import check_markdown, check_text, write_junit
from evalsuite.scoring.folder import ScoreFolder, SystemScores, open_scores, write_pinned
from mixgen.core.errors import InputError, UsageError
from mixgen.core.files import sha256_file
from tests.evalsuite.conftest import MakeEstimates, MakeScores, MakeSet


class MakePair(Protocol):
    """Scores a base and a candidate on a set of `n` mixtures; returns both folders.

    Keywords go to `make_estimates` for the candidate.
    """

    def __call__(self, n: int = 12, **candidate: Any) -> tuple[Path, Path]: ...


def compare(
    base: Path | SystemScores, candidate: Path | SystemScores, **options: Any
) -> CheckResult:
    return check(base=base, candidate=candidate, **options)


@pytest.fixture
def pair(make_set: MakeSet, make_estimates: MakeEstimates, make_scores: MakeScores) -> MakePair:
    """A base with noise at -10 dB; a candidate without keywords is equal."""

    def make(n: int = 12, **candidate: Any) -> tuple[Path, Path]:
        folder = make_set(n=n)
        base = make_estimates(folder, "base", noise_db=-10.0)
        other = make_estimates(folder, "candidate", **{"noise_db": -10.0, **candidate})
        return make_scores(folder, base), make_scores(folder, other)

    return make


@pytest.mark.parametrize("n", [1, 5, 12])
def test_the_same_scores_pass_whatever_their_number(pair: MakePair, n: int) -> None:
    result = compare(*pair(n))
    assert result.verdict == "pass"
    assert [m.mean_difference for m in result.metrics] == [0.0, 0.0]
    assert [m.metric for m in result.metrics] == ["si_sdr", "snr"]


def test_a_clear_loss_fails(pair: MakePair) -> None:
    """Differences are averaged per mixture before the mean and the interval."""
    base, candidate = pair(noise_db=-7.0, spread_db=0.5)
    result = compare(base, candidate)
    first = result.metrics[0]
    assert (result.verdict, first.verdict) == ("fail", "fail")
    differences = {
        row.id: fmean(
            new.values["si_sdr"] - old.values["si_sdr"]
            for old, new in zip(ScoreFolder(base).items, ScoreFolder(candidate).items, strict=True)
            if old.id == row.id
        )
        for row in ScoreFolder(base).items
    }
    assert first.n == 12
    assert first.mean_difference == pytest.approx(fmean(differences.values()))
    assert (first.ci_lo, first.ci_hi) == pytest.approx(mean_interval(list(differences.values())))
    assert first.share_worse_by_1_db == 1.0
    assert first.p_value == pytest.approx(2 / 2**12)
    assert first.p_holm == pytest.approx(2 * 2 / 2**12)
    assert len(first.worst) == 10
    assert first.worst[0].difference == min(item.difference for item in first.worst) < -2.0


def test_a_gain_passes(pair: MakePair) -> None:
    assert compare(*pair(noise_db=-14.0, spread_db=0.5)).verdict == "pass"


def test_five_noisy_mixtures_are_inconclusive(pair: MakePair) -> None:
    result = compare(*pair(5, spread_db=1.0))
    assert result.verdict == "inconclusive"
    assert {m.verdict for m in result.metrics} == {"inconclusive"}


def test_five_mixtures_never_pass_unless_nothing_differs(pair: MakePair) -> None:
    result = compare(*pair(5, noise_db=-10.0001))
    assert result.verdict == "inconclusive"
    assert "fewer than 6" in result.metrics[0].why


def test_five_mixtures_fail_where_all_lose_much(pair: MakePair) -> None:
    assert compare(*pair(5, noise_db=5.0, spread_db=1.0)).verdict == "fail"


def test_a_small_loss_passes_with_a_larger_tolerance(pair: MakePair) -> None:
    folders = pair(noise_db=-9.85)
    assert compare(*folders).verdict == "fail"
    assert compare(*folders, tolerances={"si_sdr": 0.2, "snr": 0.2}).verdict == "pass"


def test_many_mixtures_with_noise_are_inconclusive_rather_than_passed(pair: MakePair) -> None:
    assert compare(*pair(12, spread_db=2.0)).verdict == "inconclusive"


def test_a_new_failure_fails_however_good_the_rest(pair: MakePair) -> None:
    failures = [{"id": "test_004", "reason": "out of memory"}]
    result = compare(*pair(noise_db=-30.0, failures=failures))
    assert result.verdict == "fail"
    assert result.metrics[0].mean_difference > 10.0
    assert [line.split(":")[0] for line in result.metrics[0].new_failures] == [
        "test_004 s1",
        "test_004 s2",
    ]


def test_an_old_failure_is_no_regression(
    make_set: MakeSet, make_estimates: MakeEstimates, make_scores: MakeScores
) -> None:
    folder = make_set(n=8)
    failures = [{"id": "test_004", "reason": "out of memory"}]
    base = make_scores(folder, make_estimates(folder, "base", failures=failures))
    candidate = make_scores(folder, make_estimates(folder, "candidate"))
    result = compare(base, candidate)
    assert result.verdict == "pass"
    assert result.metrics[0].recovered == ["test_004 s1", "test_004 s2"]
    assert compare(base, base).verdict == "pass"


def test_perfect_stays_perfect_or_fails(
    make_set: MakeSet, make_estimates: MakeEstimates, make_scores: MakeScores
) -> None:
    folder = make_set(n=6)
    perfect = make_scores(folder, make_estimates(folder, "perfect", noise_db=-400.0))
    good = make_scores(folder, make_estimates(folder, "good", noise_db=-30.0))
    assert compare(perfect, perfect).verdict == "pass"
    assert compare(perfect, good).verdict == "fail"
    assert compare(good, perfect).verdict == "inconclusive"


def test_less_is_better_turns_the_sign(pair: MakePair) -> None:
    folders = pair(noise_db=-14.0)
    for folder in folders:
        path = folder / "run.json"
        run = json.loads(path.read_text())
        for metric in run["metrics"]:
            metric["higher_is_better"] = False
        path.write_text(json.dumps(run))
    result = compare(*folders)
    assert result.verdict == "fail"
    assert result.metrics[0].mean_difference == pytest.approx(-4.0, abs=0.2)


def test_columns_without_values_in_either_folder_are_skipped_unless_chosen(
    make_set: MakeSet, make_estimates: MakeEstimates, make_scores: MakeScores
) -> None:
    folder = make_set(n=1, names=("s1",))
    scores = make_scores(folder, make_estimates(folder), metrics=["si_sdr", "bss512"])
    result = compare(scores, scores)
    assert result.left_out == ["sir_bss512"]  # one reference: nothing interferes
    assert result.verdict == "pass"
    assert compare(scores, scores, columns=["sir_bss512"]).verdict == "inconclusive"


def test_chosen_columns_may_be_improvements(pair: MakePair) -> None:
    result = compare(*pair(), columns=["si_sdri"])
    assert [m.metric for m in result.metrics] == ["si_sdri"]


def test_refuses_other_manifests_and_definitions(
    make_set: MakeSet, make_estimates: MakeEstimates, make_scores: MakeScores
) -> None:
    one, two = make_set("one", n=2), make_set("two", n=2, seed=3)
    estimates = make_estimates(one, "a")
    scores = make_scores(one, estimates)
    with pytest.raises(InputError, match="different manifests"):
        compare(scores, make_scores(two, make_estimates(two, "b")))
    with pytest.raises(InputError, match="different metric definitions"):
        compare(scores, make_scores(one, estimates, "less", metrics=["si_sdr"]))


def test_refuses_other_splits_and_items(pair: MakePair) -> None:
    base, candidate = pair(2)
    items = candidate / "items.jsonl"
    items.write_text("".join(items.read_text().splitlines(keepends=True)[:2]))
    run = json.loads((candidate / "run.json").read_text())
    run["items_sha256"] = sha256_file(items)
    (candidate / "run.json").write_text(json.dumps(run))
    with pytest.raises(InputError, match="different items"):
        compare(base, candidate)
    (candidate / "run.json").write_text(json.dumps(run | {"split": "valid"}))
    with pytest.raises(InputError, match="different splits"):
        compare(base, candidate)


def test_refuses_unknown_columns(pair: MakePair) -> None:
    folders = pair(1)
    with pytest.raises(UsageError, match="no column 'sdr'"):
        compare(*folders, columns=["sdr"])
    with pytest.raises(UsageError, match="no column 'sdr'"):
        compare(*folders, tolerances={"sdr": 0.1})


def test_tolerances_are_parsed_as_typed() -> None:
    units = {"si_sdr": "dB", "snr": "dB", "stoi": "1"}
    assert parse_tolerances(["0.3", "stoi=0.02", "snr=0"], units) == {
        "si_sdr": 0.3,
        "snr": 0.0,
        "stoi": 0.02,
    }
    for word in ("si_sdr=", "much", "-1", "nan"):
        with pytest.raises(UsageError, match="is not allowed"):
            parse_tolerances([word], units)


@pytest.mark.parametrize(
    ("candidate", "verdict", "why"),
    [
        ({"noise_db": -11.0}, "pass", "the interval is above 0"),
        ({"noise_db": -10.0, "seed": 2, "spread_db": 2.0}, "inconclusive", "the interval holds 0"),
        ({"noise_db": -10.05, "n": 5}, "inconclusive", "fewer than 6 mixtures"),
        ({"noise_db": -9.0}, "fail", "the interval holds no gain"),
        ({}, "fail", "no item differs"),
        ({"noise_db": -30.0, "failures": [{"id": "test_004", "reason": "x"}]}, "fail", "2 items"),
    ],
)
def test_better_asks_for_an_interval_above_zero(
    pair: MakePair, candidate: dict[str, Any], verdict: str, why: str
) -> None:
    """By default of the column by which the set is ranked."""
    result = compare(*pair(**candidate), better=True)
    assert (result.verdict, result.question) == (verdict, "better")
    assert [(m.metric, m.tolerance) for m in result.metrics] == [("si_sdr", None)]
    assert result.metrics[0].why.startswith(why)


def with_overlap(scores: Path, of_fast: float) -> SystemScores:
    """Return scores of which the first half of the mixtures has this overlap, the others none."""
    opened = open_scores(scores)
    half = len(opened.items) // 2
    opened.items = [
        row.model_copy(update={"conditions": {"overlap": of_fast if i < half else 0.0}})
        for i, row in enumerate(opened.items)
    ]
    return opened


def test_slices_are_judged_like_the_set(pair: MakePair) -> None:
    """A loss in one half of the mixtures alone fails there."""
    base, candidate = (with_overlap(scores, 1.0) for scores in pair(40))
    candidate.items = [
        row.model_copy(update={"values": {**row.values, "si_sdr": row.values["si_sdr"] - loss}})
        for i, row in enumerate(candidate.items)
        for loss in [0.5 + 0.01 * (i % 7) if i < 40 else 0.0]
    ]
    result = compare(base, candidate, columns=["si_sdr"], by=["overlap", "count"])
    assert [(c.slice, c.verdict, c.n) for c in result.slices] == [
        ("overlap [0, 0.2)", "pass", 20),
        ("overlap [0.8, 1]", "fail", 20),
    ]
    assert result.slices[1].p_worse < 1e-6
    assert "slices: 1 fail, 1 pass" in check_text(result)
    assert "fail in si_sdr, overlap [0.8, 1]: worse by more than 0.1" in check_text(result)


def test_more_slicings_are_judged_by_their_names(pair: MakePair) -> None:
    """Such as those of talkers, whose labels are the references' here."""
    base, candidate = (open_scores(folder) for folder in pair(8))
    slicings = talker_slicings({"speaker_s1": "F", "speaker_s2": "M"})
    chosen = {"columns": ["si_sdr"], "by": ["gender", "genders"], "slicings": slicings}
    result = compare(base, candidate, **chosen)
    assert [(c.slice, c.n) for c in result.slices] == [("gender F", 8), ("gender M", 8)]


def test_a_slice_fails_only_after_the_correction(pair: MakePair) -> None:
    """Of many slices one may be worse by chance."""
    base, candidate = pair(12, noise_db=-9.9, spread_db=0.15)
    plain = compare(base, candidate, columns=["si_sdr"], tolerances={"si_sdr": 0.0})
    many = [plain.metrics[0].model_copy(update={"p_worse": 0.5}) for _ in range(40)]
    assert plain.metrics[0].verdict == "fail"
    corrected = gate._corrected([plain.metrics[0], *many])
    expected = "fail" if 41 * plain.metrics[0].p_worse < 0.025 else "inconclusive"
    assert corrected[0].verdict == expected


def test_refuses_unknown_slicings(pair: MakePair) -> None:
    with pytest.raises(UsageError, match="slicing"):
        compare(*pair(2), by=["weather"])


def test_the_power_is_that_of_the_spread(pair: MakePair) -> None:
    base, candidate = pair(12, noise_db=-10.0, seed=3, spread_db=1.0)
    check_of = compare(base, candidate).metrics[0]
    low, high = check_of.ci_lo, check_of.ci_hi
    assert check_of.detectable == pytest.approx(0.7 * (high - low), rel=0.15)
    assert "12 mixtures with this spread show a difference of" in check_text(
        compare(base, candidate)
    )


def test_pinned_scores_are_a_base(pair: MakePair, tmp_path: Path) -> None:
    """Verdicts are those of the folder they were pinned from."""
    base, candidate = pair(noise_db=-9.0, spread_db=0.5)
    pinned = tmp_path / "baseline.jsonl"
    write_pinned(pinned, open_scores(base))
    for options in ({}, {"better": True}):
        from_folder = compare(base, candidate, **options)
        from_pinned = compare(pinned, candidate, **options)
        assert from_pinned.metrics == from_folder.metrics
    pinned.write_text(pinned.read_text().replace("test_000", "test_099", 1))
    with pytest.raises(InputError, match="was changed after it was pinned"):
        compare(pinned, candidate)
    with pytest.raises(InputError, match="schema"):
        compare(candidate / "items.jsonl", candidate)


def test_junit_has_a_case_per_metric(pair: MakePair, tmp_path: Path) -> None:
    result = compare(*pair(noise_db=-7.0, spread_db=0.5))
    write_junit(tmp_path / "check.xml", result)
    suite = ElementTree.parse(tmp_path / "check.xml").getroot()
    assert (suite.get("tests"), suite.get("failures")) == ("2", "2")
    first = suite[0]
    assert (first.get("name"), first.get("classname")) == ("si_sdr", "tiny")
    failure = first.find("failure")
    assert failure is not None
    assert failure.get("message") == "worse by more than 0.1"
    worst = result.metrics[0].worst[0]
    assert str(failure.text).startswith(f"{worst.id} {worst.reference} {worst.base:.2f} -> ")


def test_a_row_of_a_mixture_is_named_after_the_mixture(
    make_set: MakeSet, make_estimates: MakeEstimates, make_scores: MakeScores
) -> None:
    folder, failures = make_set(n=6), [{"id": "test_004", "reason": "out of memory"}]
    base, candidate = (
        make_scores(folder, make_estimates(folder, name, **options), metrics=["p_si_snr"])
        for name, options in (("base", {}), ("new", {"noise_db": -7.0, "failures": failures}))
    )
    lines = check_text(compare(base, candidate)).splitlines()
    assert "new failure: test_004: missing_estimate: the separator failed: out of memory" in lines
    assert any(line.startswith("worst in p_si_snr: test_00") for line in lines)
    assert not any("None" in line for line in lines)


def test_markdown_has_the_tables_of_metrics_and_slices(pair: MakePair) -> None:
    base, candidate = (with_overlap(scores, 1.0) for scores in pair(12))
    text = check_markdown(compare(base, candidate, by=["overlap"]))
    assert text.startswith("# not worse: pass\n")
    assert "| si\\_sdr | pass | +0.000 |" in text
    assert "| si\\_sdr, overlap \\[0, 0.2) | pass |" in text
