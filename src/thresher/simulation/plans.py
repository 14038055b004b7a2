"""Plans as people write them: the table of fields, a TOML file checked against it, and the model's columns made from it."""

from __future__ import annotations

import csv
import difflib
import json
import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from thresher.catalog.chips import Chip, chip
from thresher.catalog.networks import network
from thresher.errors import InfeasiblePlanError, InputError
from thresher.learning.horizon import Extrapolation, evidence_horizon
from thresher.simulation import default
from thresher.sources import read_text
from thresher.training.utilisation import generation_factor

Value = float | int | str | bool | None
AUTO = "auto"
EXCHANGED_FORMAT = {"bf16": "bf16", "fp16": "bf16", "fp8": "fp8", "fp4": "fp4"}
"""Which parameters a number format uses: fp16 and bf16 cost the same."""

WORKSTATION_KINDS = ("consumer", "workstation")
LARGEST_PLAIN = 1e6
"""Whole numbers below this are written digit by digit, larger ones with an exponent."""


@dataclass(frozen=True, slots=True)
class PlanField:
    """One field of a plan: where it stands, its kind and unit, default (None: required, ``auto``: the model's) and limits."""

    name: str
    section: str
    kind: str
    unit: str
    default: Value
    minimum: float
    maximum: float
    choices: tuple[str, ...]
    description: str

    @property
    def expected(self) -> str:
        """What would be right, as a phrase."""
        if self.kind == "choice":
            return f"one of {', '.join(self.choices)}"
        if self.kind in ("text", "flag"):
            return {"text": "a name in quotes", "flag": "true or false"}[self.kind]
        noun = "a whole number" if self.kind == "integer" else "a number"
        auto = ' or "auto"' if self.default == AUTO else ""
        return f"{noun} in {self.unit} from {self.minimum:g} to {self.maximum:g}{auto}"

    def check(self, value: object, where: str) -> Value:
        """The value if it is right; an ``InputError`` that names the field, the value and what would be right if not."""
        if self.default == AUTO and value == AUTO:
            return AUTO
        if self.kind == "choice":
            good = isinstance(value, str) and value in self.choices
        elif self.kind == "text":
            good = isinstance(value, str) and bool(value)
        elif self.kind == "flag":
            good = isinstance(value, bool)
        else:
            good = (
                isinstance(value, int | float)
                and not isinstance(value, bool)
                and self.minimum
                <= value
                <= self.maximum  # before what makes a float of it: a whole number may be too large
                and math.isfinite(value)
                and (self.kind == "number" or float(value).is_integer())
            )
        if not good:
            raise InputError(f"{where}: [{self.section}] {self.name}", self.expected, value)
        return value  # type: ignore[return-value]


@cache
def plan_fields() -> dict[str, PlanField]:
    """Every field a plan may have, by name, from ``data/plan_fields.csv``."""
    text = files("thresher.simulation").joinpath("data", "plan_fields.csv").read_text("utf-8")
    return {row["name"]: _field(row) for row in csv.DictReader(text.splitlines())}


def _field(row: Mapping[str, str]) -> PlanField:
    default_value: Value = row["default"] or None
    if default_value is not None and default_value != AUTO and row["kind"] in ("number", "integer", "flag"):
        default_value = row["default"] == "true" if row["kind"] == "flag" else float(row["default"])
    return PlanField(
        row["name"], row["section"], row["kind"], row["unit"], default_value,
        float(row["minimum"] or "-inf"), float(row["maximum"] or "inf"),
        tuple(filter(None, row["choices"].split("|"))), row["description"],
    )  # fmt: skip


def read_plan(path: Path) -> dict[str, Value]:
    """Read and check a TOML plan.

    Raises
    ------
    InputError
        The file, section, field and value that is wrong, missing or unknown, and what would be right.
    """
    return check_plan(parse_plan(read_text(path), str(path)), str(path))


