"""Dynamic mixing of enrolments: another recording of the talker, as fast, at its own level."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from baselines.training.mixing import DynamicMixing
from mixgen.audio.levels import LEVEL_RULES
from mixgen.core.files import sha256_file
from mixgen.manifest.mixture import Event, Gain, Level, Mixture, Source

RATE = 8000
# Every recording is a tone: those of a talker lie 10 % apart, those of two talkers more.
TONES_HZ = {f"talker{n}": (500.0 * (n + 1), 550.0 * (n + 1)) for n in range(3)}
NEXT_DB = -7.0


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    time_s = np.arange(RATE) / RATE
    for talker, tones_hz in TONES_HZ.items():
        for number, tone_hz in enumerate(tones_hz):
            tone = 0.3 * np.sin(2 * np.pi * tone_hz * time_s)
            soundfile.write(folder / f"{talker}-{number}.wav", tone, RATE, subtype="FLOAT")
    return folder


def source_of(folder: Path, name: str, talker: str) -> Source:
    def event(number: int, snr: float) -> Event:
        path = f"{talker}-{number}.wav"
        return Event(
            corpus="c",
            path=path,
            sha256=sha256_file(folder / path),
            source_time=0.0,
            event_time=0.0,
            event_duration=0.5,
            snr=snr,
        )

    return Source(
        name=name,
        role="target",
        label=talker,
        kind="speech",
        events=[event(0, 0.0)],
        gain=Gain(rule="energy"),
        enrolment=event(1, NEXT_DB),
    )


def mixing(folder: Path, segment_s: float = 0.25, **options: object) -> DynamicMixing:
    records = [
        Mixture(
            id=f"m{n}",
            split="train",
            sample_rate=RATE,
            channels=1,
            frames=RATE // 2,
            seed=n,
            sources=[
                source_of(folder, "s1", f"talker{n % 3}"),
                source_of(folder, "s2", f"talker{(n + 1) % 3}"),
            ],
            level=Level(reference_db=-30.0),
            targets=["s1", "s2"],
        )
        for n in range(3)
    ]
    roots = {"c": folder}
    return DynamicMixing(
        records, roots, segment_s=segment_s, seed=0, **{"inputs": ["enrolment"], **options}
    )


def pitch_hz(signal: NDArray[np.float32]) -> float:
    """The peak of a long spectrum."""
    spectrum = np.abs(np.fft.rfft(signal[0] * np.hanning(signal.shape[-1]), 2**16))
    return float(spectrum.argmax()) * RATE / 2**16


def test_an_enrolment_is_the_other_recording_at_the_same_speed(corpus: Path) -> None:
    examples = mixing(corpus, speed_range=(0.8, 1.25))
    ratios = set()
    for index in range(20):
        example = examples.example(index)
        for reference, enrolment in zip(example["references"], example["enrolment"], strict=True):
            ratio = pitch_hz(enrolment) / pitch_hz(reference)
            assert min(abs(ratio - 1.1), abs(ratio - 1 / 1.1)) < 2e-3
            ratios.add(ratio > 1)
    assert ratios == {False, True}


def test_an_enrolment_has_the_level_of_its_record(corpus: Path) -> None:
    examples = mixing(corpus, gain_spread_db=5.0)
    for index in range(5):
        for enrolment in examples.example(index)["enrolment"]:
            level_db = LEVEL_RULES["energy"](enrolment.astype(np.float64), RATE)
            assert level_db == pytest.approx(-30.0 + NEXT_DB, abs=0.2)


def test_a_short_enrolment_starts_again(corpus: Path) -> None:
    """Of 1 s in a segment of 3 s: the tones fill it, as the period divides the recording."""
    examples = mixing(corpus, segment_s=3.0)
    example = examples.example(0)
    for enrolment in example["enrolment"]:
        assert enrolment.shape == (1, 3 * RATE)
        np.testing.assert_allclose(enrolment[:, :RATE], enrolment[:, -RATE:], atol=1e-5)
        assert np.abs(enrolment[0, RATE:]).max() > 0


def test_a_talker_without_another_recording_is_enrolled_with_the_same(corpus: Path) -> None:
    examples = mixing(corpus)
    for labels in examples.pools.values():
        for talker in labels:
            labels[talker] = labels[talker][:1]
    example = examples.example(0)
    for reference, enrolment in zip(example["references"], example["enrolment"], strict=True):
        assert pitch_hz(enrolment) == pytest.approx(pitch_hz(reference), rel=1e-3)


def test_without_the_input_the_enrolments_are_no_material(corpus: Path) -> None:
    """What is mixed for other systems is what was mixed without enrolments."""
    examples = mixing(corpus, inputs=[])
    assert len(examples.recordings) == 3
    assert set(examples.example(0)) == {"mixture", "references"}


def test_examples_are_the_same_in_any_order(corpus: Path) -> None:
    examples = mixing(corpus)
    first = examples.example(3)
    examples.example(0)
    for key, signal in examples.example(3).items():
        np.testing.assert_array_equal(signal, first[key])
    other = mixing(corpus, segment_s=0.25).example(4)
    assert not np.array_equal(other["enrolment"], first["enrolment"])
