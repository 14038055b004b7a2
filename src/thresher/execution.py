"""Running many tasks: in this process, over local processes or over a Dask cluster; what is done is kept and not done twice."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import multiprocessing
import os
import queue
import signal
import tempfile
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import CancelledError, Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from thresher.arrays import usable_processors, use_threads
from thresher.errors import InputError, ThresherError
from thresher.result import plain, to_json_text, write_text

if TYPE_CHECKING:
    from distributed import Client

Arrays = Mapping[str, np.ndarray]
"""What a task gives: plain arrays by name."""

MOST_WORKERS = 1024
LOSSES_ALLOWED = 3
"""Workers that a task may lose before it is tried alone, in a process of its own."""
CONNECT_SECONDS = 8.0
WITHOUT_WORKERS_SECONDS = 300.0
"""How long a cluster may be without any worker; one that starts its workers on demand needs minutes."""
PROGRESS_SECONDS = 1.0
IDLE_SECONDS = 5.0
SWEEP_FILE = "sweep.json"


def signature_of(data: Any) -> str:
    """A hash of a sweep's inputs, as plain data, and of the package's version; the order of keys does not matter."""
    document = {"thresher": version("thresher"), "data": plain(data)}
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


class Store:
    """A folder that keeps the tasks a sweep has finished, one file each, written whole or not at all.

    Parameters
    ----------
    folder
        Made where it is missing. One that holds another sweep, or files of any other kind, is refused.
    signature
        What the tasks depend on (`signature_of`); the folder belongs to the sweep with this signature.

    Raises
    ------
    InputError
        The folder cannot be written, or holds something else.
    """

    def __init__(self, folder: str | Path, signature: str) -> None:
        self.folder = Path(folder)
        held = self._signature_held()
        if held not in (None, signature):
            raise InputError(
                str(self.folder), "a folder of this sweep; it holds another one (delete it, or choose another folder)"
            )
        write_text(self.folder / SWEEP_FILE, to_json_text({"thresher": version("thresher"), "signature": signature}))

    def read(self, name: str) -> dict[str, np.ndarray] | None:
        """What the task gave; None when it is not there, or damaged."""
        try:
            with self._path(name).open("rb") as stream, np.load(stream, allow_pickle=False) as file:
                arrays = {key: file[key] for key in file.files}
            return None if str(arrays.pop("task")) != name else {key[1:]: value for key, value in arrays.items()}
        except Exception:  # a damaged file fails in any of a dozen ways, and is computed again whatever it is
            return None

    def write(self, name: str, arrays: Arrays) -> None:
        """Keep what the task gave."""
        path = self._path(name)
        try:
            with tempfile.TemporaryDirectory(dir=self.folder, prefix=".") as folder:
                whole = Path(folder) / path.name
                # the dot keeps names of arrays apart from the task's own and from the arguments of savez
                np.savez(whole, allow_pickle=False, task=name, **{f".{key}": value for key, value in arrays.items()})
                whole.replace(path)
        except OSError as error:
            raise InputError(str(self.folder), f"a folder that can be written ({error.strerror or error})") from None

    def _path(self, name: str) -> Path:
        return self.folder / f"{hashlib.sha256(name.encode()).hexdigest()[:32]}.npz"

    def _signature_held(self) -> str | None:
        """The signature of the sweep that the folder holds; None for a new or empty folder."""
        try:
            found = [path.name for path in self.folder.iterdir() if not path.name.startswith(".")]
            if not found:
                return None
            if SWEEP_FILE not in found:
                raise InputError(str(self.folder), "a new or empty folder, or one that holds this sweep")
            return str(json.loads((self.folder / SWEEP_FILE).read_text("utf-8"))["signature"])
        except FileNotFoundError:
            return None
        except OSError as error:
            raise InputError(str(self.folder), f"a folder that can be read and written ({error.strerror})") from None
        except (ValueError, TypeError, KeyError):
            return "unreadable"


def run_tasks(
    function: Callable[[Any], Arrays],
    tasks: Mapping[str, Any],
    *,
    workers: int = 1,
    scheduler: str | None = None,
    kept: Store | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> dict[str, dict[str, np.ndarray]]:
    """Call ``function`` with the argument of every task; the results do not depend on where they are computed.

    A process or worker that dies loses no result: what it had not finished is run again elsewhere. A task that raises
    ends the run with its error. What was finished before an error or an interrupt is kept in ``kept``.

    Parameters
    ----------
    function
        A function of a module, so that other processes can import it. It gives arrays by name, none of objects.
    tasks
        Arguments by a name that is the same in every run; both can be pickled.
    workers
        Local processes. With 1, the tasks run in this process one after another, each on all its processors.
        With more, each task has its share of the processors; a script that asks for them starts its work below
        ``if __name__ == "__main__":``, because every process imports it.
    scheduler
        The address of a Dask scheduler, for instance ``tcp://10.0.0.5:8786``. It and its workers have this package
        installed, in this version. A task runs on one thread of its worker.
    kept
        Where finished tasks are kept as they come, and from where they are read back instead of run.
    progress
        Told how many are done, at most about once a second.

    Returns
    -------
    dict
        What each task gave, in the order of ``tasks``.

    Raises
    ------
    InputError
        Workers or scheduler make no sense, or the scheduler does not answer.
    ThresherError
        Some tasks could not be finished, because they kill the process that runs them; or the cluster was lost.
    """
    if not isinstance(workers, int) or not 1 <= workers <= MOST_WORKERS:
        raise InputError("--workers", f"a whole number from 1 to {MOST_WORKERS}", workers)
    if scheduler is not None and workers > 1:
        raise InputError("--workers", "no such option with --scheduler, which has workers of its own", workers)
    tally = _Tally(len(tasks), kept, progress)
    left = {name: argument for name, argument in tasks.items() if not tally.read_back(name)}
    if left and scheduler is not None:
        _over_cluster(function, left, scheduler, tally)
    elif left and workers > 1:
        _over_processes(function, left, min(workers, len(left)), tally)
    else:
        for name, argument in left.items():
            tally.finish(name, _call(function, argument, None, version("thresher")))
    return {name: tally.results[name] for name in tasks}


class _Tally:
    """What is done so far: kept as it comes, and told."""

    def __init__(self, total: int, kept: Store | None, progress: Callable[[str], None]) -> None:
        self.results: dict[str, dict[str, np.ndarray]] = {}
        self.progress = progress
        self._total = total
        self._kept = kept
        self._told = -PROGRESS_SECONDS

    def read_back(self, name: str) -> bool:
        """Whether an earlier run has finished the task."""
        arrays = None if self._kept is None else self._kept.read(name)
        if arrays is None:
            return False
        self.results[name] = arrays
        self._tell()
        return True

    def finish(self, name: str, arrays: dict[str, np.ndarray]) -> None:
        """Book what a task gave."""
        if self._kept is not None:
            self._kept.write(name, arrays)
        self.results[name] = {
            key: np.require(value, requirements="W") for key, value in arrays.items()
        }  # Dask's are not
        self._tell()

    def _tell(self) -> None:
        now = time.monotonic()
        if now - self._told >= PROGRESS_SECONDS or len(self.results) == self._total:
            self._told = now
            self.progress(f"{len(self.results)} of {self._total} done")


def _call(
    function: Callable[[Any], Arrays], argument: Any, threads: int | None, expected: str
) -> dict[str, np.ndarray]:
    """Run a task where it is to run, in a package of the expected version, on that many threads."""
    if version("thresher") != expected:
        raise ThresherError(f"a worker of the cluster has thresher {version('thresher')}; install {expected} there")
    with use_threads(threads):
        arrays = {name: np.asarray(value) for name, value in function(argument).items()}
    objects = [name for name, value in arrays.items() if value.dtype.hasobject]
    if objects:
        raise TypeError(f"a task gives arrays of plain values, not of objects: {', '.join(objects)}")
    return arrays


def _collect(
    executor: Executor,
    function: Callable[[Any], Arrays],
    tasks: Mapping[str, Any],
    threads: int,
    tally: _Tally,
    lost: type[Exception],
    when_idle: Callable[[], None] = lambda: None,
) -> None:
    """Run tasks on an executor and book each as it ends; those that end with ``lost`` are passed over."""
    ended: queue.SimpleQueue[Future[dict[str, np.ndarray]]] = queue.SimpleQueue()
    names = {}
    for name, argument in tasks.items():
        try:
            future = executor.submit(_call, function, argument, threads, version("thresher"))
        except lost:
            break
        names[future] = name
        future.add_done_callback(ended.put)
    while names:
        try:
            future = ended.get(timeout=IDLE_SECONDS)
        except queue.Empty:
            when_idle()
            continue
        name = names.pop(future)
        with suppress(lost):
            tally.finish(name, future.result())


def _could_not(names: list[str]) -> ThresherError:
    shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")  # noqa: PLR2004
    return ThresherError(
        f"could not finish {shown}: the process that runs it dies every time (out of memory?); all else was finished"
    )


# Local processes


def _over_processes(function: Callable[[Any], Arrays], tasks: Mapping[str, Any], workers: int, tally: _Tally) -> None:
    """Run tasks over local processes. A dead process takes the pool with it: a new one goes on with what is left.

    The pool does not say whose process died. A task that was at the head of the queue several times when the pool broke
    is tried alone; if it breaks that one too, it is given up.
    """
    left = dict(tasks)
    losses: Counter[str] = Counter()
    given_up = []
    while left:
        suspect = next((name for name in left if losses[name] >= LOSSES_ALLOWED), None)
        batch = dict(left) if suspect is None else {suspect: left[suspect]}
        share = min(workers, len(batch))
        with _process_pool(share) as pool:
            _collect(pool, function, batch, max(1, usable_processors() // share), tally, BrokenProcessPool)
        left = {name: argument for name, argument in left.items() if name not in tally.results}
        if suspect in left:
            given_up.append(suspect)
            del left[suspect]
        elif suspect is None:
            losses.update(islice(left, share + 1))  # the pool hands out one more than it has processes
    if given_up:
        raise _could_not(given_up)


@contextmanager
def _process_pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    """A pool whose processes are ended at once when an error or an interrupt leaves it."""
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer=_serve_parent)
    try:
        yield pool
    except BaseException:
        for process in list((pool._processes or {}).values()):
            process.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _serve_parent() -> None:
    """In a process of the pool: leave interrupts to the parent, and end with it, however it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()

    def follow() -> None:
        if parent is not None:
            parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


