"""SpeakerBeam: sizes, the product with the enrolment's vector, enrolments of any length."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from baselines.inference.macs import count_macs
from baselines.losses import pairwise_si_sdr_db
from baselines.models.conv_tasnet import ConvTasNet, ConvTasNetHyperparameters
from baselines.models.speakerbeam import SpeakerBeam, SpeakerBeamHyperparameters
from baselines.registry import build
from mixgen.core.errors import UsageError

TINY = {"N": 24, "L": 16, "B": 8, "H": 16, "Sc": 6, "X": 3, "R": 2, "adapt": 2}


def tiny(**changes: Any) -> SpeakerBeam:
    return SpeakerBeam(SpeakerBeamHyperparameters(**{**TINY, **changes})).eval()


def size(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


class Constant(nn.Module):
    """Stands for the auxiliary network: the same factors for every enrolment."""

    def __init__(self, factors: Tensor) -> None:
        super().__init__()
        self.factors = factors

    def forward(self, enrolments: Tensor) -> Tensor:
        return self.factors.expand(len(enrolments), -1)


def with_factors(separator: SpeakerBeam, residual: float, skip: float) -> SpeakerBeam:
    h = separator.h
    factors = torch.cat([torch.full((h.B,), residual), torch.full((h.Sc,), skip)])
    separator.auxiliary = Constant(factors)  # type: ignore[assignment]
    return separator


def test_the_published_sizes() -> None:
    separator = build("speakerbeam")
    assert size(separator) == 6_704_194
    assert size(separator.get_submodule("auxiliary")) == 1_719_697
    assert size(build("speakerbeam", n_src=3)) == 6_704_194


@pytest.mark.parametrize("wrong", [{"adapt": 0}, {"adapt": 6}, {"mask": "softmax"}])
def test_unknown_options_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong))):
        tiny(**wrong)


def test_with_factors_of_one_it_is_a_conv_tasnet_of_one_source() -> None:
    separator = with_factors(tiny(), 1.0, 1.0)
    sizes = {key: value for key, value in TINY.items() if key != "adapt"}
    plain = ConvTasNet(ConvTasNetHyperparameters(**sizes, n_src=1, mask="relu"))
    weights = separator.state_dict()
    plain.load_state_dict(
        {key.replace("extraction.", "separation."): value for key, value in weights.items()}
    )
    mixture = torch.randn(2, 1, 999)
    torch.testing.assert_close(
        separator.network(mixture, torch.ones(2, 1, 1, 9)), plain.network(mixture)
    )


def test_the_factors_multiply_both_paths_before_the_block() -> None:
    """With factors of zero nothing of the mixture passes; with one of them, its path does."""
    separator = tiny()
    mixture, enrolment = torch.randn(1, 1, 500), torch.randn(1, 1, 1, 400)
    w = separator.basis.encode(mixture)
    network = separator.extraction
    for residual, skip in ((0.0, 0.0), (0.0, 0.7), (0.3, 0.0), (0.3, 0.7)):
        x, total = network.bottleneck(network.norm(w)), torch.zeros(())
        for number, block in enumerate(network.blocks):
            if number == 2:
                x, total = residual * x, skip * total
            step, more = block(x)
            x, total = x + step, total + more
        mask = network.output(network.output_prelu(total)).relu()
        expected = separator.basis.decode((w * mask)[:, None], 500)
        found = with_factors(separator, residual, skip).network(mixture, enrolment)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("time_e", [1, 7, 300, 5000])
@pytest.mark.parametrize("time", [1, 1234])
def test_lengths_are_independent(time: int, time_e: int) -> None:
    mixture, enrolment = torch.randn(2, 1, time), torch.randn(2, 3, 1, time_e)
    estimates = tiny()(mixture, enrolment)
    assert estimates.shape == (2, 3, 1, time)
    assert estimates.isfinite().all()


def test_every_target_is_extracted_as_if_alone() -> None:
    """Neither other targets, nor other mixtures, nor zeros after an enrolment change anything."""
    separator = tiny()
    lengths = [[700, 300], [300, 512]]
    enrolment = torch.zeros(2, 2, 1, 900)
    for mixture_number, row in enumerate(lengths):
        for target, length in enumerate(row):
            enrolment[mixture_number, target, :, :length] = torch.randn(length)
    mixture = torch.randn(2, 1, 1500)
    together = separator(mixture, enrolment)
    for i, row in enumerate(lengths):
        for j, length in enumerate(row):
            alone = separator(mixture[i : i + 1], enrolment[i : i + 1, j : j + 1, :, :length])
            torch.testing.assert_close(together[i, j], alone[0, 0], rtol=0, atol=1e-6)
    assert (together[:, 0] - together[:, 1]).abs().max() > 1e-4


def test_the_level_of_an_enrolment_means_nothing() -> None:
    separator = tiny()
    mixture, enrolment = torch.randn(1, 1, 800), torch.randn(1, 1, 1, 600)
    expected = separator(mixture, enrolment)
    torch.testing.assert_close(separator(mixture, 0.01 * enrolment), expected, rtol=1e-3, atol=1e-4)


def test_channels_of_an_enrolment_are_averaged() -> None:
    separator = tiny(channels=2)
    mixture, enrolment = torch.randn(1, 2, 800), torch.randn(1, 2, 2, 600)
    expected = separator(mixture, enrolment.mean(2, keepdim=True))
    assert expected.shape == (1, 2, 2, 800)
    torch.testing.assert_close(separator(mixture, enrolment), expected)


def test_a_mixture_without_targets_has_no_estimates() -> None:
    assert tiny()(torch.randn(2, 1, 50), torch.ones(2, 0, 1, 0)).shape == (2, 0, 1, 50)


@pytest.mark.parametrize("shape", [(2, 1, 1, 9), (1, 1, 9), (1, 1, 0, 9), (1, 1, 1, 0)])
def test_enrolments_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match="The enrolments have shape"):
        tiny()(torch.randn(1, 1, 50), torch.ones(shape))


def test_a_silent_enrolment_extracts_nobody_and_trains_without_harm() -> None:
    separator = tiny()
    batch = {
        "mixture": torch.randn(1, 1, 800),
        "references": torch.randn(1, 2, 1, 800),
        "enrolment": torch.randn(1, 2, 1, 400),
    }
    batch["enrolment"][0, 1] = 0
    estimates = separator(batch["mixture"], batch["enrolment"])
    assert estimates[0, 0].any()
    assert not estimates[0, 1].any()
    separator.training_loss(batch).backward()
    gradients = [p.grad for p in separator.parameters() if p.grad is not None]
    assert all(gradient.isfinite().all() for gradient in gradients)


def test_a_causal_network_reads_the_whole_enrolment() -> None:
    separator = tiny(causal=True, norm="cLN")
    mixture, enrolment = torch.randn(1, 1, 600), torch.randn(1, 1, 1, 400)
    before = separator(mixture, enrolment)
    reach = []
    for t in range(500, 516):
        altered = mixture.clone()
        altered[..., t] += 1
        changed = (separator(altered, enrolment) != before)[0, 0, 0].nonzero()
        reach.append(t - int(changed[0]))
    assert max(reach) == separator.look_ahead == 15
    other = enrolment.clone()
    other[..., -1] += 1
    assert (separator(mixture, other) != before)[..., :32].any()


def test_the_first_blocks_read_a_mixture_once_for_all_targets() -> None:
    separator = tiny()
    mixture = torch.randn(1, 1, 800)
    macs = [count_macs(separator, mixture, torch.randn(1, n_src, 1, 800)) for n_src in (1, 2, 3)]
    assert macs[2] - macs[1] == macs[1] - macs[0] < macs[0]


def tones(count: int) -> dict[str, Tensor]:
    """A low and a high tone in any order, and for each an enrolment that is as low or high."""
    ranges_hz = torch.tensor([[200.0, 400.0], [2000.0, 3000.0]])
    high = torch.rand(count) < 0.5
    names = torch.stack([high, ~high], 1).long()  # (count, n_src)
    lowest, highest = ranges_hz[names].unbind(-1)
    drawn_hz = lowest + (highest - lowest) * torch.rand(2, count, 2)
    time_s = torch.arange(1000) / 8000
    references, enrolment = torch.sin(2 * torch.pi * drawn_hz[..., None, None] * time_s)
    return {"mixture": references.sum(1), "references": references, "enrolment": enrolment}


def test_training_follows_the_enrolment() -> None:
    """A tiny network learns which of two tones to keep: the one that the enrolment resembles."""
    separator = build("speakerbeam:tiny").train()
    optimizer = torch.optim.Adam(separator.parameters(), 1e-2)
    for _ in range(80):
        optimizer.zero_grad()
        separator.training_loss(tones(4)).backward()
        optimizer.step()
    batch = tones(16)
    estimates = separator.eval()(batch["mixture"], batch["enrolment"])
    scores_db = pairwise_si_sdr_db(references=batch["references"], estimates=estimates)
    asked = scores_db.diagonal(dim1=1, dim2=2)
    other = scores_db.flip(1).diagonal(dim1=1, dim2=2)
    assert asked.mean() > 5
    assert (asked > other).float().mean() > 0.9
