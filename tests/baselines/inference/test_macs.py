"""The counter of MACs against worked examples and published figures."""

import pytest
import torch
from torch import nn

from baselines.fake_tensors import without_data
from baselines.inference.macs import count_macs, macs_per_second
from baselines.models.demucs import Demucs, DemucsHyperparameters
from baselines.registry import build
from tests.baselines.conftest import GetBuilt


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_ordinary_convolution_of_the_worked_example() -> None:
    """An image of 12 x 12 x 3, 256 kernels of 5 x 5."""
    ordinary = nn.Conv2d(3, 256, 5, bias=False)
    assert parameters(ordinary) == 19_200
    assert count_macs(ordinary, torch.zeros(1, 3, 12, 12)) == 1_228_800


def test_separable_convolution_of_the_worked_example() -> None:
    separable = nn.Sequential(
        nn.Conv2d(3, 3, 5, groups=3, bias=False), nn.Conv2d(3, 256, 1, bias=False)
    )
    assert parameters(separable) == 843
    assert count_macs(separable, torch.zeros(1, 3, 12, 12)) == 53_952


def test_transposed_convolution_counts_what_its_adjoint_counts() -> None:
    forward = nn.Conv1d(4, 6, 8, stride=4, groups=2)
    backward = nn.ConvTranspose1d(6, 4, 8, stride=4, groups=2)
    frames = torch.zeros(3, 6, 10)
    assert count_macs(backward, frames) == count_macs(forward, backward(frames))


def test_bidirectional_recurrent_layers() -> None:
    """Four gates, two directions: input 10 then 2 * 7, each with 7 of state, over 5 steps."""
    lstm = nn.LSTM(10, 7, num_layers=2, bidirectional=True, batch_first=True)
    expected = 5 * 2 * 4 * 7 * ((10 + 7) + (14 + 7))
    assert count_macs(lstm, torch.zeros(1, 5, 10)) == expected


def test_attention_counts_projections_and_products() -> None:
    attention = nn.MultiheadAttention(12, 3, batch_first=True)
    sequences = torch.zeros(2, 5, 12)
    expected = 2 * (4 * 5 * 12 * 12 + 2 * 5 * 5 * 12)
    assert count_macs(attention, sequences, sequences, sequences) == expected


def test_a_module_called_twice_counts_twice_and_is_left_as_it_was() -> None:
    layer = nn.Linear(3, 4)
    twice = nn.Sequential(layer, nn.Linear(4, 3), layer)
    assert count_macs(twice, torch.zeros(2, 3)) == 3 * 2 * 12
    assert twice.training
    assert not layer._forward_hooks


@pytest.mark.parametrize(
    ("name", "gmac"),
    [
        ("conv_tasnet", 4.99),
        ("dprnn", 42.84),
        ("two_step", 6.92),
        ("sudormrf", 2.29),
        ("sudormrf:0.5x", 1.42),
        ("sudormrf:0.25x", 0.99),
    ],
)
def test_speech_systems_cost_what_was_counted_in_the_authors_code(name: str, gmac: float) -> None:
    """Per second at 8 kHz, of the systems in the table of the SuDoRM-RF paper.

    The paper prints thop's 5.23, 48.89, 7.09, 2.52, 1.54 and 1.06, which count more than products.
    """
    with without_data():
        assert macs_per_second(build(name)) == pytest.approx(1e9 * gmac, rel=0.01)


def test_demucs_of_the_same_table() -> None:
    """For two sources in mono at 8 kHz, with 80 channels: 415,090,082 parameters, 3.09 GMAC.

    Its first release, which the table measured, pads a second to 21,844 samples, and trims two
    frames where each decoder here pads.
    """
    h = DemucsHyperparameters(
        n_src=2, source_names=("s1", "s2"), channels=1, sample_rate=8000, C=80, resample=1
    )
    with without_data():
        separator = Demucs(h).eval()
        assert parameters(separator) == 415_090_082
        x, total = torch.zeros(1, 1, 21_844), 0
        for layer in (*separator.encoder, separator.blstm, *separator.decoder):
            x = x[..., 2:] if layer in separator.decoder else x
            total += count_macs(layer, x)
            x = layer(x)
    assert total == pytest.approx(3.09e9, rel=0.01)


def test_open_unmix_is_as_large_as_published(built: GetBuilt) -> None:
    """0.39 GMAC per second and stem."""
    assert macs_per_second(built("open_unmix")) / 4 == pytest.approx(0.39e9, rel=0.01)


def test_a_separator_without_parameters_costs_nothing(built: GetBuilt) -> None:
    assert macs_per_second(built("oracle:irm")) == 0


def test_a_system_that_counts_is_measured_with_most_sources() -> None:
    """The decoder of three does more than that of two, whatever the head finds in silence."""
    macs = {
        n: macs_per_second(build("multi_decoder_dprnn:tiny", n_src=n, fewest=1)) for n in (2, 3)
    }
    assert macs[3] > macs[2] > 0
    separator = build("multi_decoder_dprnn:tiny", n_src=2, fewest=1)
    macs_per_second(separator)
    assert separator.count is None
