"""Pools of worker processes that end with this one, and any number of jobs in one of them."""

import contextlib
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")


@contextlib.contextmanager
def process_pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Yield a pool of spawned processes.

    They finish their jobs at the end of the block, and end at once when an exception leaves it or
    when this process is gone, however it went.
    """
    context = get_context("spawn")
    # Workers see the end of this pipe when its other side, which is here alone, is closed.
    theirs, ours = context.Pipe(duplex=False)
    with theirs, ours:
        pool = ProcessPoolExecutor(workers, context, _end_with, (theirs,))
        try:
            _start(pool, workers)
            yield pool
        except BaseException:
            ours.close()
            pool.shutdown(cancel_futures=True)
            raise
        pool.shutdown()


def _start(pool: ProcessPoolExecutor, workers: int) -> None:
    """Start the workers now, so that they are born deaf to Ctrl-C: a terminal sends it to all."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        for _ in range(workers):
            pool.submit(os.getpid)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end_with(pipe: Connection) -> None:
    threading.Thread(target=_end_after, args=(pipe,), daemon=True).start()


def _end_after(pipe: Connection) -> None:
    with contextlib.suppress(OSError):
        pipe.poll(None)
    os._exit(1)


def in_window(
    pool: Executor, work: Callable[[Job], Result], jobs: Iterable[Job], size: int
) -> Iterator[tuple[Job, Result]]:
    """Yield every job with its result, in order; `jobs` is read at most `size` ahead.

    `Executor.map` would take in all jobs first, however many there are.
    """
    under_way: deque[tuple[Job, Future[Result]]] = deque()
    for job in jobs:
        under_way.append((job, pool.submit(work, job)))
        if len(under_way) == size:
            yield _oldest(under_way)
    while under_way:
        yield _oldest(under_way)


def _oldest(under_way: deque[tuple[Job, Future[Result]]]) -> tuple[Job, Result]:
    job, future = under_way.popleft()
    return job, future.result()


def default_workers() -> int:
    """Return the number of processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
