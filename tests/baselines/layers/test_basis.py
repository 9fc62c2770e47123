"""The learned basis: padding gives whole frames over every sample."""

import pytest
import torch

from baselines.layers.basis import LearnedBasis


@pytest.mark.parametrize("padding", ["both", "end"])
@pytest.mark.parametrize(("L", "S"), [(16, 8), (16, 4), (40, 20), (5, 2), (7, 7)])
@pytest.mark.parametrize("time", [1, 16, 100, 101])
def test_padding_gives_whole_frames_over_every_sample(
    padding: str, L: int, S: int, time: int
) -> None:
    basis = LearnedBasis(channels=1, N=3, L=L, S=S, padding=padding)
    front, end = basis.framing(time)
    assert (front + time + end - L) % S == 0
    assert end >= front
    assert end < front + S + max(L - time, 0)


@pytest.mark.parametrize("padding", ["both", "end"])
def test_an_orthogonal_basis_reconstructs_the_signal(padding: str) -> None:
    """The unit vectors as basis signals, of which frames overlap by half."""
    basis = LearnedBasis(channels=1, N=8, L=8, S=4, padding=padding)
    with torch.no_grad():
        basis.encoder.weight.copy_(torch.eye(8)[:, None])
        basis.decoder.weight.copy_(torch.eye(8)[:, None])
        signal = torch.randn(2, 1, 101)
        decoded = basis.decode(basis.encode(signal)[:, None], 101)[:, 0]
    counts = torch.full((101,), 2.0)
    if padding == "end":
        counts[:4] = 1.0
    covered = slice(0, 100)
    torch.testing.assert_close(decoded[..., covered], (counts * signal)[..., covered])
