"""Keep the memory of arrays that are freed, for the arrays that come next."""

import functools

import numpy as np

_LARGEST_KEPT = 31 << 20  # bytes; beyond 32 MiB glibc always returns a block to the system


@functools.cache
def keep_freed_memory() -> None:
    """Let this process keep freed arrays of up to 31 MiB for the next ones, on systems with glibc.

    At first, glibc returns every freed block of more than 128 KiB to the system, and then the
    system makes and clears every page of the next array anew, which takes longer than most
    arithmetic on it. Once a larger block was freed, glibc keeps blocks of that size, up to twice as
    much in all (mallopt(3), "dynamic mmap threshold"). So a block is freed here that is never
    written to: the system never has to make it.
    """
    np.empty(_LARGEST_KEPT, np.uint8)
