"""Measured losses as arrays: which run each row was, of which source, and what was lost to delay and compression."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from thresher.catalog.measurements import table
from thresher.errors import InputError
from thresher.sources import load_quantities, read_text

COLUMNS = ("source", "method", "params", "replicas", "inner_steps", "tokens", "compression")
"""The columns of a person's file of rows; ``loss`` may follow."""
_POSITIVE = ("params", "tokens")


class LossSource(NamedTuple):
    """A source of losses, and which numbers it has of its own; see ``data/loss_sources.source.yaml``."""

    name: str
    pattern: str
    printed_step: float
    sweep: bool
    offset: bool
    token_scale: bool
    severity: bool
    noise_group: str
    default_replicas: float | None
    default_inner_steps: float | None


class Rows(NamedTuple):
    """Runs, column by column, of one length.

    ``source`` is the place in ``loss_sources``, its length for a source never seen; ``replicas`` is 0 for data
    parallelism; ``delay`` is in rounds; ``streaming`` is 1 where fragments take turns; ``loss`` is NaN where unknown.
    """

    source: Any
    params: Any
    tokens: Any
    replicas: Any
    inner_steps: Any
    delay: Any
    bits: Any
    feedback: Any
    streaming: Any
    loss: Any


@cache
def loss_sources() -> tuple[LossSource, ...]:
    """The sources known, in the order in which their patterns are tried."""
    text = files("thresher.learning").joinpath("data", "loss_sources.csv").read_text("utf-8")
    return tuple(
        LossSource(
            name=row["name"], pattern=row["pattern"], printed_step=float(row["printed_step"]), sweep=row["sweep"] == "1",
            offset=row["offset"] == "1", token_scale=row["token_scale"] == "1", severity=row["severity"] == "1",
            noise_group=row["noise_group"],
            default_replicas=float(row["default_replicas"]) if row["default_replicas"] else None,
            default_inner_steps=float(row["default_inner_steps"]) if row["default_inner_steps"] else None,
        )
        for row in csv.DictReader(io.StringIO(text))
    )  # fmt: skip


def source_index(text: str) -> int:
    """The place in ``loss_sources`` of the source that a row names; their number when none matches."""
    known = loss_sources()
    return next((place for place, one in enumerate(known) if re.search(one.pattern, text)), len(known))


@cache
def measured_rows() -> Rows:
    """Every measured run of the catalog that the families speak of, none twice.

    Left out: the replication quoted second-hand (arXiv 2407.07852) and the baselines of eight times the batch, which
    differ in batch; runs with faults and dropped updates; the naive delayed update, which its authors show to fail; and
    DiLoCo-SWARM's synchronous baseline, which lost to DiLoCo by more than its inner steps ever cost.
    """
    seen: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    for record in [*table("diloco_quality"), *_late_rows(), *_ablation_rows(), *_sweep_rows()]:
        run = _run(record, str(record["source"]))
        repeats = "" if run[5] else record["method"]  # a late row is named differently where it is printed again
        seen.setdefault((*run[:6], run[-1], repeats, record.get("seed")), run)
    return _as_rows(seen.values())


def read_rows(path: Path) -> tuple[list[dict[str, str]], Rows]:
    """A person's CSV of runs: the records as written, and their arrays.

    Raises
    ------
    InputError
        The file, line and column that is wrong, its value, and what would be right.
    """
    lines = read_text(path).splitlines()
    kept = [(number, line) for number, line in enumerate(lines, start=1) if line.strip() and not line.startswith("#")]
    if not kept:
        raise InputError(str(path), f"a header with the columns {', '.join(COLUMNS)}, and rows")
    header = _cells(kept[0][1], f"{path} line {kept[0][0]}")
    if missing := [name for name in COLUMNS if name not in header]:
        raise InputError(
            f"{path} line {kept[0][0]}", f"the columns {', '.join(COLUMNS)} (missing: {', '.join(missing)})"
        )
    if unknown := [name for name in header if name not in (*COLUMNS, "loss")] or len(set(header)) < len(header):
        raise InputError(
            f"{path} line {kept[0][0]}", f"each of the columns {', '.join(COLUMNS)}, loss once", unknown or header
        )
    records, runs = [], []
    for number, line in kept[1:]:
        cells = _cells(line, f"{path} line {number}")
        if len(cells) != len(header):
            raise InputError(f"{path} line {number}", f"{len(header)} cells, as in the header", len(cells))
        record = dict(zip(header, (cell.strip() for cell in cells), strict=True))
        records.append(record)
        runs.append(_run({**record, "loss": None}, f"{path} line {number}"))
    if not runs:
        raise InputError(str(path), "at least one row after the header")
    return records, _as_rows(runs)


def _cells(line: str, where: str) -> list[str]:
    try:
        return next(csv.reader([line], strict=True))
    except csv.Error as error:
        raise InputError(where, f"cells parted by commas ({error})") from None


