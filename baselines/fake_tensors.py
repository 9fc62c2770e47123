"""Separators without weights in memory: tensors that have a shape and no data."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.overrides import TorchFunctionMode


@contextmanager
def without_data() -> Iterator[None]:
    """Make every tensor that is created here a fake one, which takes no memory and no time."""
    with FakeTensorMode(), _InverseStft():
        yield


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


def has_data(tensor: torch.Tensor) -> bool:
    """Return whether a tensor has values, which those made in `without_data` have not."""
    return not isinstance(tensor, FakeTensor)