# A Dask cluster


def _over_cluster(function: Callable[[Any], Arrays], tasks: Mapping[str, Any], address: str, tally: _Tally) -> None:
    """Run tasks over a Dask cluster, which runs those of a lost worker again by itself."""
    try:
        from distributed import KilledWorker  # noqa: PLC0415
        from distributed.comm import CommClosedError  # noqa: PLC0415
    except ImportError:
        raise ThresherError("--scheduler needs Dask's distributed: pip install 'thresher[cluster]'") from None
    with _client(address) as client:
        since = time.monotonic()

        def see_workers() -> None:
            nonlocal since
            if client.scheduler_info()["workers"]:
                since = time.monotonic()
            elif time.monotonic() - since > WITHOUT_WORKERS_SECONDS:
                raise ThresherError(f"the cluster at {address} has no workers")
            else:
                tally.progress(f"waiting for workers of the cluster at {address}")

        executor = client.get_executor(pure=False)
        try:
            _collect(executor, function, tasks, 1, tally, KilledWorker, see_workers)
            for name, argument in tasks.items():
                if name not in tally.results:  # it may have stood beside the one that kills: each is tried alone
                    _collect(executor, function, {name: argument}, 1, tally, KilledWorker, see_workers)
        except (CancelledError, CommClosedError):
            raise ThresherError(f"the scheduler at {address} was lost") from None
        except (ImportError, RuntimeError) as error:
            lacking = [one for one in (error, error.__cause__, error.__context__) if isinstance(one, ImportError)]
            if not lacking:
                raise
            raise ThresherError(
                f"the cluster at {address} lacks a package; its scheduler and workers need thresher {version('thresher')}"
                f" and what it runs ({lacking[0]})"
            ) from None
        finally:
            executor.shutdown(wait=False)
    killers = [name for name in tasks if name not in tally.results]
    if killers:
        raise _could_not(killers)


