"""Word error rates with a recogniser of the user: no judge has to be installed."""

import functools
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from evalsuite.boards.leaderboard import rank
from evalsuite.boards.paired import pair_column
from evalsuite.boards.slices import SLICINGS, slice_rows
from evalsuite.boards.statistics import mean_interval
from evalsuite.gate.check import check
from evalsuite.metrics import ItemScores, evaluate, select
from evalsuite.probes.recogniser import word_errors, words_of
from evalsuite.scoring.folder import SystemScores, linearised, read_pinned, write_pinned
from evalsuite.scoring.records import Counts, ItemRow, MetricDefinition, ScoresRun, Separation
from evalsuite.scoring.score import score as score_set
from mixgen.core.errors import InputError, UsageError
from mixgen.manifest.mixture import Event, Gain, Level, Mixture, Source
from tests.evalsuite.conftest import MakeEstimates, MakeSet
from tests.evalsuite.probes.fake_recogniser import spoken

Array = NDArray[np.float64]

FAKE = "tests.evalsuite.probes.fake_recogniser:transcribe"
DWER, WER = f"dwer@{FAKE}", f"wer@{FAKE}"


def fewest_edits(reference: Sequence[str], estimate: Sequence[str]) -> int:
    """The recursive definition of the Levenshtein distance."""

    @functools.cache
    def edits(i: int, j: int) -> int:
        if i == 0 or j == 0:
            return i + j
        replaced = edits(i - 1, j - 1) + (reference[i - 1] != estimate[j - 1])
        return min(replaced, edits(i - 1, j) + 1, edits(i, j - 1) + 1)

    return edits(len(reference), len(estimate))


words = st.lists(st.sampled_from("abc"), max_size=7)


@given(words, words)
def test_errors_are_the_fewest_edits(reference: list[str], estimate: list[str]) -> None:
    assert word_errors(reference=reference, estimate=estimate) == fewest_edits(reference, estimate)


def test_words_have_no_case_and_no_punctuation() -> None:
    text = " It’s “half-past” TEN, isn't it? 'Yes' — Straße 7_8."
    assert " ".join(words_of(text)) == "it's half past ten isn't it yes strasse 7 8"
    assert words_of(" ... ") == []


def score(
    references: Sequence[Array | Sequence[str]],
    estimates: Sequence[Array | Sequence[str] | None],
    metric: str = DWER,
    record: Mixture | None = None,
    sample_rate: int = 16000,
) -> ItemScores:
    """Score words or signals against words or signals, all of the length of the longest."""
    given_ = [
        None if s is None else s if isinstance(s, np.ndarray) else signal(s, sample_rate)
        for s in (*references, *estimates)
    ]
    longest = max(s.shape[-1] for s in given_ if s is not None)
    padded = [
        None if s is None else np.pad(s, ((0, 0), (0, longest - s.shape[-1]))) for s in given_
    ]
    clean = np.stack([s for s in padded[: len(references)] if s is not None])
    return evaluate(
        references=clean,
        estimates=padded[len(references) :],
        mixture=clean.sum(axis=0),
        sample_rate=sample_rate,
        names=[f"s{i}" for i in range(len(clean))] if len(estimates) == len(clean) else None,
        metrics=[metric],
        record=record,
    )


def signal(said: Sequence[str], sample_rate: int = 16000) -> Array:
    return spoken(*said, sample_rate=sample_rate)[None] if said else np.zeros((1, 1600))


def test_insertions_deletions_and_substitutions_count() -> None:
    scores = score(
        [["one", "two", "three"], ["four", "five"]],
        [["one", "three"], ["four", "one", "five", "two", "two"]],
    )
    first, second = (r.values for r in scores.references)
    assert first == {"dwer": 1 / 3, "dwer_errors": 1.0, "dwer_words": 3.0}
    # A rate is not cut at 1.
    assert second == {"dwer": 1.5, "dwer_errors": 3.0, "dwer_words": 2.0}


@pytest.mark.parametrize("sample_rate", [8000, 16000, 44100])
def test_signals_are_resampled(sample_rate: int) -> None:
    found = score([["one", "two"]], [["one", "five"]], sample_rate=sample_rate)
    assert found.references[0].values["dwer"] == 0.5


def test_silence_deletes_all_words() -> None:
    scores = score([["one", "two"]], [np.zeros((1, 3200))])
    assert scores.references[0].values == {"dwer": 1.0, "dwer_errors": 2.0, "dwer_words": 2.0}
    assert scores.references[0].failures == {}


