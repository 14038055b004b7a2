"""Tasks of the tests of execution, in a module that processes of a pool and workers of a cluster can import."""

import os
import signal
import time
from pathlib import Path

import numpy as np

from thresher.arrays import BLOCK_ROWS, evaluate_in_blocks
from thresher.errors import InputError


def numbers(seed):
    """Some of every kind of array that a task may give, and a scalar."""
    draws = np.random.default_rng(seed).standard_normal((3, 4))
    return {"draws": draws, "file": np.arange(seed), "names": np.array(["a", "bc"]), "mean": draws.mean()}


def blocks(seed):
    """A model evaluated in several blocks, on the threads that are allowed."""
    column = np.random.default_rng(seed).standard_normal(3 * BLOCK_ROWS + 5)
    return evaluate_in_blocks(lambda part: {"y": np.exp(part["x"]) * np.sin(part["x"])}, {"x": column}, len(column))


def counted(argument):
    """Leaves a mark for every time it runs; the last one is slower, so that the order of completion is another."""
    folder, seed = argument
    (Path(folder) / f"{seed}-{time.monotonic_ns()}").touch()
    time.sleep(0.2 if seed == 1 else 0.01)
    return numbers(seed)


def dies_once(argument):
    """Kills its own process the first time."""
    folder, seed = argument
    mark = Path(folder) / f"died-{seed}"
    if seed == 3 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return counted(argument)


def always_dies(seed):
    """Kills its own process every time, if it is the third."""
    if seed == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.02)
    return numbers(seed)


def refuses(seed):
    """Raises an error that a person can mend, if it is the third."""
    if seed == 3:
        raise InputError("plan.toml", "a number", "three")
    return numbers(seed)


def gives_objects(seed):
    """What cannot be kept without pickling."""
    return {"y": np.array([{seed}])}


def long(seed):
    """So long that a test would notice if it were waited for."""
    if seed > 2:
        time.sleep(60)
    return numbers(seed)
