"""Which device the work is done on, and how many threads share it."""

import torch

from mixgen.core.errors import MachineError, UsageError


def choose_device(name: str) -> torch.device:
    """The device called `name`: "auto" (a GPU where there is one), "cpu", "cuda", "cuda:1", "mps".

    Raises:
        UsageError: there is no device of that name.
        MachineError: this machine has no such device.
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


def set_threads(threads: int | None) -> int:
    """Let torch use `threads` threads (as it likes, for None); returns how many it uses.

    Numbers too small for their format count as zero from here on: they slow processors down.
    """
    torch.set_flush_denormal(True)
    if threads is not None:
        torch.set_num_threads(threads)
    return torch.get_num_threads()
