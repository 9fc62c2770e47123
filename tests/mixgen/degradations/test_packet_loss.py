"""Packet loss: the statistics of the Gilbert model, and the concealment of gaps."""

from typing import Any

import numpy as np
import pytest

from mixgen.degradations.packet_loss import PacketLoss

RATE = 8000
PACKET = 160  # 20 ms
PACKETS = 200_000


def loss(**parameters: Any) -> PacketLoss:
    defaults = {"loss_rate": 0.2, "mean_burst": 3.0, "seed": 11}
    return PacketLoss(name="packet_loss", **{**defaults, **parameters})


def run_lengths(lost: np.ndarray, value: bool) -> np.ndarray:
    """Return the lengths of the runs of `value`."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], lost == value, [False]]).astype(int)))
    return edges[1::2] - edges[::2]


@pytest.mark.parametrize(("loss_rate", "mean_burst"), [(0.05, 1.0), (0.2, 3.0), (0.5, 1.5)])
def test_loss_rate_and_burst_length(loss_rate: float, mean_burst: float) -> None:
    lost = loss(loss_rate=loss_rate, mean_burst=mean_burst).lost_packets(PACKETS)
    leave_bad = 1 / mean_burst
    enter_bad = leave_bad * loss_rate / (1 - loss_rate)
    # The variance of the mean of a two-state Markov chain, and that of geometric run lengths.
    memory = 1 - leave_bad - enter_bad
    rate_error = np.sqrt(loss_rate * (1 - loss_rate) * (1 + memory) / (1 - memory) / PACKETS)
    assert lost.mean() == pytest.approx(loss_rate, abs=4 * rate_error)
    for runs, stop in ((run_lengths(lost, True), leave_bad), (run_lengths(lost, False), enter_bad)):
        run_error = np.sqrt((1 - stop) / stop**2 / len(runs))
        assert runs.mean() == pytest.approx(1 / stop, abs=4 * run_error + 1e-12)
        ones_error = np.sqrt(stop * (1 - stop) / len(runs))
        assert np.mean(runs == 1) == pytest.approx(stop, abs=4 * ones_error + 1e-12)


def test_the_first_packet_is_lost_as_often_as_the_others() -> None:
    first = [loss(seed=seed).lost_packets(1)[0] for seed in range(2000)]
    assert np.mean(first) == pytest.approx(0.2, abs=4 * np.sqrt(0.2 * 0.8 / 2000))


def test_independent_losses_are_a_special_case() -> None:
    lost = loss(loss_rate=0.25, mean_burst=1 / 0.75).lost_packets(PACKETS)
    after_loss = lost[1:][lost[:-1]]
    assert after_loss.mean() == pytest.approx(0.25, abs=4 * np.sqrt(0.25 * 0.75 / len(after_loss)))


def test_the_losses_of_a_seed_never_change() -> None:
    # A golden value: a manifest must mean the same losses in every version.
    assert np.flatnonzero(loss().lost_packets(24)).tolist() == [0, 1, 2, 6, 7, 16, 17, 18, 19]


def test_zeros_where_packets_are_lost() -> None:
    samples = np.random.RandomState(0).uniform(0.1, 1, (2, 50 * PACKET + 33))
    degradation = loss()
    received = degradation.apply(samples, RATE)
    lost = np.repeat(degradation.lost_packets(51), PACKET)[: samples.shape[1]]
    assert 0 < lost.mean() < 1
    assert np.all(received[:, lost] == 0)
    np.testing.assert_array_equal(received[:, ~lost], samples[:, ~lost])


def test_the_packet_before_a_burst_is_repeated_and_fades() -> None:
    samples = np.random.RandomState(0).uniform(0.1, 1, (2, 400 * PACKET + 33))
    degradation = loss(concealment="repeat", seed=4)
    received = degradation.apply(samples, RATE)
    lost = degradation.lost_packets(401)
    bursts = [p for p in range(1, 399) if not lost[p - 1] and lost[p] and lost[p + 1]]
    assert len(bursts) > 10
    fade = np.linspace(1, 0.5, PACKET, endpoint=False)
    for packet in bursts:
        start = packet * PACKET
        kept = samples[:, start - PACKET : start]
        np.testing.assert_allclose(received[:, start : start + PACKET], kept * fade)
        np.testing.assert_allclose(
            received[:, start + PACKET : start + 2 * PACKET], kept * fade / 2
        )
    kept_samples = ~np.repeat(lost, PACKET)[: samples.shape[1]]
    np.testing.assert_array_equal(received[:, kept_samples], samples[:, kept_samples])


def test_nothing_is_repeated_before_the_first_packet() -> None:
    seed = next(seed for seed in range(100) if loss(seed=seed).lost_packets(3).tolist()[0])
    samples = np.ones((1, 3 * PACKET))
    received = loss(seed=seed, concealment="repeat").apply(samples, RATE)
    assert np.all(received[:, :PACKET] == 0)


def test_a_loss_rate_of_0_changes_nothing() -> None:
    samples = np.random.RandomState(0).standard_normal((1, 5000))
    np.testing.assert_array_equal(loss(loss_rate=0).apply(samples, RATE), samples)


def test_packets_have_the_requested_length() -> None:
    samples = np.ones((1, 44100))
    degradation = loss(packet_ms=10.0, loss_rate=0.4)
    received = degradation.apply(samples, 44100)
    expected = 1.0 - np.repeat(degradation.lost_packets(100), 441)
    np.testing.assert_array_equal(received[0], expected)
