"""How far the evidence reaches: the runs that were measured, by size and replicas, and where a plan stands among them."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from thresher.assessment.formats import number, times
from thresher.catalog import table, table_source
from thresher.lab.charts import Chart, Row
from thresher.lab.numbers import address_of, figure
from thresher.learning.horizon import Extrapolation, evidence_horizon
from thresher.sources import Quantity, load_quantities

LOSS, SWEEP, RUN, TIME = "loss", "loss, a small sweep", "a published run", "time alone"
TABLES = {
    "diloco_quality": ("params", "replicas", LOSS),
    "diloco_ablations": ("params", "replicas", LOSS),
    "inner_step_sweeps": ("params", "replicas", SWEEP),
    "real_runs": ("model_params", "nodes", RUN),
    "measured_utilisation": ("params", "nodes", TIME),
}
"""The tables whose rows say how many replicas of what size ran: their columns, and what was measured."""
AXES = ("params", "replicas", "replicas_at_size")
NO_AXIS = ("large_model_params",)
LEAST = {"params": 1e7, "replicas": 1.0}
MOST = {"params": 3e13, "replicas": 3000.0}
"""The ends of the chart's axes; a plan beyond them moves them."""
ROOM = 2.0
"""How far the axes reach beyond a plan, as a factor."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a plan stands: what each axis says of it, and the measured run nearest to it in words."""

    lines: tuple[str, ...]
    beyond: bool
    nearest: str


@dataclass(frozen=True, slots=True)
class Reach:
    """One axis of the evidence: what it is, the largest (or least) value measured, where, and its source's address here."""

    what: str
    extreme: str
    value: str
    unit: str
    where: str
    source: str
    address: str


@cache
def measured_runs() -> tuple[Row, ...]:
    """Every run of several replicas that was measured: once for each size, number of replicas, table and source."""
    found: dict[tuple[object, ...], Row] = {}
    for name, (size, replicas, what) in TABLES.items():
        for row in table(name):
            params, count = row.get(size), row.get(replicas)
            if not isinstance(params, float) or not isinstance(count, float) or count <= 1:
                continue
            source = str(row.get("source") or table_source(name)["citation"])
            run = str(row.get("run") or row.get("method") or table_source(name)["title"])
            found.setdefault((name, params, count, source), _run(run, params, count, what, source))
    for extra in _further():
        run = f"{extra['run']} ({extra['note']})"
        source = f"{extra['source']} ({extra['how']})"
        found["further", extra["run"]] = _run(run, float(extra["params"]), float(extra["replicas"]), RUN, source)
    return tuple(found.values())


def chart(params: float | None, replicas: float | None) -> Chart:
    """The measured runs and the region beyond them; a plan's place where one is given."""
    plan = [] if params is None or replicas is None else [_run("the plan", params, replicas, "", "")]
    most = {
        "params": max(MOST["params"], ROOM * (params or 0.0)),
        "replicas": max(MOST["replicas"], ROOM * (replicas or 0.0)),
    }
    least = {"params": min(LEAST["params"], (params or math.inf) / ROOM), "replicas": LEAST["replicas"]}
    caption = (
        "Runs of several replicas by the size of the model, and what was measured of them. In the shaded region nothing was"
        " ever measured: what the model says there is extrapolation. A plan outside it may still combine what was never"
        " combined."
    )
    return Chart(
        "model-evidence", "What was measured, and where the evidence ends", caption, measured_runs(), "model-evidence",
        {"beyond": beyond(least, most), "plan": plan},
    )  # fmt: skip


def beyond(least: dict[str, float], most: dict[str, float]) -> list[Row]:
    """The region beyond the evidence, as rectangles whose edges are the horizon's numbers."""
    known = _known()
    size, large = known["params"].value, known["large_model_params"].value
    small_count, large_count = known["replicas"].value, known["replicas_at_size"].value

    def area(left: float, right: float, low: float, high: float, edge: Quantity, label: str = "") -> Row:
        why = f"at most {figure(edge.value)} {edge.unit} measured ({edge.source.address}; {edge.observed})"
        return {
            "replicas": left, "replicas_to": right, "params": low, "params_to": high, "why": why,
            "middle": math.sqrt(left * right), "level": math.sqrt(low * high), "label": label,
        }  # fmt: skip

    return [
        area(small_count, most["replicas"], least["params"], large, known["replicas"], "extrapolation"),
        area(large_count, most["replicas"], large, size, known["replicas_at_size"]),
        area(least["replicas"], most["replicas"], size, most["params"], known["params"]),
    ]


def place(params: float | None, replicas: float | None) -> Place | None:
    """Where a plan stands; None where its size or its replicas are not given."""
    if params is None or replicas is None:
        return None
    plan = {"params": params, "replicas": replicas, "tokens": 0.0}  # the tokens are not asked for, nor told
    axes = [one for one in evidence_horizon(plan) if one.axis in AXES]
    return Place(tuple(one.line for one in axes), any(_is_beyond(one) for one in axes), _nearest(params, replicas))


def reaches() -> list[Reach]:
    """The largest value ever measured on every axis, as the horizon has it."""
    return [
        Reach(
            one.note, "least" if name == "bits_per_param" else "most", figure(one.value), one.unit, one.observed,
            f"{one.source.address} ({one.source.how})", address_of(name, "learning/data/horizon.yaml"),
        )
        for name, one in _known().items()
        if name not in NO_AXIS
    ]  # fmt: skip


def _nearest(params: float, replicas: float) -> str:
    """The measured run nearest in the logarithms of size and replicas, and how far it is."""

    def far(row: Row) -> float:
        return math.hypot(math.log(params / row["params"]), math.log(replicas / row["replicas"]))

    one = min(measured_runs(), key=far)
    sizes, counts = params / one["params"], replicas / one["replicas"]
    return (
        f"The measured run nearest to it: {one['run']}, {number(one['params'])} parameters on {number(one['replicas'])} replicas"
        f" ({one['measured']}; {one['source']}). The plan has {times(sizes)} its parameters and {times(counts)} its replicas."
    )


def _is_beyond(one: Extrapolation) -> bool:
    return one.ratio > 1.0


def _run(run: str, params: float, replicas: float, what: str, source: str) -> Row:
    return {
        "run": run, "params": params, "size": number(params), "replicas": replicas, "measured": what, "source": source,
    }  # fmt: skip


@cache
def _known() -> dict[str, Quantity]:
    return dict(load_quantities("thresher.learning", "horizon.yaml"))


def _further() -> Iterable[dict[str, str]]:
    text = files("thresher.lab.about").joinpath("data", "further_runs.csv").read_text("utf-8")
    found: Sequence[dict[str, str]] = list(csv.DictReader(text.splitlines()))
    return found