def parse_plan(text: str, where: str = "plan") -> dict[str, Any]:
    """The tables of a TOML plan, not checked; text that is no TOML is refused."""
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # beside TOML's own: a number of too many digits, tables too deep
        raise InputError(where, f"valid TOML ({error})") from None


def check_plan(document: Mapping[str, Any], where: str = "plan") -> dict[str, Value]:
    """Check a plan of two tables, ``plan`` and ``network``; every field is filled, with its default or ``auto``."""
    fields = plan_fields()
    given: dict[str, Value] = {}
    for section, entries in document.items():
        if section not in ("plan", "network") or not isinstance(entries, Mapping):
            raise InputError(f"{where}: [{section}]", "only the tables [plan] and [network]")
        for name, value in entries.items():
            field = fields.get(name)
            if field is None or field.section != section:
                own = [other for other in fields.values() if other.section == section]
                near = difflib.get_close_matches(name, [other.name for other in own], 1)
                hint = f"; move it to [{field.section}]" if field else f"; did you mean {near[0]}?" if near else ""
                raise InputError(f"{where}: [{section}] {name}", f"a known field{hint}")
            given[name] = field.check(value, where)
    for field in fields.values():
        if field.name not in given:
            if field.default is None:
                raise InputError(f"{where}: [{field.section}] {field.name}", f"{field.expected} (it is missing)")
            given[field.name] = field.default
    chip(str(given["chip"]))
    _fill_network(given, where)
    if (given["tokens"] == AUTO) == (given["duration_days"] == AUTO):
        raise InputError(f"{where}: [plan] tokens, duration_days", "exactly one of the two")
    if given["active_params"] != AUTO and float(given["active_params"] or 0) > float(given["params"] or 0):
        raise InputError(f"{where}: [plan] active_params", "at most `params`", given["active_params"])
    if given["micro_batches"] != AUTO and float(given["micro_batches"] or 0) > float(given["local_batch_tokens"] or 0):
        raise InputError(f"{where}: [plan] micro_batches", "at most `local_batch_tokens`", given["micro_batches"])
    if given["mode"] == "hierarchical" and float(given["nodes_per_group"] or 0) > float(given["nodes"] or 0):
        raise InputError(f"{where}: [plan] nodes_per_group", "at most `nodes`", given["nodes_per_group"])
    return given


def plan_document(given: Mapping[str, Value]) -> dict[str, dict[str, Value]]:
    """A plan's two tables from fields by name: those that are required, and those that differ from their default."""
    document: dict[str, dict[str, Value]] = {"plan": {}, "network": {}}
    for name, field in plan_fields().items():
        value = given.get(name, field.default)
        if value is not None and (field.default is None or value != field.default):
            document[field.section][name] = value
    return document


def plan_text(document: Mapping[str, Mapping[str, Value]]) -> str:
    """A plan of two tables as the TOML that ``read_plan`` reads; a table with nothing in it is left out."""
    tables = [
        "\n".join([f"[{section}]", *(f"{name} = {_toml(value)}" for name, value in entries.items())])
        for section, entries in document.items()
        if entries
    ]
    return "\n\n".join(tables) + "\n"


def _toml(value: Value) -> str:
    """A value as TOML has it: JSON's strings and flags are TOML's too; a number that reads back as itself."""
    if isinstance(value, str | bool):
        return json.dumps(value)
    if isinstance(value, float) and value.is_integer() and abs(value) < LARGEST_PLAIN:
        return str(int(value))
    short = f"{value:.6g}"
    return short if isinstance(value, float) and float(short) == value else repr(value)


