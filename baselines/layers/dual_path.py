"""Chunks of a long sequence, as dual-path models read them, and their overlap-add.

Luo, Chen and Yoshioka, "Dual-path RNN: efficient long sequence modeling for time-domain
single-channel speech separation", ICASSP 2020. Axes: b batch, F features, k frames, K frames of a
chunk, S chunks.
"""

from torch import Tensor
from torch.nn import functional


def segment(x: Tensor, K: int, margin: int | None = None) -> Tensor:
    """Cut x (b, F, k) into chunks (b, F, K, S) of which each begins K // 2 after the previous.

    Args:
        x: shape (b, F, k).
        K: frames of a chunk, an even number.
        margin: zeros before the first frame and after the last. From K // 2, the default, on, every
            frame lies in two chunks. With less than K, more zeros complete the last chunk; with K
            or more, only zeros are left over behind it, and are cut off.
    """
    hop = K // 2
    margin = hop if margin is None else margin
    frames = x.shape[-1] + 2 * margin
    hops = -(-max(frames - K, 0) // hop)  # rounded up
    missing = hops * hop + K - frames if margin < K else 0
    padded = functional.pad(x, (margin, margin + missing))
    return padded.unfold(-1, K, hop).transpose(-1, -2)


def overlap_add(chunks: Tensor, k: int, margin: int | None = None) -> Tensor:
    """Add chunks (b, F, K, S), which `segment` cut with the same margin, up to (b, F, k)."""
    batch, features, K, count = chunks.shape
    hop = K // 2
    margin = hop if margin is None else margin
    halves = chunks.reshape(batch, features, 2, hop, count).transpose(-1, -2)
    total = functional.pad(halves[:, :, 0], (0, 0, 0, 1)) + functional.pad(
        halves[:, :, 1], (0, 0, 1, 0)
    )  # (b, F, S + 1, hop)
    return total.flatten(2)[..., margin : margin + k]
