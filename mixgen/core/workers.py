"""One way to do many jobs in several processes: `bounded_map`.

Worker processes follow the process that started them, also when that is killed; they ignore Ctrl-C,
which a terminal sends to all processes of a command; and each uses one thread for linear algebra.
"""

import contextlib
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import TypeVar

from mixgen.core.errors import MachineError

Job = TypeVar("Job")
Result = TypeVar("Result")

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def default_workers() -> int:
    """Return the number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def bounded_map(
    work: Callable[[Job], Result],
    jobs: Iterable[Job],
    *,
    workers: int = 1,
    window: int | None = None,
    executor: Executor | None = None,
) -> Iterator[tuple[Job, Result]]:
    """Yield every job with its result, in the order of the jobs.

    However many jobs there are, a few of them are in memory: `Executor.map` would read all of them
    first.

    Args:
        work: what to do with a job; sent to other processes, so it has to be picklable.
        jobs: read as results are taken.
        workers: processes that do the work; one means this process.
        window: how many jobs are read ahead at most; two for each worker by default.
        executor: does the work instead of processes that are started here. Any executor of
            `concurrent.futures` will do, such as one of threads or of a cluster.

    Raises:
        MachineError: a worker process was killed.
    """
    window = window or 2 * max(1, workers)
    if executor is not None:
        yield from _through(executor, work, jobs, window)
    elif workers <= 1:
        yield from ((job, work(job)) for job in jobs)
    else:
        try:
            with process_pool(workers) as pool:
                yield from _through(pool, work, jobs, window)
        except BrokenProcessPool:
            raise MachineError(
                "A worker process was killed (often for memory): run the same command again with "
                "fewer workers; what is finished is kept."
            ) from None


def _through(
    executor: Executor, work: Callable[[Job], Result], jobs: Iterable[Job], window: int
) -> Iterator[tuple[Job, Result]]:
    under_way: deque[tuple[Job, Future[Result]]] = deque()
    for job in jobs:
        under_way.append((job, executor.submit(work, job)))
        if len(under_way) == window:
            oldest, future = under_way.popleft()
            yield oldest, future.result()
    for left, future in under_way:
        yield left, future.result()


@contextlib.contextmanager
def process_pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Yield a pool of spawned processes.

    They finish their jobs at the end of the block. They end at once when an exception leaves it, or
    when this process ends, however it does.
    """
    # A fork of a process that has threads (torch, BLAS) may hang; a spawned process does not.
    context = get_context("spawn")
    # Workers see the end of this pipe when this process, which alone holds the other side, ends.
    theirs, ours = context.Pipe(duplex=False)
    with theirs, ours:
        pool = ProcessPoolExecutor(workers, context, _follow, (theirs,))
        try:
            _start(pool, workers)
            yield pool
        except BaseException:
            ours.close()
            pool.shutdown(cancel_futures=True)
            raise
        pool.shutdown()


def _start(pool: ProcessPoolExecutor, workers: int) -> None:
    """Start the workers now, while Ctrl-C is blocked and threads are limited: they inherit both."""
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    before = {name: os.environ.get(name) for name in _THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(_THREAD_VARIABLES, "1"))
    try:
        for _ in range(workers):
            pool.submit(os.getpid)
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _follow(parent: Connection) -> None:
    """End this worker when the process at the other side of the pipe ends."""

    def watch() -> None:
        with contextlib.suppress(OSError):
            parent.poll(None)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
