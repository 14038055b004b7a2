"""The array namespace of the models, and their evaluation in cache-sized blocks over threads."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any

import numpy as np
from array_api_compat import array_namespace

Array = Any
"""Any array of the array-API standard, or a Python number where a scalar will do."""

_NUMPY = array_namespace(np.empty(0))

BLOCK_ROWS = 49152
"""Rows per block. Smaller ones stay in a core's cache and are quickest on one thread; but below some twenty thousand rows two
threads wait for the interpreter's lock more than they gain, and are slower than one."""
LEAST_BLOCK_ROWS = 20480
"""Rows from which a block is worth a thread of its own."""

_threads: ContextVar[int | None] = ContextVar("threads", default=None)


def namespace(*values: Array) -> Any:
    """The array-API namespace of the first arrays among ``values``; NumPy's when all are Python numbers."""
    found = np
    for value in values:  # NumPy's own arrays first: this is asked a hundred thousand times a search
        if type(value) is np.ndarray:
            found = _NUMPY
        elif type(value) is not float and hasattr(value, "shape"):
            return array_namespace(*(one for one in values if hasattr(one, "shape")))
    return found


def logarithm(value: Array) -> Array:
    """Natural logarithm of a parameter: a Python float stays one, so that it mixes with any namespace; an array keeps its own."""
    return namespace(value).log(value) if hasattr(value, "shape") else math.log(value)


def normal_quantile_of_upper_tail(xp: Any, tail: Array) -> Array:
    """The standard normal quantile whose upper tail is ``tail``, for tails of at most one half.

    Abramowitz and Stegun 26.2.23, absolute error under 4.5e-4; at one half it is shifted to exactly zero.
    """
    t = xp.sqrt(-2.0 * xp.log(tail))
    z = t - (2.515517 + t * (0.802853 + t * 0.010328)) / (1.0 + t * (1.432788 + t * (0.189269 + t * 0.001308)))
    return xp.maximum(z, 0.0 * z)


def evaluate_in_blocks(
    function: Callable[[Mapping[str, Array]], Mapping[str, Array]],
    columns: Mapping[str, Array],
    rows: int,
    workers: int | None = None,
    width: int = 1,
) -> dict[str, np.ndarray]:
    """Evaluate a vectorised model over NumPy columns, block by block, on several threads.

    A block whose temporaries stay near the core runs faster than one pass over the whole, and NumPy releases the interpreter
    lock in long loops, so threads scale where there are many rows. The result does not depend on ``workers``.

    Parameters
    ----------
    function
        From a mapping of columns to a mapping of result columns, all of the block's length.
    columns
        Arrays of length ``rows``; anything else (numbers, strings) is passed on whole.
    rows
        The common length.
    workers
        Threads; by default those that `use_threads` allows, or else the processors this process may use.
    width
        Numbers that the function makes of a row, where it crosses rows with something else.
    """
    size = block_size(rows, width)

    def run(start: int) -> Mapping[str, Array]:
        part = slice(start, min(start + size, rows))
        block = {
            name: value[part] if isinstance(value, np.ndarray) and value.shape[:1] == (rows,) else value
            for name, value in columns.items()
        }
        with np.errstate(all="ignore"):  # rows that cannot run divide by zero; they are marked, not warned of
            return function(block)

    starts = range(0, rows, size)
    threads = min(len(starts), workers or _threads.get() or usable_processors())
    blocks = list((_pool(threads).map if threads > 1 else map)(run, starts))
    return {name: np.concatenate([np.asarray(block[name]) for block in blocks]) for name in (blocks or [{}])[0]}


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    """Threads that stay: to start them anew costs as much as a small block."""
    return ThreadPoolExecutor(threads)


def block_size(rows: int, width: int = 1) -> int:
    """Rows of a block: at most ``BLOCK_ROWS`` numbers of ``width`` a row, an even number of blocks of about one size,
    whatever the number of threads."""
    if rows * width < 2 * LEAST_BLOCK_ROWS:
        return max(rows, 1)
    return max(1, -(-rows // (2 * -(-rows * width // (2 * BLOCK_ROWS)))))


@contextmanager
def use_threads(count: int | None) -> Iterator[None]:
    """Within, `evaluate_in_blocks` takes ``count`` threads where its caller names none; None for the processors there are.

    It holds for the thread that enters it: tasks side by side in one process each have their own. No result depends on it.
    """
    before = _threads.set(count)
    try:
        yield
    finally:
        _threads.reset(before)


def usable_processors() -> int:
    """The processors this process may use; two where the system cannot say."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2