def test_channels_add_up() -> None:
    stereo = np.concatenate([signal(["one", "two"]), signal(["one", "three"])])
    heard = np.concatenate([signal(["one", "two"]), signal(["four", "four"])])
    assert score([stereo], [heard]).references[0].values["dwer_errors"] == 2.0
    half = np.concatenate([signal(["one", "two"]), np.zeros((1, 3200))])
    assert score([half], [heard]).references[0].values["dwer_words"] == 2.0


def test_a_reference_without_words_has_no_rate() -> None:
    quiet = 1e-6 * signal(["one", "two"])
    (found,) = score([quiet], [["one", "two"]]).references
    assert found.reasons == {"dwer": "not_applicable: no word in the reference"}
    assert (found.values["dwer_errors"], found.values["dwer_words"]) == (2.0, 0.0)
    (silent,) = score([np.zeros((1, 3200))], [["one", "two"]]).references
    assert silent.reasons == {"dwer": "silent_reference"}
    assert "dwer_errors" not in silent.values


@pytest.mark.parametrize("level", [1e-160, 1e160])
def test_levels_beyond_float32_are_heard_or_silent(level: float) -> None:
    (found,) = score([["one", "two"]], [level * signal(["one", "two"])]).references
    assert found.values["dwer"] == (0.0 if level > 1 else 1.0)


def test_one_sample_is_no_word() -> None:
    (found,) = score([np.ones((1, 1))], [np.ones((1, 1))]).references
    assert found.reasons["dwer"] == "not_applicable: no word in the reference"


@pytest.mark.parametrize(
    ("estimates", "reason"),
    [([None], "missing_estimate"), ([np.full((1, 3200), np.nan)], "non_finite_estimate")],
)
def test_what_cannot_be_scored_loses_all_words(estimates: list[Array | None], reason: str) -> None:
    (found,) = score([["one", "two"]], estimates).references
    assert found.reasons["dwer"].startswith(reason)
    assert found.values["dwer"] is None
    assert (found.values["dwer_errors"], found.values["dwer_words"]) == (2.0, 2.0)


def record(text: str, source_time: float = 0.0) -> Mixture:
    event = Event(
        corpus="c",
        path="a.wav",
        sha256="0" * 64,
        source_time=source_time,
        event_time=0.0,
        event_duration=0.2,
        snr=0.0,
        text=text,
    )
    source = Source(
        name="s1",
        role="target",
        label="a",
        kind="speech",
        events=[event],
        gain=Gain(rule="energy"),
    )
    return Mixture(
        id="m",
        split="test",
        sample_rate=16000,
        channels=1,
        frames=3200,
        seed=1,
        sources=[source],
        level=Level(reference_db=-30.0),
        targets=["s1"],
    )


def test_wer_compares_with_the_transcript_of_the_record() -> None:
    (found,) = score([["one", "two"]], [["one", "two"]], WER, record("One TWO three?")).references
    assert found.values == {"wer": 1 / 3, "wer_errors": 1.0, "wer_words": 3.0}
    for transcript, why in (
        (None, "the record has no transcript of the reference"),
        (record(""), "the record has no transcript of the reference"),
        (record("one two", source_time=1.0), "the transcript is of more than the excerpt"),
    ):
        (found,) = score([["one", "two"]], [["one", "two"]], WER, transcript).references
        assert found.reasons == {"wer": f"not_applicable: {why}"}


def test_a_recogniser_that_fails_ends_the_run_with_a_sentence() -> None:
    with pytest.raises(InputError, match=r"failing failed on 0\.2 s of sound: ValueError: cannot"):
        score([["one", "two"]], [["one", "two"]], DWER.replace("transcribe", "failing"))


