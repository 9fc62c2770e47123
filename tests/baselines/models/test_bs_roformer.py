"""BS-RoFormer: bands, rotary positions, masks, the loss and options."""

from typing import Any

import pytest
import torch

from baselines.inference.macs import count_macs
from baselines.losses import multi_resolution_l1_loss
from baselines.models.bs_roformer import (
    BANDS,
    BsRoformer,
    BsRoformerHyperparameters,
    RotaryAttention,
    rotate,
)
from mixgen.core.errors import UsageError

TINY: dict[str, Any] = {
    "n_fft": 64,
    "hop_length": 32,
    "bands": (2,) * 4 + (5,) * 5,
    "D": 16,
    "layers": 1,
    "heads": 2,
    "d": 8,
    "mask_expansion": 1,
    "dropout": 0.0,
}


def tiny(**changes: Any) -> BsRoformer:
    return BsRoformer(BsRoformerHyperparameters(**{**TINY, **changes})).eval()


def test_the_bands_of_the_paper_grow() -> None:
    assert len(BANDS) == 62
    assert sum(BANDS) == 1025
    assert list(BANDS) == sorted(BANDS)


def test_attention_depends_on_the_distance_of_positions_alone() -> None:
    turns = torch.polar(torch.ones(20, 4), torch.arange(20.0)[:, None] * torch.rand(4))
    query, key = torch.randn(2, 8)
    turned_query = rotate(query.expand(20, 8), turns)
    turned_key = rotate(key.expand(20, 8), turns)
    scores = turned_query @ turned_key.T
    for offset in (-3, 0, 7):
        diagonal = scores.diagonal(offset)
        torch.testing.assert_close(diagonal, diagonal[:1].expand_as(diagonal))
    assert scores[0].std() > 0.1


def test_bands_are_masked_by_networks_of_their_own() -> None:
    """A network whose last layer gives 0 for all bands but one leaves only the bins of that band.

    The mask of that band is 1 for the first channel and 0 for the second.
    """
    separator = tiny(n_src=1, source_names=("vocals",))
    for layer in separator.masks[0].outputs:
        layer.weight.data.zero_()
        layer.bias.data.zero_()
    # Bins 13 to 17, the second of the wide ones; a bin has 2 channels of 2 values, then the gates.
    chosen = separator.masks[0].outputs[1].bias.data[1, 0]
    chosen[:20:4] = 1.0
    chosen[20:] = 100.0
    mixture = 0.1 * torch.randn(1, 2, 640)
    estimate = separator(mixture)[0, 0]  # (channels, time)
    assert not estimate[1].any()
    # The synthesis spreads the band by a few bins.
    magnitude = separator.stft.analyse(estimate[0]).abs().mean(-1)  # (bins,)
    assert magnitude[[*range(8), *range(24, 33)]].max() < 0.1 * magnitude[15]


def test_estimates_follow_the_gain_of_the_mixture() -> None:
    separator = tiny()
    mixture = torch.randn(1, 2, 2000)
    torch.testing.assert_close(
        separator(0.01 * mixture), 0.01 * separator(mixture), rtol=1e-3, atol=1e-5
    )


def test_the_l1_loss_determines_the_level() -> None:
    torch.manual_seed(0)
    separator = tiny(loss_windows=(256, 64), n_src=2, source_names=("vocals", "drums")).train()
    time = torch.arange(2000) / 8000
    tones = torch.sin(2 * torch.pi * torch.tensor([[300.0], [2000.0]]) * time)
    references = tones[None, :, None].repeat(1, 1, 2, 1)
    references[..., :500] = 0.0
    mixture = references.sum(1)
    optimizer = torch.optim.Adam(separator.parameters(), 1e-2)
    for _ in range(30):
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            loss = separator.training_loss({"mixture": mixture, "references": references})
        loss.backward()
        optimizer.step()
    error = (separator.eval()(mixture) - references).square().sum()
    assert error < 0.05 * references.square().sum()


def test_the_loss_is_the_difference_of_spectrograms() -> None:
    references, estimates = torch.randn(2, 2, 1, 2, 3000)
    windows = {"windows": (512, 128), "hop": 100, "n_fft": 256}
    loss = multi_resolution_l1_loss(references=references, estimates=estimates, **windows)
    expected = (references - estimates).abs().mean()
    for window in (512, 128):
        spectra = [
            torch.stft(
                signals.reshape(4, 3000),
                max(window, 256),
                100,
                window,
                torch.hann_window(window),
                pad_mode="constant",
                return_complex=True,
            )
            for signals in (references, estimates)
        ]
        expected += (spectra[0] - spectra[1]).abs().mean()
    torch.testing.assert_close(loss, expected)


def test_attention_counts_its_products() -> None:
    attention = RotaryAttention(BsRoformerHyperparameters(**TINY)).eval()
    turns = torch.ones(10, 4, dtype=torch.complex64)
    projections = 16 * 3 * 16 + 16 * 2 + 16 * 16
    assert count_macs(attention, torch.randn(3, 10, 16), turns) == 30 * (projections + 2 * 10 * 16)


@pytest.mark.parametrize(
    "wrong",
    [
        {"bands": (2, 3)},
        {"bands": (33, 0)},
        {"d": 7},
        {"mask_layers": 0},
        {"loss": "mse"},
        {"source_names": None},
    ],
)
def test_unknown_options_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=rf"\b({'|'.join(wrong)})\b"):
        tiny(**wrong)