def _fill_network(given: dict[str, Value], where: str) -> None:
    """Take what [network] leaves out from its profile, or from the wide-area rates for the regional ones."""
    names = {"upload_mbps": "upload_mbps", "download_mbps": "download_mbps", "latency_ms": "round_trip_ms",
             "regional_mbps": "regional_mbps", "regional_latency_ms": "regional_round_trip_ms"}  # fmt: skip
    if given["profile"] != AUTO:
        profile = network(str(given["profile"]))
        for name, attribute in names.items():
            value = getattr(profile, attribute)
            if given[name] == AUTO and value is not None:
                given[name] = value
    if given["mode"] == "datacenter":
        for name in ("upload_mbps", "download_mbps"):
            given[name] = 1e5 if given[name] == AUTO else given[name]
        given["latency_ms"] = 0.0 if given["latency_ms"] == AUTO else given["latency_ms"]
    for name in ("upload_mbps", "download_mbps", "latency_ms"):
        if given[name] == AUTO:
            raise InputError(f"{where}: [network] {name}", f"{plan_fields()[name].expected}, or a profile")
    if given["regional_mbps"] == AUTO:
        given["regional_mbps"] = min(float(given["upload_mbps"] or 0), float(given["download_mbps"] or 0))
    if given["regional_latency_ms"] == AUTO:
        given["regional_latency_ms"] = given["latency_ms"]


def chip_columns(
    unit: Chip, precision: str, where: str = "plan: chip", parameters: Mapping[str, Any] | None = None
) -> dict[str, float]:
    """What the model needs to know of a chip in a number format; refuses a chip whose figures are unknown."""
    figures = {
        "chip_tflops": unit.rate_tflops(precision),
        "chip_memory_gb": unit.memory_gb,
        "chip_tdp_w": unit.tdp_w,
    }
    for name, value in figures.items():
        if value is None:
            raise InputError(where, f"a chip whose {name.removeprefix('chip_')} is known for {precision}", unit.chip)
    p = default.parameters() if parameters is None else parameters
    used = EXCHANGED_FORMAT[precision]
    workstation = unit.kind in WORKSTATION_KINDS
    mfu_factor = p[generation_factor(unit.generation).name] * p.get(f"rate_efficiency_{used}", 1.0)
    mfu_factor *= p["workstation_utilisation_factor"] if workstation else 1.0
    return {
        **{name: float(value) for name, value in figures.items() if value is not None},
        "chip_price_usd": math.nan if unit.price_usd is None else unit.price_usd,
        "chip_workstation": float(workstation),
        "chip_price_with_server": float("server" in unit.price_kind or "rack" in unit.price_kind),
        "chip_mfu_factor": mfu_factor,
        "state_bytes_per_param": p[f"state_bytes_{used}"],
        "number_format_data_cost": p[f"number_format_data_cost_{used}"],
    }


def plan_columns(plan: Mapping[str, Value], where: str = "plan") -> dict[str, float]:
    """The numeric columns of a checked plan, as ``default.simulate`` takes them."""
    unit = chip(str(plan["chip"]))
    numbers = {
        name: math.nan if value == AUTO else float(value)
        for name, value in plan.items()
        if isinstance(value, int | float) or value == AUTO
    }
    columns = {
        **numbers,
        **chip_columns(unit, str(plan["precision"]), f"{where}: [plan] chip"),
        "round_trip_ms": numbers["latency_ms"],
        "regional_round_trip_ms": numbers["regional_latency_ms"],
        "outer_state_on_chips": float(plan["outer_state"] == "chips"),
        "data_streamed": float(plan["data_delivery"] == "stream"),
    }
    if math.isnan(columns["active_params"]):
        columns["active_params"] = columns["params"]
    if math.isnan(columns["unique_tokens"]):
        columns["unique_tokens"] = default.parameters()["unique_tokens"]
    if plan["chip_price_usd"] != AUTO:
        columns["chip_price_usd"] = numbers["chip_price_usd"]
    return columns


