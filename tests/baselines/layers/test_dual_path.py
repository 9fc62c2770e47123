"""Chunks of a sequence, and their overlap-add."""

import pytest
import torch

from baselines.layers.dual_path import overlap_add, segment


@pytest.mark.parametrize("k", [1, 5, 10, 11, 37])
@pytest.mark.parametrize("margin", [None, 10])
def test_every_frame_lies_in_two_chunks(k: int, margin: int | None) -> None:
    x = torch.randn(2, 3, k)
    chunks = segment(x, 10, margin)
    assert chunks.shape[:3] == (2, 3, 10)
    torch.testing.assert_close(overlap_add(chunks, k, margin), 2 * x, rtol=0, atol=0)


@pytest.mark.parametrize(("k", "count"), [(9, 4), (10, 5), (11, 5), (14, 5), (15, 6)])
def test_whole_chunks_alone_are_cut_from_a_margin_of_a_chunk(k: int, count: int) -> None:
    """As `torch.nn.functional.unfold` does: none is completed by more zeros."""
    assert segment(torch.randn(1, 1, k), 10, 10).shape[-1] == count
    assert segment(torch.randn(1, 1, k), 10).shape[-1] == -(-k // 5) + 1


def test_a_chunk_begins_half_a_chunk_after_the_one_before() -> None:
    x = torch.arange(1.0, 13)[None, None]
    chunks = segment(x, 4)
    assert chunks[0, 0, :, 1].tolist() == [1, 2, 3, 4]
    assert chunks[0, 0, :, 2].tolist() == [3, 4, 5, 6]
    assert chunks[0, 0, :, 0].tolist() == [0, 0, 1, 2]
