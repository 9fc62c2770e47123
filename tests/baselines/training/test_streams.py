"""Utterances of meetings on two streams, in training, validation, separation and scores."""

from itertools import combinations, product
from pathlib import Path

import numpy as np
import pytest
import torch

from baselines.checkpoint import load, load_history
from baselines.layers.permutation import on_best_streams, references_of
from baselines.training.config import training_config
from baselines.training.data import RecordExamples, RenderedExamples, make_batch
from baselines.training.streams import Utterance, on_streams, utterances_of
from baselines.training.train import train
from evalsuite.run import run
from mixgen.core.errors import UsageError
from mixgen.manifest.file import read_manifest
from mixgen.sets.rendered import RenderedSet
from tests.baselines.conftest import TinySet

SPANS = [(0, 10), (5, 20), (15, 30), (40, 50), (45, 60), (70, 80)]


def chained() -> tuple[list[Utterance], np.ndarray]:
    """Utterances of six talkers in three groups, and what they say, (6, 1, 90)."""
    utterances = [Utterance(i, start, stop, 90) for i, (start, stop) in enumerate(SPANS)]
    references = np.zeros((6, 1, 90), np.float32)
    rng = np.random.default_rng(0)
    for utterance in utterances:
        length = utterance.stop - utterance.start
        references[utterance.target, 0, utterance.start : utterance.stop] = rng.normal(size=length)
    return utterances, references


def test_no_two_utterances_of_a_stream_overlap() -> None:
    utterances, references = chained()
    groups = on_streams(utterances, references, 0)
    assert groups.shape == (3, 2, 1, 90)
    np.testing.assert_array_equal(groups.sum((0, 1)), references.sum(0))
    for (first, a), (second, b) in combinations(enumerate(SPANS), 2):
        if a[1] > b[0]:  # they overlap
            heard = [
                {int(s) for s in np.flatnonzero(np.any(groups[:, :, 0, t] == r[0, t], 0))}
                for r, t in ((references[first], a[0]), (references[second], b[1] - 1))
            ]
            assert heard[0] & heard[1] == set(), (first, second)


def test_the_best_streams_are_those_of_all_ways_to_lay_the_utterances() -> None:
    """Compared by brute force over all colours of six utterances, without overlaps on a stream."""
    utterances, references = chained()
    groups = torch.from_numpy(on_streams(utterances, references, 0))[None]
    overlapping = [(i, j) for (i, a), (j, b) in combinations(enumerate(SPANS), 2) if a[1] > b[0]]
    for seed in range(5):
        estimates = torch.randn(1, 2, 1, 90, generator=torch.Generator().manual_seed(seed))
        found = on_best_streams(groups, estimates)
        errors = []
        for colours in product((0, 1), repeat=6):
            if any(colours[i] == colours[j] for i, j in overlapping):
                continue
            streams = torch.zeros(1, 2, 1, 90)
            for talker, colour in enumerate(colours):
                streams[0, colour] += torch.from_numpy(references[talker])
            errors.append(float((streams - estimates).square().sum()))
        assert len(errors) == 2**3
        assert float((found - estimates).square().sum()) == pytest.approx(min(errors), rel=1e-5)


def test_a_segment_has_the_utterances_in_it() -> None:
    utterances, references = chained()
    groups = on_streams(utterances, references[:, :, 42:65], 42)
    assert groups.shape == (1, 2, 1, 23)
    np.testing.assert_array_equal(groups.sum((0, 1)), references[3:5, :, 42:65].sum(0))
    empty = on_streams(utterances, references[:, :, 82:], 82)
    assert empty.shape == (1, 2, 1, 8)
    assert not empty.any()


def test_a_third_talker_at_a_time_goes_to_the_stream_that_is_free_first() -> None:
    utterances = [Utterance(0, 0, 9, 9), Utterance(1, 1, 5, 9), Utterance(2, 2, 8, 9)]
    groups = on_streams(utterances, np.eye(3, 9, dtype=np.float32)[:, None], 0)
    assert [int(np.flatnonzero(groups[0, :, 0, t])[0]) for t in range(3)] == [0, 1, 1]


def test_reverberation_belongs_to_the_utterance_before_it() -> None:
    utterances = [Utterance(0, 0, 2, 4), Utterance(1, 1, 3, 6), Utterance(0, 4, 5, 6)]
    references = np.ones((2, 1, 6), np.float32)
    groups = on_streams(utterances, references, 0)
    np.testing.assert_array_equal(groups.sum((0, 1))[0, 1:], np.full(5, 2.0))


def test_utterances_are_the_events_of_the_record(meetings: TinySet) -> None:
    mixture = read_manifest(meetings.manifest).mixtures[0]
    found = [(u.target, u.start, u.stop, u.until) for u in utterances_of(mixture)]
    expected = [(0, 0, 960, 2560), (1, 640, 1600, 4000), (0, 2560, 3200, 4000)]
    assert found == [pytest.approx(span, abs=1) for span in [*expected, (2, 2880, 3840, 4000)]]


def test_batches_of_meetings_are_on_streams(meetings: TinySet) -> None:
    manifest = read_manifest(meetings.manifest)
    files = RenderedExamples(RenderedSet(meetings.rendered), "train", segment_s=0.25, seed=1)
    records = RecordExamples(manifest, meetings.roots, "train", segment_s=0.25, seed=1)
    batch, again = make_batch(files, 0, 4), make_batch(records, 0, 4)
    groups = batch["references"]
    assert groups.shape[2:] == (2, 1, 2000)
    torch.testing.assert_close(groups, again["references"], rtol=0, atol=0)
    streams = references_of(groups, torch.randn(4, 2, 1, 2000))
    torch.testing.assert_close(streams.sum(1), groups.sum((1, 2)))
    rest = batch["mixture"] - streams.sum(1)
    assert 0 < rest.square().mean() < 1e-3  # the noise


def test_meetings_are_learned_separated_and_scored(meetings: TinySet, tmp_path: Path) -> None:
    """Two streams for three talkers; what a stream holds is scored by utterances and activity."""
    config = training_config(
        "conv_tasnet:tiny",
        manifest=str(meetings.manifest),
        roots=meetings.root_options,
        steps=4,
        batch_size=2,
        segment_s=0.25,
        validations=2,
        device="cpu",
    )
    train(config, tmp_path / "checkpoint")
    h = load(tmp_path / "checkpoint").hyperparameters
    assert (h.n_src, h.fewest, h.stream_window_s) == (2, 0, 0.25)
    assert "valid_p_si_snr_db" in load_history(tmp_path / "checkpoint")[0]
    system = tmp_path / "checkpoint"
    load(system).get_buffer("active_above_db")
    result = run(
        sets=[meetings.rendered],
        systems=[str(tmp_path / "checkpoint"), "mixture"],
        out=tmp_path / "out",
        metrics=["si_sdr_utt", "sa_sdr", "der", "counting"],
    )
    assert not result.skipped
    for row in result.rows:
        for column in ("si_sdr_utt_best_mean", "si_sdr_utt_stream_mean", "sa_sdr_mean"):
            assert np.isfinite(row[column]), column
        assert row["der_collar0ms"] >= 0


def test_a_system_that_counts_sources_is_refused(meetings: TinySet, tmp_path: Path) -> None:
    config = training_config(
        "or_pit:tiny", rendered=str(meetings.rendered), steps=1, segment_s=0.25, device="cpu"
    )
    with pytest.raises(UsageError, match="are on streams"):
        train(config, tmp_path / "checkpoint")
