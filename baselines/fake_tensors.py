"""Separators without weights in memory: tensors that have a shape and no data."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.overrides import TorchFunctionMode


@contextmanager
def without_data() -> Iterator[None]:
    """Make every tensor that is created here a fake one, which takes no memory and no time."""
    with FakeTensorMode(), _InverseStft():
        yield


def has_data(tensor: Tensor) -> bool:
    """Return whether the values of a tensor can be looked at; those of a fake one cannot."""
    return not isinstance(tensor, FakeTensor)


class _InverseStft(TorchFunctionMode):
    """Gives `torch.istft` a result for fake tensors: it looks at data, and they have none."""

    def __torch_function__(
        self,
        function: Callable[..., Any],
        _types: Sequence[type],
        arguments: Sequence[Any] = (),
        options: Mapping[str, Any] | None = None,
    ) -> Any:
        options = options or {}
        if function is torch.istft:
            spectrum = arguments[0]  # (batch, bins, frames)
            return spectrum.real.new_empty(len(spectrum), options["length"])
        return function(*arguments, **options)
