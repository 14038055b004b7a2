"""The result file: what was asked, under which assumptions, what came out, and why; every surface opens it."""

from __future__ import annotations

import json
import math
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, is_dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from thresher.errors import InputError

_NUMBERS = re.compile(r"\[(\n\s+(?:[-+.\deE]+|null)(?:,\n\s+(?:[-+.\deE]+|null))*)\n\s+\]")
"""A list of numbers over several lines; no string of a JSON text holds a line break."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """One step of where a number came from: what it is, its value and unit, how it follows, and what it follows from."""

    name: str
    value: float
    unit: str
    how: str = ""
    parts: tuple[Explanation, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Result:
    """A result: its kind (``assessment``, ``simulation``, ...), inputs, and outcomes, all plain data."""

    kind: str
    inputs: Mapping[str, Any]
    outcomes: Mapping[str, Any]

    def as_json(self) -> dict[str, Any]:
        """The result as plain JSON data, with the version that made it."""
        return {
            "thresher": version("thresher"),
            "kind": self.kind,
            "inputs": plain(self.inputs),
            "outcomes": plain(self.outcomes),
        }


def plain(value: Any) -> Any:
    """Plain JSON data: dataclasses and mappings become objects, NumPy numbers Python ones, what is not finite null."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def to_json_text(data: Any) -> str:
    """JSON text that any parser accepts: no NaN, no infinity; a list of numbers stands on one line."""
    text = json.dumps(plain(data), indent=2, allow_nan=False, ensure_ascii=False)
    return _NUMBERS.sub(lambda found: f"[{' '.join(found[1].split())}]", text) + "\n"


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all; missing folders are made, links are followed, devices and pipes written through.

    Raises
    ------
    InputError
        The path cannot be written.
    """
    try:
        if path.exists() and not path.is_file():
            path.write_text(text, "utf-8")
            return
        target = path.resolve()
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as folder:
            whole = Path(folder) / target.name
            whole.write_text(text, "utf-8")
            whole.replace(target)
    except OSError as error:
        raise InputError(str(path), f"a path that can be written ({error.strerror})") from None
