"""Long recordings, separated in overlapping chunks that are joined without a seam.

Chunks are separated independently. If the sources have no names, each chunk's estimates are put in
the order that correlates best with the previous chunk in their overlap, where one chunk then fades
into the next.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from baselines.inputs import cut_inputs
from baselines.layers.permutation import in_order_of
from baselines.separator import Separator
from mixgen.core.errors import UsageError


@torch.no_grad()
def separate_long(
    separator: Separator,
    mixture: Tensor,
    inputs: Mapping[str, Tensor] | None = None,
    *,
    chunk_s: float = 20.0,
    overlap_s: float = 4.0,
) -> Tensor:
    """Separate mixture (batch, channels, time) into (batch, n_src, channels, time) chunk by chunk.

    Memory is bounded by the chunk and the output. A mixture that fits in one chunk is separated
    whole, as is any mixture by a program of others or a system that adapts.

    Args:
        separator: in evaluation mode.
        mixture: shape (batch, channels, time).
        inputs: the signals that the separator names in `inputs`.
        chunk_s: length of a chunk in seconds.
        overlap_s: shortest overlap of two chunks in seconds.

    Raises:
        UsageError: `overlap_s` is not above 0 or is more than half of `chunk_s`.
    """
    chunk = round(chunk_s * separator.sample_rate)
    overlap = round(overlap_s * separator.sample_rate)
    if not 0 < overlap <= chunk // 2:
        raise UsageError(
            f"The overlap is {overlap_s} s of a {chunk_s} s chunk; it must be above 0 and at most "
            "half the chunk."
        )
    beside = inputs or {}
    time = mixture.shape[-1]
    if separator.external or separator.adapts or time <= chunk:
        return separator(mixture, **beside)
    written = 0
    for start in chunk_starts(time, chunk=chunk, overlap=overlap):
        stop = start + chunk
        piece = separator(mixture[..., start:stop], **cut_inputs(beside, slice(start, stop)))
        if start == 0:
            estimates = piece.new_empty(*piece.shape[:-1], time)
        else:
            piece = _join(estimates[..., start:written], piece, named=separator.named)
        estimates[..., start:stop] = piece
        written = stop
    return estimates


def chunk_starts(time: int, *, chunk: int, overlap: int) -> list[int]:
    """Return the first sample of each chunk; chunks overlap by `overlap` samples or more.

    The last chunk is as long as the others and ends with the signal of `time` samples.
    """
    if time <= chunk:
        return [0]
    return [*range(0, time - chunk, chunk - overlap), time - chunk]


def _join(before: Tensor, piece: Tensor, *, named: bool) -> Tensor:
    """Return the piece, faded in over `before` and, unless named, in the order of its sources.

    `before` (batch, n_src, channels, overlap) is what the previous chunk has where the piece
    begins.
    """
    overlap = before.shape[-1]
    if not named:
        piece = in_order_of(before, piece)
    fade_in = torch.linspace(0, 1, overlap + 2, dtype=piece.dtype, device=piece.device)[1:-1]
    head = before + fade_in * (piece[..., :overlap] - before)
    return torch.cat([head, piece[..., overlap:]], dim=-1)
