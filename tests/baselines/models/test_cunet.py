"""The conditioned U-Net: its control, FiLM and options."""

from typing import Any

import pytest
import torch

from baselines.models.cunet import Control, CUNet, CUNetHyperparameters
from mixgen.core.errors import UsageError

TINY = {
    "n_fft": 128,
    "hop_length": 64,
    "bins": 64,
    "frames": 16,
    "widths": (4, 8, 6),
    "control": (5, 7),
    "dropout": 0.0,
}


def tiny(**changes: Any) -> CUNet:
    torch.manual_seed(1)
    return CUNet(CUNetHyperparameters(**{**TINY, **changes})).eval()


@pytest.mark.parametrize(
    "wrong", [{"film": "none"}, {"source_names": None}, {"bins": 60}, {"n_src": 3}]
)
def test_unknown_options_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=rf"\b({'|'.join(wrong)})\b"):
        tiny(**wrong)


@pytest.mark.parametrize(("film", "shapes"), [("simple", [1, 1, 1]), ("complex", [4, 8, 6])])
def test_the_control_has_a_factor_and_an_offset_per_level_or_map(
    film: str, shapes: list[int]
) -> None:
    control = Control(CUNetHyperparameters(**{**TINY, "film": film})).eval()
    levels = control(torch.eye(4))
    assert [gamma.shape for gamma, _ in levels] == [(4, size, 1, 1) for size in shapes]
    assert [beta.shape for _, beta in levels] == [(4, size, 1, 1) for size in shapes]
    for gamma, beta in levels:
        torch.testing.assert_close(gamma, torch.ones_like(gamma), rtol=0, atol=0.1)
        torch.testing.assert_close(beta, torch.zeros_like(beta), rtol=0, atol=0.1)


@torch.no_grad()
def test_film_follows_the_norm_of_every_level_of_the_encoder() -> None:
    """A network whose norms are scaled and shifted by hand gives the same scores."""
    separator = tiny(film="complex")
    for value in separator.parameters():
        value += 0.3 * torch.rand_like(value)
    x = torch.rand(1, 1, 64, 16)
    scores = separator.scores(x)[:, 2]
    films = separator.control(torch.eye(4)[2:3])
    for down, (gamma, beta) in zip(separator.unet.down, films, strict=True):
        down.norm.weight *= gamma.flatten()
        down.norm.bias *= gamma.flatten()
        down.norm.bias += beta.flatten()
    torch.testing.assert_close(separator.unet(x), scores)


def test_a_condition_changes_its_estimate_alone() -> None:
    separator = tiny()
    mixture = torch.randn(1, 1, 2000)
    before = separator(mixture)
    separator.control.body[0].weight.data[:, 1] += 1
    changed = (separator(mixture) != before).flatten(2).any(2)[0]
    assert changed.tolist() == [False, True, False, False]
