"""Items of datasets side by side in tensors, as a `torch.utils.data.DataLoader` collates them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypedDict

from mixgen.dataset import MixtureItem, Signal

if TYPE_CHECKING:
    from torch import Tensor


class Batch(TypedDict):
    """Items side by side, each followed by zeros up to the longest and to the most references.

    All but `id` are tensors, in a worker of a `DataLoader` in memory that it shares with the
    training process, so nothing is copied on the way there.

    `mixture` is (batch, channels, time), `references` (batch, n_src, channels, time). `frames` and
    `n_src` hold the length in samples and the number of references of each item, shape (batch,).
    `enrolments` is (batch, n_src, time) and `enrolment_frames` (batch, n_src); without any, 0 long.
    `far_end` is (batch, channels, time), silence in items without an echo; without any, 0 long.
    """

    id: list[str]
    mixture: "Tensor"
    references: "Tensor"
    frames: "Tensor"
    n_src: "Tensor"
    enrolments: "Tensor"
    enrolment_frames: "Tensor"
    far_end: "Tensor"


def collate(items: Sequence[MixtureItem]) -> Batch:
    """Put items of any lengths and numbers of references into one batch of tensors."""
    import torch

    frames = [item.mixture.shape[1] for item in items]
    n_src = [len(item.references) for item in items]
    channels, longest = len(items[0].mixture), max(frames)
    mixture = _new_tensor(len(items), channels, longest)
    references = _new_tensor(len(items), max(n_src), channels, longest)
    for index, item in enumerate(items):
        _fill(mixture[index].numpy(), item.mixture)
        _fill(references[index].numpy(), item.references)
    enrolments, enrolment_frames = _side_by_side([item.enrolments for item in items], max(n_src))
    any_echo = any(item.far_end is not None for item in items)
    far_end = _new_tensor(len(items), channels, longest if any_echo else 0).zero_()
    for index, item in enumerate(items):
        if item.far_end is not None:
            _fill(far_end[index].numpy(), item.far_end)
    return Batch(
        id=[item.id for item in items],
        mixture=mixture,
        references=references,
        frames=torch.tensor(frames),
        n_src=torch.tensor(n_src),
        enrolments=enrolments,
        enrolment_frames=enrolment_frames,
        far_end=far_end,
    )


def _new_tensor(*shape: int) -> "Tensor":
    """Return a float32 tensor to be filled, in a worker in memory shared with other processes."""
    import torch

    tensor = torch.empty(shape)
    in_worker = torch.utils.data.get_worker_info() is not None
    return tensor.share_memory_() if in_worker else tensor


def _fill(whole: Signal, part: Signal) -> None:
    """Copy (..., time) samples to the start of a longer array, with zeros in all the rest.

    The first axis may be longer, too.
    """
    count, frames = len(part), part.shape[-1]
    whole[:count, ..., :frames] = part
    whole[:count, ..., frames:] = 0
    whole[count:] = 0


def _side_by_side(enrolments: Sequence[Sequence[Signal]], n_src: int) -> tuple["Tensor", "Tensor"]:
    """Return enrolments as a tensor (batch, n_src, time), and their lengths (batch, n_src)."""
    import torch

    frames = torch.zeros((len(enrolments), n_src), dtype=torch.int64)
    for index, signals in enumerate(enrolments):
        for number, signal in enumerate(signals):
            frames[index, number] = signal.shape[1]
    padded = _new_tensor(len(enrolments), n_src, int(frames.max()) if frames.numel() else 0)
    padded.zero_()
    for index, signals in enumerate(enrolments):
        for number, signal in enumerate(signals):
            padded[index, number, : signal.shape[1]] = torch.from_numpy(signal[0])
    return padded, frames