def test_a_recogniser_has_to_return_text() -> None:
    with pytest.raises(InputError, match="listing returned a list: return the words as a str"):
        score([["one", "two"]], [["one", "two"]], DWER.replace("transcribe", "listing"))


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("dwer@nobody", "no recogniser 'nobody': choose whisper, pocketsphinx or module:function"),
        ("dwer@json:nothing", "json:nothing is no recogniser and cannot be imported"),
        ("dwer@json:__name__", "is not a function"),
        ("dwer@:f", ":f is no recogniser: write MODULE:NAME"),
        ("si_sdr@nobody", "The metric 'si_sdr' takes no choice: leave out @nobody"),
    ],
)
def test_bad_choices_are_refused(name: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        select(task="speech_separation", sample_rate=8000, metrics=[name])


def test_two_recognisers_cannot_fill_one_column() -> None:
    with pytest.raises(UsageError, match="both fill the column 'dwer': name one of them"):
        select(task="speech_separation", sample_rate=8000, metrics=["dwer", DWER])


def test_another_recogniser_is_another_definition() -> None:
    (one,) = select(task="speech_separation", sample_rate=8000, metrics=[DWER])
    (other,) = select(
        task="speech_separation", sample_rate=8000, metrics=[DWER.replace("transcribe", "failing")]
    )
    assert one.columns == other.columns
    assert one.spec() != other.spec()
    assert len(str(one.parameters["source_sha256"])) == 64


def test_judges_are_off_by_default() -> None:
    for task in ("speech_separation", "echo_cancellation", "meetings"):
        names = {m.name for m in select(task=task, sample_rate=16000)}
        assert not names & {"dwer", "wer", "talker_sim", "dnsmos", "visqol", "aecmos", "emotion"}


Parts = tuple[float, float]


def scores_of(path: Path, parts: dict[str, list[Parts | None]]) -> SystemScores:
    """Return scores of references with these errors and words; None is a failure of one word."""
    rows = []
    for number, (mixture_id, known) in enumerate(parts.items()):
        for index, part in enumerate(known):
            errors, total = part or (1.0, 1.0)
            value = errors / total if total and part else None
            reason = "missing_estimate" if part is None else "not_applicable: no word"
            rows.append(
                ItemRow(
                    id=mixture_id,
                    reference=f"s{index}",
                    label=f"s{index}",
                    estimate=None,
                    n_ref=len(known),
                    n_est=len(known),
                    permutation=[],
                    duration_s=1.0,
                    conditions={"overlap": 0.1 + 0.5 * (number % 2)},
                    status="ok",
                    reason=None,
                    values={"dwer": value, "dwer_errors": errors, "dwer_words": total},
                    reasons={} if value is not None else {"dwer": reason},
                )
            )
    (metric,) = select(task="speech_separation", sample_rate=16000, metrics=[DWER])
    counts = Counts(n=len(parts), n_failed=0, n_references=len(rows), n_inf=0)
    run = ScoresRun(
        model=path.name,
        checkpoint_sha256=None,
        manifest_sha256="m" * 64,
        set="set",
        split="test",
        task="speech_separation",
        named=False,
        sample_rate=16000,
        metric_spec_sha256="s" * 64,
        inputs_sha256="i" * 64,
        items_sha256="",
        counts=counts,
        separation=Separation(device=None, threads=None, versions={}),
        hardware={},
        versions={},
        date="2026-01-01",
        metrics=[MetricDefinition.model_validate(metric.spec())],
    )
    return SystemScores(path, run, rows)


def some_parts(seed: int, rate: float, n: int = 40) -> dict[str, list[Parts | None]]:
    """Words are alike for every seed, errors are not; some references have no words."""
    lengths = np.random.default_rng(0).poisson(6, (n, 2))
    errors = np.random.default_rng(seed).poisson(rate * lengths + 0.02)
    return {
        f"m{i:02d}": [(float(e), float(w)) for e, w in zip(errors[i], lengths[i], strict=True)]
        for i in range(n)
    }


def rate_of(parts: dict[str, list[Parts | None]]) -> float:
    pairs = [part or (1.0, 1.0) for known in parts.values() for part in known]
    return sum(e for e, _ in pairs) / sum(w for _, w in pairs)


def test_a_leaderboard_has_the_ratio_of_sums(tmp_path: Path) -> None:
    parts = some_parts(1, 0.3)
    (row,) = rank([scores_of(tmp_path / "a", parts)])
    assert row["headline"] == "dwer_mean"
    assert row["dwer_mean"] == pytest.approx(rate_of(parts), abs=1e-12)
    values = [e / w for known in parts.values() for e, w in filter(None, known) if w]
    assert abs(row["dwer_mean"] - np.mean(values)) > 1e-3  # which a mean of rates is not
    assert row["dwer_ci_lo"] < row["dwer_mean"] < row["dwer_ci_hi"]


def test_a_failure_counts_its_words_as_lost(tmp_path: Path) -> None:
    parts = some_parts(1, 0.0, n=8)
    failed = {**parts, "m00": [None, *parts["m00"][1:]]}
    (row,) = rank([scores_of(tmp_path / "a", failed)])
    assert row["dwer_mean"] == pytest.approx(rate_of(failed), abs=1e-12)
    assert (row["dwer_nfail"], row["dwer_scored_mean"] < row["dwer_mean"]) == (1, True)


def test_slices_have_the_ratio_of_their_sums(tmp_path: Path) -> None:
    parts = some_parts(2, 0.3)
    overlap = next(slicing for slicing in SLICINGS if slicing.name == "overlap")
    rows = slice_rows([scores_of(tmp_path / "a", parts)], overlap)
    assert [row["n"] for row in rows] == [20, 20]
    for row, first in zip(rows, (0, 1), strict=True):
        part = {i: parts[i] for i in list(parts)[first::2]}
        assert row["value"] == pytest.approx(rate_of(part), abs=1e-12)


def test_the_spread_is_that_of_the_bootstrapped_ratio() -> None:
    """Against the plain bootstrap of the ratio, over mixtures."""
    parts = some_parts(3, 0.4, n=150)
    values = linearised((i, part) for i, known in parts.items() for part in known if part)
    sums = np.array([np.sum([part for part in known if part], axis=0) for known in parts.values()])
    drawn = np.random.default_rng(5).integers(len(sums), size=(4000, len(sums)))
    errors, total = sums[drawn].sum(axis=1).T
    low, high = np.quantile(errors / total, [0.025, 0.975])
    interval = mean_interval(list(values.values()))
    assert interval is not None
    assert interval == pytest.approx((low, high), abs=0.1 * (high - low))


def test_linearised_values_of_no_words_are_none() -> None:
    assert linearised([("a", (1.0, 0.0)), ("b", (0.0, 0.0))]) == {}
    assert linearised([]) == {}


def test_the_gate_compares_ratios_of_sums(tmp_path: Path) -> None:
    old, new = some_parts(1, 0.1), some_parts(2, 0.6)
    base, worse = scores_of(tmp_path / "old", old), scores_of(tmp_path / "new", new)
    result = check(base=base, candidate=worse)
    (found,) = result.metrics
    assert (result.verdict, found.metric) == ("fail", "dwer")
    assert found.mean_difference == pytest.approx(rate_of(old) - rate_of(new), abs=1e-12)
    assert check(base=worse, candidate=base).verdict == "pass"
    assert check(base=base, candidate=base).verdict == "pass"
    paired = pair_column(base=base, candidate=worse, column="dwer")
    assert sum(pair.difference for pair in paired.pairs) == pytest.approx(
        sum(e - f for i in old for (e, _), (f, _) in zip(old[i], new[i], strict=True))  # type: ignore[misc]
    )


def test_a_new_failure_fails_the_gate(tmp_path: Path) -> None:
    parts = some_parts(1, 0.1)
    failed = {**parts, "m00": [None, *parts["m00"][1:]]}
    base, worse = scores_of(tmp_path / "old", parts), scores_of(tmp_path / "new", failed)
    result = check(base=base, candidate=worse)
    assert result.metrics[0].new_failures == ["m00 s0: missing_estimate"]


def test_pinned_scores_keep_errors_and_words(tmp_path: Path) -> None:
    scores = scores_of(tmp_path / "a", some_parts(1, 0.3, n=8))
    write_pinned(tmp_path / "pinned.jsonl", scores)
    pinned = read_pinned(tmp_path / "pinned.jsonl")
    assert pinned.ranked("dwer") == scores.ranked("dwer")
    assert check(base=pinned, candidate=scores).verdict == "pass"


def test_the_definition_is_strict_json() -> None:
    (metric,) = select(task="speech_separation", sample_rate=16000, metrics=[DWER])
    plain = metric.spec()
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert plain["ratios"] == {"dwer": ["dwer_errors", "dwer_words"]}


def test_workers_load_the_recogniser_and_agree(
    make_set: MakeSet, make_estimates: MakeEstimates, tmp_path: Path
) -> None:
    folder = make_set(n=3)
    estimates = make_estimates(folder, noise_db=0.0)
    one, two = (
        score_set(
            folder, estimates, tmp_path / str(workers), metrics=["si_sdr", DWER], workers=workers
        )
        for workers in (1, 2)
    )
    assert [row.as_line() for row in one.items] == [row.as_line() for row in two.items]
    (row,) = rank([one])
    assert row["dwer_mean"] > 0.0
    assert row["headline"] == "si_sdri_mean"
    assert [metric.name for metric in one.run.metrics] == [DWER, "si_sdr"]


def test_a_separator_that_failed_loses_all_words(
    make_set: MakeSet, make_estimates: MakeEstimates, tmp_path: Path
) -> None:
    folder = make_set(n=2)
    failures = [{"id": "test_000", "reason": "out of memory"}]
    estimates = make_estimates(folder, noise_db=-60.0, failures=failures)
    scores = score_set(folder, estimates, tmp_path / "scores", metrics=[DWER], workers=1)
    lost = [row.values for row in scores.items if row.id == "test_000"]
    assert all(row["dwer_errors"] == row["dwer_words"] for row in lost)
    words = [
        sum(row.values["dwer_words"] or 0.0 for row in scores.items if row.id == mixture_id)
        for mixture_id in ("test_000", "test_001")
    ]
    (row,) = rank([scores])
    assert row["dwer_mean"] == pytest.approx(words[0] / sum(words))