def _as_rows(runs: Iterable[Sequence[Any]]) -> Rows:
    source, *numbers = zip(*runs, strict=True)
    return Rows(np.asarray(source), *(np.asarray(column, dtype=np.float64) for column in numbers))


def _run(record: Mapping[str, Any], where: str) -> tuple[Any, ...]:
    """The numbers of one row, in the order of ``Rows``."""
    source = source_index(str(record["source"]))
    known = loss_sources()[source] if source < len(loss_sources()) else None
    params, tokens = (_number(record, name, where) for name in _POSITIVE)
    replicas = _number(record, "replicas", where, known.default_replicas if known else None)
    if replicas != int(replicas):
        raise InputError(f"{where}: replicas", "a whole number, 0 for data parallelism", record["replicas"])
    if "Data-Parallel" in str(record["method"]):
        replicas = 0.0  # a table that leaves replicas blank means its other rows
    inner_steps = 1.0
    if replicas:
        inner_steps = _number(record, "inner_steps", where, known.default_inner_steps if known else None)
        if inner_steps < 1:
            raise InputError(f"{where}: inner_steps", "a number of at least 1", record["inner_steps"])
    late = re.search(r"(\d+)-outer-steps?\b", str(record["method"]))
    delay = float(late[1]) if late else 0.0
    bits, feedback = _sent(str(record["compression"] or ""), where)
    loss = math.nan if record.get("loss") is None else float(record["loss"])
    streaming = float("streaming" in str(record["method"]).lower())
    return source, params, tokens, replicas, inner_steps, delay, bits, feedback, streaming, loss


def _number(record: Mapping[str, Any], name: str, where: str, default: float | None = None) -> float:
    cell = record[name]
    if cell in (None, "") and default is not None:
        return default
    try:
        value = float(cell)
        if not math.isfinite(value) or value < 0 or (name in _POSITIVE and value == 0):
            raise ValueError
    except (TypeError, ValueError):
        kind = "a number above 0" if name in _POSITIVE else "a number of at least 0"
        raise InputError(f"{where}: {name}", kind, cell) from None
    return value


def _sent(compression: str, where: str) -> tuple[float, float]:
    """Bits a parameter, and 1 where what is lost is fed back."""
    full = load_quantities("thresher.learning", "loss_rows.yaml")["uncompressed_bits"].value
    feedback = float("error feedback" in compression and "no error feedback" not in compression)
    if compression.split(",", maxsplit=1)[0].strip().lower() in ("", "none"):
        return full, feedback
    if pruned := re.search(r"(\d+(?:\.\d+)?)% of values pruned", compression):
        kept = 1 - float(pruned[1]) / 100
    elif bits := re.search(r"\b(?:fp|bf|int)(\d+)\b|\b(\d+(?:\.\d+)?)[ -]bits?\b", compression.lower()):
        kept = float(bits[1] or bits[2]) / full
    else:
        kept = 0.0
    if not kept > 0:
        raise InputError(f"{where}: compression", "none, fp4, int8, 2-bit or 50% of values pruned, with or without "
                         "`error feedback`", compression)  # fmt: skip
    return min(full * kept, full), feedback


def _late_rows() -> list[dict[str, Any]]:
    """The overlapped rows a round or more late; the others repeat arXiv 2501.18512."""
    return [row for row in table("overlap_quality")
            if "-outer-step" in str(row["method"]) and "naive" not in str(row["method"])]  # fmt: skip


def _ablation_rows() -> list[dict[str, Any]]:
    """The ablations at fixed steps per replica, as losses; each run once."""
    shared, own, batch = (
        load_quantities("thresher.learning", "loss_rows.yaml")[f"ablation_{name}"].value
        for name in ("shared_steps", "replica_steps", "batch_tokens")
    )
    rows = []
    for row in table("diloco_ablations"):
        where, method = str(row["source"]), str(row["method"])
        one_site = "8x updates" in method
        pruned = where.endswith("2311.08105 Table 6") and not str(row["compression"]).startswith("0%")
        if one_site or pruned or where.endswith("2311.08105 Table 3"):
            replicas = 8.0 if one_site else float(row["replicas"] or 0)
            rows.append({**row, "replicas": 0.0 if one_site else replicas, "loss": math.log(float(row["value"] or 0)),
                         "tokens": batch * (shared + replicas * own)})  # fmt: skip
    return rows


def _sweep_rows() -> list[dict[str, Any]]:
    """The small sweeps of inner steps: their own baselines where they are fair."""
    rows = []
    for row in table("inner_step_sweeps"):
        if "faults" in str(row["method"]) or "step-synchronous" in str(row["method"]):
            continue
        value = float(row["value"] or 0)
        rows.append({**row, "compression": None, "seed": row["experiment"],
                     "loss": math.log(value) if row["metric"] == "perplexity" else value})  # fmt: skip
    return rows
