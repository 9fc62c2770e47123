"""Work through any number of jobs in a pool with a few of them in memory."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from typing import TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")


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
