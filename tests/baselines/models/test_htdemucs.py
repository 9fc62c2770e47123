"""Hybrid Transformer Demucs: positions, attention between the branches, and options."""

from typing import Any

import pytest
import torch

from baselines.inference.macs import count_macs
from baselines.models.htdemucs import (
    HTDemucs,
    HTDemucsHyperparameters,
    TransformerLayer,
    grid_positions,
    line_positions,
)
from mixgen.core.errors import UsageError

TINY = {"C": 8, "depth": 2, "n_fft": 256, "bottom": 16, "layers": 2, "heads": 2}


def hyperparameters(**changes: Any) -> HTDemucsHyperparameters:
    return HTDemucsHyperparameters(**{**TINY, **changes})


@pytest.mark.parametrize(
    "wrong", [{"source_names": None}, {"depth": 4}, {"bottom": 18}, {"bottom": 4}, {"heads": 3}]
)
def test_unknown_options_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=rf"\b({'|'.join(wrong)})\b"):
        hyperparameters(**wrong)


def test_no_two_positions_are_alike() -> None:
    like = torch.zeros(1)
    line = line_positions(16, 50, like)
    assert line.shape == (50, 16)
    assert len(line.unique(dim=0)) == 50
    grid = grid_positions(16, 3, 20, like)
    assert grid.shape == (60, 16)
    assert len(grid.unique(dim=0)) == 60
    assert torch.equal(grid[:3, :8], grid[:1, :8].expand(3, 8))  # three frequencies of a frame


def test_branches_attend_to_each_other_in_every_second_layer() -> None:
    with_cross = HTDemucs(hyperparameters()).eval()
    without = HTDemucs(hyperparameters(layers=1)).eval()
    for separator, crosses in ((with_cross, True), (without, False)):
        x, waves = torch.randn(1, 16, 3, 5), torch.randn(1, 16, 9)
        alone, _ = separator.transformer(x, waves)
        other, _ = separator.transformer(x, waves.flip(-1))
        assert torch.equal(alone, other) != crosses


def test_attention_to_the_other_branch_is_counted_by_both_lengths() -> None:
    layer = TransformerLayer(hyperparameters(hidden_scale=2.0), cross=True)
    x, other = torch.randn(1, 10, 16), torch.randn(1, 7, 16)
    linear = 10 * (2 * 16 * 16 + 2 * 16 * 32) + 7 * 2 * 16 * 16
    assert count_macs(layer, x, other) == linear + 2 * 10 * 7 * 16


def test_the_transformer_may_have_the_width_of_the_deepest_level() -> None:
    separator = HTDemucs(hyperparameters(bottom=None)).eval()
    assert separator(torch.randn(1, 2, 700)).shape == (1, 4, 2, 700)
