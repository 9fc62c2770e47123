"""Mixed precision for training."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

_CONVOLUTIONS = {
    torch.conv1d,
    torch.conv2d,
    torch.conv3d,
    torch.conv_transpose1d,
    torch.conv_transpose2d,
    torch.conv_transpose3d,
}


class _SingleConvolutions(TorchFunctionMode):
    """Computes convolutions, and so their gradients, in single precision."""

    def __torch_function__(
        self,
        func: Any,
        _types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func not in _CONVOLUTIONS:
            return func(*args, **(kwargs or {}))
        with torch.autocast("cpu", enabled=False):
            return func(*map(_single, args), **{k: _single(v) for k, v in (kwargs or {}).items()})


def _single(value: Any) -> Any:
    return value.float() if isinstance(value, Tensor) else value


@contextmanager
def mixed_precision(device: torch.device) -> Iterator[None]:
    """Compute what allows it in bfloat16, on processors all but convolutions.

    On processors with AMX, oneDNN's convolutions in bfloat16 return wrong values for some sizes
    (torch 2.13: 24 to 48 channels by a kernel of 16 with a stride of 8 is one), and a network that
    has such a layer diverges.
    """
    with torch.autocast(device.type, torch.bfloat16):
        if device.type == "cpu":
            with _SingleConvolutions():
                yield
        else:
            yield
