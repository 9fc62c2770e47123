"""Masks from a network's scores, by the functions among which published systems choose."""

from torch import Tensor

MASK_ACTIVATIONS = ("sigmoid", "softmax", "relu")


def as_masks(scores: Tensor, activation: str, axis: int = 1) -> Tensor:
    """Return masks of the shape of unlimited scores, by one of `MASK_ACTIVATIONS`.

    Args:
        scores: shape (b, n_src, ...), or with the sources on another axis.
        activation: "sigmoid": from 0 to 1; "softmax": sums to one over the sources; "relu": 0 or
            more, without an upper limit.
        axis: that of the sources.
    """
    if activation == "softmax":
        return scores.softmax(axis)
    return scores.sigmoid() if activation == "sigmoid" else scores.relu()
