"""Multi-decoder DPRNN: its count decides which decoder runs, and both are learned."""

import pytest
import torch

from baselines.models.multi_decoder_dprnn import MultiDecoderDPRNN, MultiDecoderHyperparameters
from baselines.registry import build


@pytest.fixture
def separator() -> MultiDecoderDPRNN:
    h = MultiDecoderHyperparameters(N=16, L=16, B=8, H=8, K=8, R=2, n_src=3, fewest=0)
    return MultiDecoderDPRNN(h).eval()


def decide(separator: MultiDecoderDPRNN, count: int) -> None:
    """Let the head find `count` sources in every mixture."""
    separator.classes.weight.data.zero_()
    separator.classes.bias.data = torch.nn.functional.one_hot(torch.tensor(count), 4).float()


def found(separator: MultiDecoderDPRNN, mixture: torch.Tensor) -> list[int]:
    with torch.no_grad():
        estimates = separator(mixture)
    return [int(n) for n in separator.active(mixture, estimates).sum(1)]


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_the_count_decides_how_many_estimates_there_are(
    separator: MultiDecoderDPRNN, count: int
) -> None:
    decide(separator, count)
    mixture = torch.randn(2, 1, 700)
    assert found(separator, mixture) == [count, count]
    separator.get_buffer("active_above_db").fill_(-1.0)  # a level has no say
    assert found(separator, mixture) == [count, count]


def test_a_count_that_is_told_replaces_the_heads(separator: MultiDecoderDPRNN) -> None:
    decide(separator, 3)
    separator.count = 1
    assert found(separator, torch.randn(2, 1, 700)) == [1, 1]
    separator.count = 9
    assert found(separator, torch.randn(2, 1, 700)) == [3, 3]


def test_each_mixture_of_a_batch_has_its_own_count(separator: MultiDecoderDPRNN) -> None:
    """The counts of the head differ where the mixtures do."""
    separator.classes.weight.data.zero_()
    separator.classes.weight.data[2, 0] = 1.0
    separator.classes.bias.data = torch.tensor([0.0, 0.5, 0.0, 0.0])
    separator.widen.register_forward_hook(
        lambda _module, _inputs, y: torch.arange(2.0)[:, None, None, None].expand_as(y)
    )
    assert found(separator, torch.randn(2, 1, 700)) == [1, 2]


def test_counts_and_sources_are_learned(separator: MultiDecoderDPRNN) -> None:
    separator.train()
    time_s = torch.arange(1600) / 8000
    tones = [torch.sin(2 * torch.pi * hz * time_s) for hz in (300.0, 1100.0, 2300.0)]
    references = torch.zeros(4, 3, 1, 1600)
    for item in range(4):
        for source in range(item):
            references[item, source, 0] = tones[source]
    batch = {
        "mixture": references.sum(1) + 0.01 * torch.randn(4, 1, 1600),
        "references": references,
    }
    optimizer = torch.optim.Adam(separator.parameters(), lr=1e-2)
    losses, surprises = [], []
    for _ in range(12):
        optimizer.zero_grad()
        loss = separator.objective(batch)
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
        scores = separator.scores(separator.trunk(separator.basis.encode(batch["mixture"]))[-1])
        surprises.append(float(torch.nn.functional.cross_entropy(scores, torch.arange(4)).detach()))
    gradients = {n: p.grad is not None and p.grad.any() for n, p in separator.named_parameters()}
    assert all(gradients.values()), [name for name, any_ in gradients.items() if not any_]
    assert losses[-1] < losses[0] - 5
    assert surprises[-1] < surprises[0]


def test_silent_references_come_last(separator: MultiDecoderDPRNN) -> None:
    """Whichever of the references sound, the loss is the same."""
    signals = torch.randn(2, 1, 900)
    losses = []
    for places in ([0, 1], [2, 0]):
        references = torch.zeros(1, 3, 1, 900)
        references[0, places] = signals
        batch = {"mixture": signals.sum(0)[None], "references": references}
        losses.append(separator.objective(batch))
    torch.testing.assert_close(losses[0], losses[1])


def test_there_is_a_decoder_for_each_count_but_none() -> None:
    assert list(build("multi_decoder_dprnn").decoders) == ["2", "3", "4", "5"]
    counted = build("multi_decoder_dprnn:tiny", n_src=3, fewest=0)
    assert list(counted.decoders) == ["1", "2", "3"]
    assert counted.classes.out_channels == 4
