"""The device that computes, and the number of CPU threads."""

import torch
from torch import nn

from mixgen.core.errors import MachineError, UsageError


def choose_device(name: str) -> torch.device:
    """Return the device `name`: "auto" (a GPU if there is one), "cpu", "cuda", "cuda:N" or "mps".

    Raises:
        UsageError: torch knows no device of that name.
        MachineError: this machine does not have the device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UsageError(
            f"--device is {name!r}; it can be auto, cpu, cuda, cuda:N or mps."
        ) from None
    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError):
        raise MachineError(f"This machine has no device {name!r}: use --device auto.") from None
    return device


def device_of(module: nn.Module) -> torch.device:
    """Return the device of a module's parameters and buffers; the CPU if it has none."""
    tensors = [*module.parameters(), *module.buffers()]
    return tensors[0].device if tensors else torch.device("cpu")


def set_threads(threads: int | None) -> int:
    """Set torch's number of CPU threads (torch's default for None) and return it.

    From here on denormal numbers count as zero, because they slow processors down.
    """
    torch.set_flush_denormal(True)
    if threads is not None:
        torch.set_num_threads(threads)
    return torch.get_num_threads()
