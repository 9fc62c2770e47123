"""Work on other machines: jobs through an executor, such as that of a Dask cluster.

A job is the function that a worker process here would call, and its data are paths, so where it is
done changes nothing in what it writes. Before its first job every worker shows that it has the
versions of this process and sees the folders that the work reads and writes.
"""

import contextlib
import functools
import itertools
import logging
import socket
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Executor, Future, InvalidStateError
from pathlib import Path
from typing import Any, TypeVar

from mixgen.core.errors import InputError, MachineError, UsageError
from mixgen.core.files import read_json
from mixgen.core.progress import print_status
from mixgen.core.versions import created_by
from mixgen.core.workers import bounded_map

Job = TypeVar("Job")
Result = TypeVar("Result")

_AHEAD = 256  # batches that wait for a worker or are under way
_RETRIES = 2  # of a job that fails on a worker; jobs that can fail by themselves return why
_PATIENCE_S = 10.0  # between two looks for workers
_LOGGERS = ("distributed", "distributed.client", "tornado.application")


def cluster_map(
    work: Callable[[Job], Result],
    jobs: Iterable[Job],
    executor: Executor,
    *,
    folders: Iterable[Path],
    batch: int = 1,
) -> Iterator[tuple[Job, Result]]:
    """Yield every job with its result, in the order of the jobs, from workers on other machines.

    Args:
        work: what to do with a job; sent to workers, as jobs and results are.
        jobs: read as results are taken.
        executor: of the workers; they import this package.
        folders: absolute paths that every worker has to see.
        batch: how many jobs a worker gets at a time.

    Raises:
        MachineError: a worker has other versions, or does not see a folder.
    """
    left = iter(jobs)
    batches = iter(lambda: list(itertools.islice(left, batch)), [])
    seen = tuple(str(folder) for folder in folders)
    versions = tuple(created_by().items())
    on_worker = functools.partial(_on_worker, work, versions, seen)
    for done, results in bounded_map(on_worker, batches, window=_AHEAD, executor=executor):
        yield from zip(done, results, strict=True)


def _on_worker(
    work: Callable[[Job], Result],
    versions: tuple[tuple[str, str], ...],
    folders: tuple[str, ...],
    jobs: list[Job],
) -> list[Result]:
    _check_machine(versions, folders)
    return [work(job) for job in jobs]


@functools.lru_cache(maxsize=16)
def _check_machine(versions: tuple[tuple[str, str], ...], folders: tuple[str, ...]) -> None:
    """Check that this machine writes what the one that sent the work would write.

    Raises:
        MachineError: it has other versions, or does not see a folder.
    """
    here, own = socket.gethostname(), created_by()
    for name, version in versions:
        if own.get(name) != version:
            raise MachineError(
                f"The worker on {here} has {name} {own.get(name, 'absent')} where {version} is "
                "wanted: install the same versions on all machines."
            )
    for folder in folders:
        if not Path(folder).exists():
            raise MachineError(
                f"The worker on {here} does not see {folder}: sources, sets and caches have to be "
                "on a file system that all machines share, under the same path."
            )


def optional_cluster(address: str | None) -> contextlib.AbstractContextManager[Executor | None]:
    """Return the context of `dask_executor`, or of None where there is no address."""
    return contextlib.nullcontext() if address is None else dask_executor(address)


@contextlib.contextmanager
def dask_executor(address: str) -> Iterator[Executor]:
    """Yield an executor whose workers are those of a Dask cluster.

    Workers may come and go. The jobs of a worker that is lost are done by others.

    Args:
        address: of the scheduler, such as tcp://node1:8786, or the path of a scheduler file.

    Raises:
        UsageError: the address is neither.
        InputError: the scheduler file is not valid.
        MachineError: distributed is not installed, no scheduler answers, the connection to it is
            lost, or a job killed one worker after the other.
    """
    try:
        import distributed
        from distributed.comm.addressing import get_address_host_port
    except ImportError:
        raise MachineError(
            "--dask needs the package distributed: run `pip install 'separation-suite[dask]'`."
        ) from None
    where = _scheduler_address(address)
    with _quiet():
        try:
            # A client that cannot connect prints a traceback when it is deleted, so look before.
            socket.create_connection(get_address_host_port(where), _PATIENCE_S).close()
            client = distributed.Client(where, name="mixgen", set_as_default=False)
        except (OSError, ValueError) as error:
            raise MachineError(
                f"No Dask scheduler answers at {where} ({error}): start one with `dask scheduler`, "
                "and workers with `dask worker`."
            ) from None
        over = threading.Event()
        executor = _ClusterExecutor(client.get_executor(pure=False, retries=_RETRIES))
        threading.Thread(target=_watch, args=(client, executor, over), daemon=True).start()
        try:
            yield executor
        except distributed.KilledWorker:
            raise MachineError(
                "A job ended every worker that took it (often for memory): give workers more; "
                "what is finished is kept."
            ) from None
        except CancelledError:
            raise MachineError(
                f"The connection to the Dask scheduler at {where} is lost: start the cluster and "
                "run the same command again; what is finished is kept."
            ) from None
        finally:
            over.set()
            client.close()


def _scheduler_address(word: str) -> str:
    if "://" in word:
        return word
    path = Path(word)
    if not path.is_file():
        raise UsageError(
            f"--dask takes the address of a scheduler, such as tcp://node1:8786, or a scheduler "
            f"file, not {word!r}."
        )
    content = read_json(path)
    address = content.get("address") if isinstance(content, dict) else None
    if not isinstance(address, str):
        raise InputError(f"{path} is not a scheduler file: `dask scheduler` writes one.")
    return address


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Turn off what distributed and tornado log to stderr, because errors are one sentence."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


class _ClusterExecutor(Executor):
    """Submits to the workers of a client, and can give up what they have not finished.

    A client that lost its scheduler leaves some futures pending for ever.
    """

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._pending: weakref.WeakSet[Future[Any]] = weakref.WeakSet()

    def submit(self, work: Callable[..., Any], /, *args: Any, **options: Any) -> Future[Any]:
        """Return the future of a job."""
        future = self._executor.submit(work, *args, **options)
        self._pending.add(future)
        return future

    def give_up(self) -> None:
        """Let all pending futures raise CancelledError."""
        for future in list(self._pending):
            with contextlib.suppress(InvalidStateError):  # it was finished meanwhile
                future.set_exception(CancelledError())


def _watch(client: Any, executor: _ClusterExecutor, over: threading.Event) -> None:
    """Print a line whenever the cluster has no worker, until the work is over or the client is."""
    while not over.wait(_PATIENCE_S):
        try:
            if not client.nthreads():
                print_status("The cluster has no workers: waiting for some.")
        except Exception:  # a lost connection has many, and may come back
            if client.status in ("closing", "closed"):
                executor.give_up()
                return