@contextmanager
def _client(address: str) -> Iterator[Client]:
    """A client of the scheduler at an address, whose log stays off standard error."""
    from distributed import Client  # noqa: PLC0415

    families = {"distributed", "tornado"}
    loggers = [logging.getLogger(name) for name in logging.root.manager.loggerDict if name.split(".")[0] in families]
    before = [logger.disabled for logger in loggers]
    for logger in loggers:
        logger.disabled = True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                # asked first, because a client that fails to connect complains once more when it is freed
                asyncio.run(_find_scheduler(address))
                client = Client(address, timeout=CONNECT_SECONDS, set_as_default=False, name="thresher")
            except Exception as error:  # what answers may be anything, and so may the error
                raise InputError(
                    "--scheduler",
                    f"the address of a Dask scheduler that answers ({str(error) or 'no answer'})",
                    address,
                ) from None
            try:
                yield client
            finally:
                client.close(timeout=IDLE_SECONDS)
    finally:
        for logger, disabled in zip(loggers, before, strict=True):
            logger.disabled = disabled


async def _find_scheduler(address: str) -> None:
    """Ask who is at an address; an error when nothing answers in time, or something else than a Dask scheduler."""
    from distributed import rpc  # noqa: PLC0415

    async with asyncio.timeout(CONNECT_SECONDS), rpc(address, timeout=CONNECT_SECONDS) as remote:
        kind = (await remote.identity())["type"]
    if kind != "Scheduler":
        raise ValueError(f"a Dask {kind.lower()} answers there")