def simulate_plan(plan: Mapping[str, Value], where: str = "plan") -> dict[str, Any]:
    """Simulate one checked plan with the preset ``default``.

    Returns
    -------
    dict
        The outcome's numbers, ``evidence`` (lines), ``horizon`` (ratios by axis) and ``warnings`` (lines).

    Raises
    ------
    InfeasiblePlanError
        The plan cannot run; says which limit it breaks, and by how much.
    """
    columns = {name: np.asarray([value]) for name, value in plan_columns(plan, where).items()}
    mode = str(plan["mode"])
    with np.errstate(all="ignore"):  # a plan that cannot run divides by zero; it is refused below
        out = default.simulate(
            columns, default.parameters(), mode=mode, topology=str(plan["topology"]), schedule=str(plan["schedule"])
        )
    outcome = {name: float(value[0]) for name, value in out.items()}
    if not outcome.pop("feasible"):
        raise InfeasiblePlanError(f"{where}: {_why_infeasible(outcome)}")
    del outcome["reason"]
    numbers = {name: float(value[0]) for name, value in columns.items()}
    outcome["mfu"] = _achieved_mfu(mode, outcome, numbers)
    horizon = plan_horizon(mode, str(plan["precision"]), outcome, numbers)
    return {
        **outcome,
        "evidence": [row.line for row in horizon],
        "horizon": {row.axis: row.ratio for row in horizon},
        "warnings": _warnings(outcome),
    }


def _achieved_mfu(mode: str, outcome: Mapping[str, float], columns: Mapping[str, float]) -> float:
    """The share of the peak rate that 6 N D takes while computing; where a measured time is given, what it implies."""
    if math.isnan(columns["compute_seconds_per_step"]):
        return outcome["mfu"]
    nodes = columns["nodes"] if mode == "datacenter" else outcome["stages"] * columns["expert_parallel_nodes"]
    rate = 1e12 * columns["chip_tflops"] * columns["chips_per_node"] * nodes
    return 6.0 * columns["active_params"] * columns["local_batch_tokens"] / (outcome["compute_seconds_per_step"] * rate)


def _warnings(outcome: Mapping[str, float]) -> list[str]:
    """What is possible to write but not to do."""
    if outcome["mfu"] <= 1.0:
        return []
    return [
        f"compute_seconds_per_step implies {outcome['mfu']:,.0%} of the chips' peak rate: check it against"
        " local_batch_tokens; FLOP, days and cost follow from the stated time"
    ]


def plan_horizon(
    mode: str, precision: str, outcome: Mapping[str, float], columns: Mapping[str, float]
) -> list[Extrapolation]:
    """The evidence horizon of one simulated plan, from its outcome and its columns."""
    return evidence_horizon(
        {
            "params": columns["params"],
            "tokens": outcome["tokens"],
            "replicas": outcome["replicas"],
            "inner_steps": outcome["inner_steps"] * outcome["regional_rounds"],
            "bits_per_param": 8.0 * columns["bytes_per_value"] / columns["compression"],
            "stages": outcome["stages"],
            "activation_compression": columns["activation_compression"],
        },
        precision=precision,
        one_site=mode == "datacenter",
    )


def _why_infeasible(outcome: Mapping[str, float]) -> str:
    reason = default.REASONS[int(outcome["reason"])]
    if reason == default.REASONS[1]:
        return (
            f"{reason}: a node needs {outcome['memory_needed_gb']:,.0f} GB and has {outcome['memory_usable_gb']:,.0f} GB"
            " usable; use more chips per node, fewer parameters, or mode pipeline or swarm"
        )
    if reason == default.REASONS[4]:
        return (
            f"{reason}: all flows of a node together need {outcome['mean_upload_mbps']:,.3g} Mbit/s up and"
            f" {outcome['mean_download_mbps']:,.3g} down on average; raise [network] upload_mbps or download_mbps"
            " (or regional_mbps), or send less"
        )
    if math.isfinite(outcome["stages"]) and outcome["stages"] > 1:
        return f"{reason} ({outcome['stages']:.0f} stages a replica)"
    return reason
