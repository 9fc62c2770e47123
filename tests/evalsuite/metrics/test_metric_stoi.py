"""STOI and ESTOI against pystoi and the values it gives for a public pair."""

import numpy as np
import pytest

from evalsuite.metrics.outcome import Missing, Reason
from evalsuite.metrics.stoi import stoi

RATES = (8_000, 10_000, 16_000, 44_100, 48_000)


def test_published_pair(noisy_speech: tuple[np.ndarray, np.ndarray]) -> None:
    """Torchmetrics' own test expects 0.6739177 for this pair."""
    clean, noisy = noisy_speech
    scores = stoi(reference=clean, estimate=noisy, sample_rate=16_000)
    assert scores["stoi"] == pytest.approx(0.6739177, abs=1e-7)
    assert scores["estoi"] == pytest.approx(0.3904499910, abs=1e-9)


@pytest.mark.parametrize("sample_rate", RATES)
def test_equals_pystoi(
    sample_rate: int, noisy_speech: tuple[np.ndarray, np.ndarray], talkers: np.ndarray
) -> None:
    oracle = pytest.importorskip("pystoi", reason="pystoi is the oracle here")
    longer = np.tile(talkers, 4)  # enough frames at the highest rate
    for clean, noisy in (noisy_speech, (longer[0, 0], longer.sum(axis=0)[0])):
        ours = stoi(reference=clean, estimate=noisy, sample_rate=sample_rate)
        assert ours["stoi"] == pytest.approx(oracle.stoi(clean, noisy, sample_rate), abs=1e-9)
        theirs = oracle.stoi(clean, noisy, sample_rate, extended=True)
        assert ours["estoi"] == pytest.approx(theirs, abs=1e-9)


def test_pauses_are_left_out_as_in_pystoi(noisy_speech: tuple[np.ndarray, np.ndarray]) -> None:
    oracle = pytest.importorskip("pystoi", reason="pystoi is the oracle here")
    clean, noisy = (samples.copy() for samples in noisy_speech)
    clean[8_000:24_000] = 0.0
    ours = stoi(reference=clean, estimate=noisy, sample_rate=16_000)
    assert ours["stoi"] == pytest.approx(oracle.stoi(clean, noisy, 16_000), abs=1e-9)
    theirs = oracle.stoi(clean, noisy, 16_000, extended=True)
    assert ours["estoi"] == pytest.approx(theirs, abs=1e-9)


def test_leaves_numpys_random_state_alone(noisy_speech: tuple[np.ndarray, np.ndarray]) -> None:
    clean, noisy = noisy_speech
    state = np.random.get_state()[1].copy()
    first = stoi(reference=clean, estimate=noisy, sample_rate=16_000)
    assert stoi(reference=clean, estimate=noisy, sample_rate=16_000) == first
    np.testing.assert_array_equal(np.random.get_state()[1], state)


def test_identity_is_one_at_any_level(talkers: np.ndarray) -> None:
    speech = talkers[0, 0]
    for gain in (1.0, 0.01):
        scores = stoi(reference=speech, estimate=gain * speech, sample_rate=16_000)
        assert scores["stoi"] == pytest.approx(1.0, abs=1e-6)
        assert scores["estoi"] == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize(
    ("length", "enough"), [(4097, True), (4096, False), (100, False), (1, False)]
)
def test_thirty_frames_are_needed(length: int, enough: bool) -> None:
    """31 frames of 256 samples every 128 and one sample more; pystoi scores less as 1e-5."""
    rng = np.random.default_rng(0)
    speech = rng.standard_normal(length)
    scores = stoi(reference=speech, estimate=speech, sample_rate=10_000)
    for value in scores.values():
        if enough:
            assert value == pytest.approx(1.0)
        else:
            assert isinstance(value, Missing)
            assert value.reason is Reason.TOO_SHORT


def test_silence(talkers: np.ndarray) -> None:
    speech, silence = talkers[0, 0], np.zeros(talkers.shape[-1])
    missing = stoi(reference=silence, estimate=speech, sample_rate=16_000)
    assert set(missing.values()) == {Missing(Reason.SILENT_REFERENCE)}
    missing = stoi(reference=speech, estimate=silence, sample_rate=16_000)
    assert set(missing.values()) == {Missing(Reason.SILENT_ESTIMATE)}
