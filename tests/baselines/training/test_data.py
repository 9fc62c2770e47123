"""Training examples: reproducible in any order, and with the levels of the manifest's records."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from baselines.training.data import (
    ExampleSource,
    RecordExamples,
    RenderedExamples,
    Signal,
    TrainingExample,
    batches,
    example_rng,
    make_batch,
)
from baselines.training.mixing import DynamicMixing, allows_dynamic_mixing
from mixgen.core.errors import InputError, MachineError
from mixgen.manifest.file import read_manifest
from mixgen.manifest.mixture import Response, Source
from mixgen.sets.rendered import RenderedSet
from tests.baselines.conftest import TinySet


def dynamic(tiny: TinySet, **options: Any) -> DynamicMixing:
    mixtures = read_manifest(tiny.manifest).of_split("train")
    return DynamicMixing(mixtures, tiny.roots, **({"segment_s": 0.25, "seed": 3} | options))


def pair(example: TrainingExample) -> tuple[Signal, Signal]:
    return example["mixture"], example["references"]


def loudest_hz(signal: Signal, sample_rate: int = 8000) -> float:
    spectrum = np.abs(np.fft.rfft(signal * np.hanning(len(signal)), 8 * len(signal)))
    return float(spectrum.argmax() * sample_rate / (8 * len(signal)))


@pytest.fixture(params=["rendered", "dynamic"])
def examples(request: pytest.FixtureRequest, speech: TinySet) -> ExampleSource:
    if request.param == "dynamic":
        return dynamic(speech, speed_range=(0.9, 1.1))
    return RenderedExamples(RenderedSet(speech.rendered), "train", segment_s=0.25, seed=3)


def test_an_example_depends_on_seed_and_index_alone(examples: ExampleSource) -> None:
    reverse_order = [examples.example(index) for index in (7, 2)]
    in_order = [examples.example(index) for index in (2, 7)]
    for ours, theirs in zip(reverse_order, reversed(in_order), strict=True):
        np.testing.assert_array_equal(ours["mixture"], theirs["mixture"])
        np.testing.assert_array_equal(ours["references"], theirs["references"])
    assert not np.array_equal(in_order[0]["mixture"], in_order[1]["mixture"])


def test_examples_are_float32_segments(examples: ExampleSource) -> None:
    mixture, references = pair(examples.example(0))
    assert mixture.shape == (1, 2000)
    assert references.shape == (2, 1, 2000)
    assert mixture.dtype == references.dtype == np.float32


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_workers_and_the_first_step_change_no_batch(examples: ExampleSource, workers: int) -> None:
    stream = batches(examples, batch_size=2, first_step=5, workers=workers)
    for step in (5, 6, 7):
        batch, expected = next(stream), make_batch(examples, step, 2)
        assert torch.equal(batch["mixture"], expected["mixture"])
        assert torch.equal(batch["references"], expected["references"])
    stream.close()


def test_every_rendered_mixture_comes_once_in_a_pass(speech: TinySet) -> None:
    rendered = RenderedSet(speech.rendered)
    examples = RenderedExamples(rendered, "train", segment_s=0.5, seed=0)
    seen = sorted(examples.example(index)["mixture"].tobytes() for index in range(4))
    files = [rendered.load_mixture(m.id).astype(np.float32) for m in rendered.mixtures("train")]
    assert seen == sorted(samples.tobytes() for samples in files)


def test_a_rendered_segment_is_a_part_of_its_files(speech: TinySet) -> None:
    rendered = RenderedSet(speech.rendered)
    examples = RenderedExamples(rendered, "train", segment_s=0.25, seed=0)
    mixture, references = pair(examples.example(1))
    for record in rendered.mixtures("train"):
        whole = rendered.load_mixture(record.id)[0].astype(np.float32)
        windows = np.lib.stride_tricks.sliding_window_view(whole, 2000)
        starts = np.flatnonzero((windows == mixture[0]).all(axis=1))
        if len(starts):
            kept = rendered.load_references(record.id)[..., starts[0] : starts[0] + 2000]
            np.testing.assert_array_equal(references, kept.astype(np.float32))
            return
    pytest.fail("the segment is in no mixture of the split")


def test_short_rendered_mixtures_are_followed_by_silence(speech: TinySet) -> None:
    examples = RenderedExamples(RenderedSet(speech.rendered), "train", segment_s=0.75, seed=0)
    mixture, references = pair(examples.example(0))
    assert mixture.shape == (1, 6000)
    assert not mixture[:, 4000:].any()
    assert not references[..., 4000:].any()
    assert mixture[:, :4000].any()


def test_talkers_of_an_example_differ_and_the_noise_is_no_reference(speech: TinySet) -> None:
    examples = dynamic(speech)
    for index in range(12):
        mixture, references = pair(examples.example(index))
        tones = {300 * round(loudest_hz(reference[0]) / 300) for reference in references}
        assert len(tones) == 2
        noise = mixture - references.sum(0)
        assert 1e-5 < np.square(noise).mean() < np.square(references).mean()


def test_levels_are_those_of_the_records(speech: TinySet) -> None:
    """Reference -30 dB; s1 stands 3 dB and s2 6 dB above it, the noise 10 dB below."""
    examples = dynamic(speech, segment_s=0.9)
    mixture, references = pair(examples.example(0))
    powers = np.square([*references, mixture - references.sum(0)]).mean(axis=(1, 2))
    np.testing.assert_allclose(10 * np.log10(powers), [-27, -24, -40], atol=0.6)


def test_gain_spread_moves_every_source(speech: TinySet) -> None:
    plain, spread = dynamic(speech, segment_s=0.9), dynamic(speech, segment_s=0.9, gain_spread_db=6)
    levels_db = [
        10 * np.log10(np.square(examples.example(index)["references"]).mean(axis=(1, 2)))
        for examples in (plain, spread)
        for index in range(20)
    ]
    assert np.ptp(levels_db[:20], axis=0).max() < 1.5
    assert np.ptp(levels_db[20:], axis=0).min() > 4


def test_speed_changes_the_pitch_within_its_range(speech: TinySet) -> None:
    examples = dynamic(speech, speed_range=(0.8, 1.25))
    ratios = []
    for index in range(30):
        for reference in examples.example(index)["references"]:
            tone = loudest_hz(reference[0])
            ratios.append(min((tone / f for f in (300, 600, 900, 1200)), key=lambda r: abs(r - 1)))
    assert min(ratios) >= 0.79
    assert max(ratios) <= 1.26
    assert max(ratios) - min(ratios) > 0.15


def test_coherent_stems_come_from_one_song(stems: TinySet) -> None:
    """The drums of a song have four times the frequency of its vocals."""
    coherent, independent = dynamic(stems, coherent=1.0), dynamic(stems, coherent=0.0)

    def ratio(examples: DynamicMixing, index: int) -> float:
        vocals, drums = examples.example(index)["references"]
        return loudest_hz(drums[0]) / loudest_hz(vocals[0])

    assert all(abs(ratio(coherent, index) - 4) < 0.1 for index in range(10))
    assert any(abs(ratio(independent, index) - 4) > 0.3 for index in range(10))


def test_a_short_recording_has_a_random_offset(speech: TinySet) -> None:
    examples = dynamic(speech, segment_s=1.5)
    firsts = [examples.example(index)["references"][0, 0] for index in range(10)]
    assert len({int(np.flatnonzero(first)[0]) for first in firsts}) > 5
    assert all(np.count_nonzero(first) < 8010 for first in firsts[:3])


def test_too_little_memory_is_an_error_before_loading(speech: TinySet) -> None:
    with pytest.raises(MachineError, match="raise --memory-gb"):
        dynamic(speech, memory_gb=1e-6)


def test_a_missing_source_file_is_an_error(speech: TinySet, tmp_path: Path) -> None:
    mixtures = read_manifest(speech.manifest).of_split("train")
    with pytest.raises(InputError, match=r"audio file .*wav does not exist"):
        DynamicMixing(mixtures, {"tiny": tmp_path}, segment_s=0.25, seed=0)


def test_records_of_different_sources_are_refused(speech: TinySet, stems: TinySet) -> None:
    mixtures = [
        *read_manifest(speech.manifest).of_split("train"),
        *read_manifest(stems.manifest).of_split("train"),
    ]
    with pytest.raises(InputError, match="dynamic mixing, because their sources differ"):
        DynamicMixing(mixtures, speech.roots, segment_s=0.25, seed=0)


def test_records_give_the_segments_of_their_rendered_set(speech: TinySet) -> None:
    rendered, manifest = RenderedSet(speech.rendered), read_manifest(speech.manifest)
    written = RenderedExamples(rendered, "train", segment_s=0.25, seed=3)
    mixed = RecordExamples(manifest, speech.roots, "train", segment_s=0.25, seed=3)
    for index in range(6):
        ours, theirs = mixed.example(index), written.example(index)
        assert list(ours) == list(theirs) == ["mixture", "references"]
        for name, signal in ours.items():
            np.testing.assert_array_equal(signal, theirs[name])


def test_short_records_are_followed_by_silence(speech: TinySet) -> None:
    examples = RecordExamples(
        read_manifest(speech.manifest), speech.roots, "train", segment_s=0.75, seed=3
    )
    mixture, references = pair(examples.example(0))
    assert mixture.shape == (1, 6000)
    assert references.shape == (2, 1, 6000)
    assert not mixture[:, 4000:].any()
    assert mixture[:, :4000].any()


@pytest.mark.parametrize(
    "change",
    [
        lambda _: {"room": Response(corpus="rooms", path="a.wav", sha256="0" * 64)},
        lambda s: {"events": s.events * 2},
        lambda s: {"events": [s.events[0].model_copy(update={"pitch_shift": 1.0})]},
    ],
)
def test_records_with_rooms_events_or_pitch_shifts_are_not_mixed_dynamically(
    speech: TinySet, change: Callable[[Source], dict[str, Any]]
) -> None:
    first, *others = read_manifest(speech.manifest).of_split("train")
    assert allows_dynamic_mixing([first, *others])
    source = first.sources[0]
    changed = source.model_copy(update=change(source))
    assert not allows_dynamic_mixing(
        [*others, first.model_copy(update={"sources": [changed, *first.sources[1:]]})]
    )


def test_a_truncated_rendered_file_is_an_error(
    speech: TinySet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "short.wav"
    soundfile.write(path, np.zeros(100), 8000)
    monkeypatch.setattr(RenderedSet, "reference_path", lambda *_: path)
    with pytest.raises(InputError, match="100 samples"):
        RenderedExamples(RenderedSet(speech.rendered), "train", segment_s=0.25, seed=0).example(0)


def test_streams_seeds_and_indices_give_other_numbers() -> None:
    assert example_rng(1, 2, 0).random() != example_rng(1, 2, 1).random()
    assert example_rng(1, 2).random() != example_rng(2, 1).random()


def test_batches_complete_the_references_with_silence(counts: TinySet) -> None:
    rendered = RenderedSet(counts.rendered)
    examples = RenderedExamples(rendered, "train", segment_s=0.25, seed=3)
    batch = make_batch(examples, 0, 4)
    assert batch["references"].shape == (4, 2, 1, 2000)
    targets = [len(mixture.targets) for mixture in rendered.mixtures("train")]
    sounding = batch["references"].abs().amax((-1, -2)) > 0
    assert sorted(sounding.sum(1).tolist()) == sorted(targets) == [0, 0, 1, 2]


def test_records_of_varying_counts_are_mixed_dynamically(counts: TinySet) -> None:
    mixtures = read_manifest(counts.manifest).of_split("train")
    assert allows_dynamic_mixing(mixtures)
    mixing = dynamic(counts)
    drawn = [pair(mixing.example(index)) for index in range(12)]
    assert {len(references) for _, references in drawn} == {0, 1, 2}
    for mixture, references in drawn:
        assert mixture.shape == (1, 2000)
        assert references.shape[1:] == (1, 2000)
        rest = mixture - references.sum(0)
        assert 0 < np.square(rest).mean() < 1e-3  # the noise
