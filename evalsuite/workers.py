"""Work over many items in several processes, results in the order of the items."""

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import TypeVar

from mixgen.core.errors import MachineError

Item = TypeVar("Item")
Result = TypeVar("Result")

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def in_order(
    function: Callable[[Item], Result], items: Sequence[Item], workers: int
) -> Iterator[Result]:
    """Yield `function(item)` for every item in order; one worker is this very process.

    Raises:
        MachineError: a worker process was killed.
    """
    if workers == 1:
        yield from map(function, items)
        return
    # A fork of a process that has threads (torch, BLAS) may hang; a spawned one may not.
    context = multiprocessing.get_context("spawn")
    with _one_thread_each(), ProcessPoolExecutor(workers, mp_context=context) as pool:
        try:
            yield from pool.map(function, items)
        except BrokenProcessPool:
            raise MachineError(
                "A worker process was killed, most likely for lack of memory: run again with "
                "fewer --workers; finished mixtures are kept."
            ) from None
        finally:
            pool.shutdown(cancel_futures=True)


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Let the processes started inside use one thread each for linear algebra."""
    before = {name: os.environ.get(name) for name in _THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(_THREAD_VARIABLES, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value
