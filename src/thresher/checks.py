"""What people pass to the public functions: numbers that make sense, or a sentence that says what would."""

from __future__ import annotations

from typing import Any

import numpy as np

from thresher.errors import InputError


def at_least_zero(name: str, value: Any, *, whole: bool = False, most: float = np.inf) -> np.ndarray:
    """Finite numbers from 0 to ``most``, whole ones where asked, as an array of any shape."""
    what = f"{'whole' if whole else 'finite'} numbers {f'from 0 to {most:g}' if np.isfinite(most) else 'of at least 0'}"
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise InputError(name, what, value) from None
    good = np.isfinite(array).all() and (array >= 0.0).all() and (array <= most).all()
    if not good or (whole and (array != np.floor(array)).any()):
        raise InputError(name, what, value)
    return array


def one_number(name: str, value: Any, *, whole: bool = False, most: float = np.inf) -> float:
    """As `at_least_zero`, for a single number."""
    array = at_least_zero(name, value, whole=whole, most=most)
    if array.ndim:
        raise InputError(name, "one number", value)
    return float(array)


def together(**values: np.ndarray) -> list[np.ndarray]:
    """Arrays broadcast against each other; those that do not fit are named."""
    try:
        return list(np.broadcast_arrays(*values.values()))
    except ValueError:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in values.items())
        raise InputError(" and ".join(values), "numbers, or arrays of shapes that broadcast", shapes) from None


def plain(value: np.ndarray) -> Any:
    """An array, or the number that it is."""
    return float(value) if np.ndim(value) == 0 else value
