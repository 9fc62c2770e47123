"""Recordings that do not fit in memory: overlapping chunks, joined without a seam.

Each chunk is separated on its own. Estimates without names come out of a chunk in any order, so the
order is taken that agrees best with the previous chunk where the two overlap; then one chunk fades
into the next.
"""

import torch
from torch import Tensor

from baselines.layers.permutation import best_permutation
from baselines.separator import Separator
from mixgen.core.errors import UsageError


@torch.no_grad()
def separate_long(
    separator: Separator,
    mixture: Tensor,
    references: Tensor | None = None,
    *,
    chunk_s: float = 20.0,
    overlap_s: float = 4.0,
) -> Tensor:
    """Separate mixture (batch, channels, time) into (batch, n_src, channels, time) chunk by chunk.

    Memory is bounded by the chunk and the output. A mixture that fits in one chunk is given to the
    separator whole. Oracles take their references with the mixture. Raises UsageError unless
    0 < overlap_s <= chunk_s / 2.
    """
    chunk = round(chunk_s * separator.sample_rate)
    overlap = round(overlap_s * separator.sample_rate)
    if not 0 < overlap <= chunk // 2:
        raise UsageError(
            f"The overlap is {overlap_s} s of a {chunk_s} s chunk; it must be above 0 and at most "
            "half the chunk."
        )
    time = mixture.shape[-1]
    estimates = mixture.new_empty(mixture.shape[0], separator.n_src, *mixture.shape[1:])
    written = 0
    for start in chunk_starts(time, chunk=chunk, overlap=overlap):
        stop = min(start + chunk, time)
        piece = _separate(separator, mixture, references, start, stop)
        if start > 0:
            piece = _join(estimates[..., start:written], piece, named=bool(separator.source_names))
        estimates[..., start:stop] = piece
        written = stop
    return estimates


def chunk_starts(time: int, *, chunk: int, overlap: int) -> list[int]:
    """First samples of chunks that cover `time` samples and overlap by `overlap` or more.

    The last chunk is as long as the others and ends with the signal.
    """
    if time <= chunk:
        return [0]
    return [*range(0, time - chunk, chunk - overlap), time - chunk]


def _separate(
    separator: Separator, mixture: Tensor, references: Tensor | None, start: int, stop: int
) -> Tensor:
    if references is None:
        return separator(mixture[..., start:stop])
    return separator(mixture[..., start:stop], references[..., start:stop])


def _join(before: Tensor, piece: Tensor, *, named: bool) -> Tensor:
    """Put the piece in the order of what was written before and fade from one to the other.

    `before` (batch, n_src, channels, overlap) is what stands where the piece begins.
    """
    overlap = before.shape[-1]
    if not named:
        piece = _in_order_of(before, piece)
    fade_in = torch.linspace(0, 1, overlap + 2, dtype=piece.dtype, device=piece.device)[1:-1]
    head = before + fade_in * (piece[..., :overlap] - before)
    return torch.cat([head, piece[..., overlap:]], dim=-1)


def _in_order_of(before: Tensor, piece: Tensor) -> Tensor:
    head = piece[..., : before.shape[-1]]
    likeness = torch.einsum("bict,bjct->bij", before, head)
    order = best_permutation(-likeness)  # (batch, n_src)
    rows = torch.arange(len(order), device=piece.device)[:, None]
    return piece[rows, order]
