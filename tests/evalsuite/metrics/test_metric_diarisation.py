"""Diarisation error beside pyannote.metrics, and with the activity of signals."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from evalsuite.boards.leaderboard import rank
from evalsuite.metrics import evaluate, table
from evalsuite.metrics.diarisation import Spans, diarisation_times
from evalsuite.scoring.score import score
from mixgen.audio.read import read_audio
from tests.evalsuite.conftest import MakeEstimates, MakeSet
from tests.evalsuite.metrics.conftest import Array

RATE = 8000


def random_spans(seed: int, n_ref: int, n_est: int) -> tuple[list[Spans], list[Spans]]:
    """Six spans of each talker and of each stream in one minute."""
    rng = np.random.default_rng(seed)
    signals = [
        np.sort(np.round(rng.uniform(0, 60, 12), 3)).reshape(-1, 2) for _ in range(n_ref + n_est)
    ]
    return signals[:n_ref], signals[n_ref:]


# Seconds of speech, missed, false alarm and confusion of pyannote.metrics 4.2.0 (its collar is the
# sum of both sides) for (seed, n_ref, n_est, collar).
PYANNOTE = {
    (0, 2, 2, 0.0): (46.392, 16.764, 24.167, 2.598),
    (0, 2, 2, 0.25): (37.936, 13.387, 20.364, 1.428),
    (1, 3, 2, 0.0): (97.064, 52.552, 0.867, 7.985),
    (1, 3, 2, 0.25): (68.953, 36.281, 0.324, 5.72),
    (2, 2, 4, 0.0): (58.073, 7.131, 62.446, 14.817),
    (2, 2, 4, 0.25): (45.995, 5.592, 49.552, 12.528),
}


@pytest.mark.parametrize("case", PYANNOTE)
def test_equals_pyannote(case: tuple[int, int, int, float]) -> None:
    seed, n_ref, n_est, collar_s = case
    references, estimates = random_spans(seed, n_ref, n_est)
    found = diarisation_times(references=references, estimates=estimates, collar_s=collar_s)
    times = (found.speech, found.missed, found.false_alarm, found.confusion)
    assert times == pytest.approx(PYANNOTE[case], abs=1e-9)


@pytest.mark.parametrize(
    ("collar_s", "expected"),
    [(0.0, (28.497, 3.135, 1.209, 0.141)), (0.25, (22.002, 1.116, 0.05, 0))],
)
def test_equals_pyannote_on_a_real_meeting(
    real_data: Path, collar_s: float, expected: tuple[float, ...]
) -> None:
    """Turns of an AMI meeting, against streams in the other order that begin and end elsewhere."""
    turns: dict[str, list[tuple[float, float]]] = {}
    rttm = real_data / "speech" / "ami-pyannote" / "dev00.rttm"
    for line in rttm.read_text().splitlines():
        _, _, _, start, duration, _, _, talker, *_ = line.split()
        turns.setdefault(talker, []).append((float(start), float(start) + float(duration)))
    first, second = (np.array(spans) for spans in turns.values())
    late = np.clip(second + np.array([0.1, -0.2]), 0, 30)
    wide = np.clip(first + np.array([-0.3, 0.15]), 0, 30)[:-1]
    found = diarisation_times(references=[first, second], estimates=[late, wide], collar_s=collar_s)
    times = (found.speech, found.missed, found.false_alarm, found.confusion)
    assert times == pytest.approx(expected, abs=1e-9)


def noise(*spans: tuple[float, float], seed: int, duration_s: float = 10.0) -> Array:
    """Noise (1, time) that sounds in these spans of seconds."""
    samples = np.zeros((1, round(duration_s * RATE)))
    rng = np.random.default_rng(seed)
    for start_s, stop_s in spans:
        part = np.s_[..., round(start_s * RATE) : round(stop_s * RATE)]
        samples[part] = rng.standard_normal(samples[part].shape)
    return samples


TALKERS = [noise((0, 4), seed=0), noise((3, 8), seed=1)]


def rates(references: list[Array], estimates: list[Array | None]) -> dict[str, object]:
    found = evaluate(
        references=np.stack(references),
        estimates=estimates,
        mixture=np.sum(references, axis=0),
        sample_rate=RATE,
        metrics=["der"],
    )
    assert not found.mixture.values
    return table()["der"].score(found.mixture.tallies)


@pytest.mark.parametrize("gain", [1.0, 0.3])
def test_perfect_streams_have_no_error(gain: float) -> None:
    found = rates(TALKERS, [gain * TALKERS[1], gain * TALKERS[0]])
    assert set(found.values()) == {0.0}


def test_every_kind_of_error_is_found() -> None:
    """8 s of speech. Of the first talker, 1 s is on the stream that has most of the second."""
    talkers = [noise((0, 4), seed=0), noise((5, 9), seed=1)]
    streams = [noise((0, 1), (5, 8), (9, 9.5), seed=2), noise((1, 4), seed=3)]
    found = rates(talkers, list(streams))
    assert found["der_collar0ms_missed"] == pytest.approx(1 / 8)
    assert found["der_collar0ms_false_alarm"] == pytest.approx(0.5 / 8)
    assert found["der_collar0ms_confusion"] == pytest.approx(1 / 8)
    assert found["der_collar0ms"] == pytest.approx(2.5 / 8)


def test_silence_misses_all_speech() -> None:
    silence = np.zeros_like(TALKERS[0])
    for estimates in ([silence, silence], [None, None], []):
        found = rates(TALKERS, estimates)
        assert found["der_collar0ms"] == found["der_collar250ms"] == table()["der"].floor == 1.0


def test_a_surplus_stream_is_a_false_alarm_unless_it_is_faint() -> None:
    surplus = noise((8, 9.8), seed=2)
    assert rates(TALKERS, [*TALKERS, surplus])["der_collar0ms"] == pytest.approx(1.8 / 9)
    assert rates(TALKERS, [*TALKERS, 0.05 * surplus])["der_collar0ms"] == 0


@pytest.mark.parametrize(("leak_db", "expected"), [(-21.0, 0.0), (-15.0, 7 / 9)])
def test_leakage_counts_where_it_is_loud(leak_db: float, expected: float) -> None:
    """At -15 dB each talker is heard on both streams."""
    leak = 10 ** (leak_db / 20)
    mixed = [TALKERS[0] + leak * TALKERS[1], TALKERS[1] + leak * TALKERS[0]]
    assert rates(TALKERS, mixed)["der_collar0ms"] == pytest.approx(expected, abs=0.01)


def test_short_pauses_are_speech() -> None:
    paused = noise((0, 2), (2.2, 4), seed=0)
    assert rates([paused], [TALKERS[0]])["der_collar0ms"] == 0
    paused = noise((0, 2), (2.4, 4), seed=0)
    assert rates([paused], [TALKERS[0]])["der_collar0ms"] == pytest.approx(0.4 / 3.6)
    assert rates([paused], [TALKERS[0]])["der_collar250ms"] == 0


def test_a_scene_without_speech_has_no_rate() -> None:
    silence = np.zeros_like(TALKERS[0])
    assert {str(score) for score in rates([silence], [silence]).values()} == {
        "not_applicable: no speech in any reference"
    }


@pytest.mark.parametrize("broken", ["estimate", "file"])
def test_a_failed_mixture_is_missed_speech(
    make_set: MakeSet, make_estimates: MakeEstimates, tmp_path: Path, broken: str
) -> None:
    """A system that fails on a mixture must not be better for it."""
    folder = make_set(n=2)
    estimates = make_estimates(folder)
    first = next(estimates.glob("*/est1.wav"))
    if broken == "file":
        first.write_bytes(b"no audio")
    else:
        soundfile.write(first, read_audio(first)[0][:, :-1].T, RATE, subtype="FLOAT")
    found = score(folder, estimates, tmp_path / "scores", metrics=["si_sdr", "der"])
    assert found.run.set_scores["der_collar0ms"] == pytest.approx(0.5, abs=0.01)
    assert found.diagnostics == []
    (row,) = rank([tmp_path / "scores"])
    assert row["der_collar0ms_missed"] == pytest.approx(0.5, abs=0.01)


def test_real_talkers(real_data: Path) -> None:
    """Two talkers of LibriSpeech in turns: leakage 20 dB down is no speech, the mixture is."""
    files = sorted((real_data / "speech" / "librispeech-resemblyzer").rglob("test-other/*/*.flac"))
    by_talker = {file.parent.name: file for file in files}
    first, second = (read_audio(file)[0][:, : 5 * 16_000] for file in list(by_talker.values())[:2])
    talkers = np.zeros((2, 1, 9 * 16_000))
    talkers[0, :, : first.shape[1]] = first / first.std()
    talkers[1, :, 4 * 16_000 :][:, : second.shape[1]] = second / second.std()

    def der(estimates: Array) -> float:
        found = evaluate(
            references=talkers, estimates=list(estimates), sample_rate=16_000, metrics=["der"]
        )
        rate = table()["der"].score(found.mixture.tallies)["der_collar0ms"]
        assert isinstance(rate, float)
        return rate

    assert der(talkers[::-1]) == 0
    assert der(talkers + 0.05 * talkers[::-1]) < 0.02
    assert 0.5 < der(np.tile(talkers.sum(axis=0), (2, 1, 1))) < 1.2
