"""SepFormer: chunks, positions, sizes and options."""

from typing import Any

import pytest
import torch

from baselines.inference.macs import macs_per_second
from baselines.models.sepformer import PathTransformer, SepFormer, SepFormerHyperparameters
from mixgen.core.errors import UsageError

TINY = {"F": 8, "L": 4, "C": 6, "N": 1, "K": 1, "heads": 2, "d_ff": 12}


def tiny(**changes: Any) -> SepFormerHyperparameters:
    return SepFormerHyperparameters(**{**TINY, **changes})


def test_three_sources_have_the_published_size() -> None:
    separator = SepFormer(SepFormerHyperparameters(n_src=3))
    assert sum(parameter.numel() for parameter in separator.parameters()) == 25_745_153


@pytest.mark.parametrize("wrong", [{"C": 7}, {"L": 0}, {"heads": 3}])
def test_impossible_sizes_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=rf"\b({'|'.join(wrong)})\b"):
        SepFormer(tiny(**wrong))


def test_all_products_are_counted() -> None:
    """The basis, the linear layers, and per path two products of all positions of a sequence."""
    h = tiny()
    frames, chunks = 3999, 1336  # of one second; the chunks are an even number
    inside = chunks * h.C
    layer = 4 * h.F**2 + 2 * h.F * h.d_ff
    basis = frames * h.L * h.F * (1 + h.n_src)
    ends = h.F**2 * (frames + h.n_src * (inside + 3 * frames))
    products = 2 * h.F * inside * (h.C + chunks)
    assert macs_per_second(SepFormer(h)) == basis + ends + 2 * inside * layer + products


def test_the_order_of_positions_counts() -> None:
    path = PathTransformer(tiny())
    x = torch.randn(1, 2, 9, 8)
    assert not torch.allclose(path(x.flip(2)).flip(2), path(x), atol=1e-3)


def test_sequences_are_read_alone_and_normalised_together() -> None:
    path = PathTransformer(tiny())
    x = torch.randn(1, 3, 9, 8)
    alone = torch.cat([path.norm(path.layers(y + path_code(y))) for y in x[0].split(1)])
    expected = torch.nn.functional.layer_norm(alone, alone.shape, eps=1e-8)
    torch.testing.assert_close(path(x)[0], expected)


def path_code(x: torch.Tensor) -> torch.Tensor:
    """Sines at the even features of position k and cosines at the odd, of falling frequency."""
    k = torch.arange(x.shape[1])[:, None]
    angles = k / 10000 ** (torch.arange(0, 8, 2) / 8)
    return torch.stack([angles.sin(), angles.cos()], -1).flatten(1)


def test_more_than_2500_chunks_are_separated() -> None:
    separator = SepFormer(tiny(C=2, F=4, L=2, heads=1, d_ff=4)).eval()
    with torch.no_grad():
        assert separator(torch.randn(1, 1, 2600)).isfinite().all()
