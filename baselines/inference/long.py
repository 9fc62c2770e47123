"""Long recordings, separated in overlapping chunks that are joined without a seam.

Chunks are separated independently. If the sources have no names, each chunk's estimates are put in
the order that correlates best with the previous chunk in their overlap, where one chunk then fades
into the next.

For a separator with a window this is continuous separation (Chen et al., ICASSP 2020, arXiv
2001.11482): its estimates are streams, which hold any number of talkers as long as no more of them
talk at a time in a window. The paper keeps the middle of each window; here windows overlap by half
and fade into each other.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from baselines.inputs import cut_inputs
from baselines.layers.permutation import in_order_of
from baselines.separator import Separator
from mixgen.core.errors import UsageError

CHUNK_S = 20.0
OVERLAP_S = 4.0


@torch.no_grad()
def separate_long(
    separator: Separator,
    mixture: Tensor,
    inputs: Mapping[str, Tensor] | None = None,
    *,
    chunk_s: float | None = None,
    overlap_s: float | None = None,
) -> Tensor:
    """Separate mixture (batch, channels, time) into (batch, n_src, channels, time) chunk by chunk.

    Memory is bounded by the chunk and the output. A mixture that fits in one chunk is separated
    whole, as is any mixture by a program of others or a system that adapts.

    Args:
        separator: in evaluation mode.
        mixture: shape (batch, channels, time).
        inputs: the signals that the separator names in `inputs`.
        chunk_s: length of a chunk in seconds; by default the window of the separator's streams,
            or 20 s.
        overlap_s: shortest overlap of two chunks in seconds; by default half of that window, or
            4 s.

    Raises:
        UsageError: `overlap_s` is not above 0 or is more than half of `chunk_s`.
    """
    window_s = separator.hyperparameters.stream_window_s
    chunk_s = chunk_s or window_s or CHUNK_S
    if overlap_s is None:
        overlap_s = OVERLAP_S if window_s is None else window_s / 2
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
