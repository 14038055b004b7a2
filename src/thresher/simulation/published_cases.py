"""Cases for the preset `published`: the golden file's JSON form checked, and evaluated in one call per mode."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from thresher.arrays import evaluate_in_blocks
from thresher.catalog import chip
from thresher.errors import InfeasiblePlanError, InputError
from thresher.simulation import published
from thresher.simulation.plans import chip_columns

Positive = Annotated[float, Field(gt=0, le=1e15, allow_inf_nan=False, strict=True)]
Count = Annotated[int, Field(ge=1, le=10**9, strict=True)]


class PublishedCase(BaseModel):
    """Inputs of one evaluation by the published calculator, in its units."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    node: str = ""
    node_chips: Count
    node_pflops: Positive
    node_memory_gb: Positive
    chip_price_usd: Positive
    bytes_per_param: Positive
    gradient_bits: Positive
    upload_mbps: Positive
    download_mbps: Positive
    latency_ms: Annotated[float, Field(ge=0, allow_inf_nan=False, strict=True)]
    compression: Annotated[float, Field(ge=1, allow_inf_nan=False, strict=True)]
    error_feedback: bool
    quality_scenario: Literal["optimistic", "expected", "conservative"]
    straggler: Literal["threshold", "relay", "synchronous"]
    duration_years: Positive
    mfu: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False, strict=True)]
    local_batch_tokens: Positive
    mode: Literal["flat", "hierarchical", "pipeline"]
    nodes: Count
    params_b: Positive
    inner_steps: Count | None = None
    nodes_per_group: Count | None = None
    regional_mbps: Positive | None = None
    regional_latency_ms: Annotated[float, Field(ge=0, allow_inf_nan=False, strict=True)] | None = None
    activation_compression: Positive | None = None
    micro_batches: Count | None = None
    pipeline_mbps: Positive | None = None
    pipeline_latency_ms: Annotated[float, Field(ge=0, allow_inf_nan=False, strict=True)] | None = None


_NEEDED = {
    "flat": (),
    "hierarchical": ("nodes_per_group", "regional_mbps", "regional_latency_ms"),
    "pipeline": ("activation_compression", "micro_batches", "pipeline_mbps", "pipeline_latency_ms"),
}
OUTPUTS = {
    "flat": (
        "h_min", "h_used", "eta", "eta_replica", "chi", "c_local", "c_quality", "total_tokens_T", "overtraining_ratio",
        "cost_usd", "comm_gb_per_sync",
    ),
    "hierarchical": (
        "n_groups", "h_inner", "h_regional", "h_eff", "eta", "eta_replica", "chi", "c_throughput", "c_local",
        "c_quality", "total_tokens_T", "overtraining_ratio", "cost_usd",
    ),
    "pipeline": (
        "pp_stages", "n_groups", "pp_step_time", "bubble_frac", "t_sync", "h_min", "eta", "eta_activation",
        "eta_replica", "chi", "c_throughput", "c_local", "c_quality", "total_tokens_T", "overtraining_ratio", "cost_usd",
    ),
}  # fmt: skip
_NO_ANSWER = {
    "flat": "its numbers are out of all proportion: the calculator's loss law gives no finite answer",
    "hierarchical": "its numbers are out of all proportion: the calculator's loss law gives no finite answer",
    "pipeline": (
        "a pipeline needs a model larger than one node holds (params_b x bytes_per_param over node_memory_gb) and nodes for at"
        " least two groups"
    ),
}
_WHOLE = {"h_min", "h_used", "n_groups", "h_inner", "h_regional", "pp_stages"}


def parse_cases(text: str, where: str) -> list[PublishedCase]:
    """Read a JSON list of cases: each the inputs themselves, or an object with ``input`` (``output`` is ignored).

    Raises
    ------
    InputError
        The file, the case's position, the key and its value, and what would be right.
    """
    try:
        rows = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(where, f"valid JSON ({error})") from None
    if not isinstance(rows, list) or not rows:
        raise InputError(where, "a JSON list of cases, at least one")
    return [_parse_case(row, f"{where}: case {number}") for number, row in enumerate(rows, start=1)]


def _parse_case(row: Any, where: str) -> PublishedCase:
    inputs = row.get("input", row) if isinstance(row, dict) else row
    try:
        case = PublishedCase.model_validate(inputs)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"]) or "case"
        value = ... if first["type"] == "missing" else first["input"]
        expected = {"extra_forbidden": "no such key", "missing": "a value"}.get(first["type"])
        plain = first["msg"].lower().replace("input should be ", "")
        raise InputError(f"{where}: {key}", expected or plain, value) from None
    for name in _NEEDED[case.mode]:
        if getattr(case, name) is None:
            raise InputError(f"{where}: {name}", f"a value, which mode {case.mode} needs")
    return case


def evaluate_cases(cases: Sequence[PublishedCase], where: str = "cases") -> list[dict[str, float]]:
    """Evaluate cases, all of a mode in one call, and give each its golden output keys, in the order of the input.

    Raises
    ------
    InfeasiblePlanError
        A pipeline whose model fits on one node, or too few nodes for two groups: the calculator has no answer.
    """
    results: list[dict[str, float]] = [{} for _ in cases]
    for mode, function in published.MODES.items():
        at = [index for index, case in enumerate(cases) if case.mode == mode]
        if not at:
            continue
        out = evaluate_in_blocks(function, columns_of([cases[index] for index in at]), len(at))
        for position, index in enumerate(at):
            row = {name: float(out[name][position]) for name in OUTPUTS[mode]}
            if not math.isfinite(row["c_quality"]):
                raise InfeasiblePlanError(f"{where}: case {index + 1}: {_NO_ANSWER[mode]}")
            results[index] = {name: int(value) if name in _WHOLE else value for name, value in row.items()}
    return results


def columns_of(cases: Sequence[PublishedCase]) -> Mapping[str, np.ndarray]:
    """The calculator's columns; names become indices, what a case leaves out NaN."""
    codes = {"quality_scenario": published.SCENARIOS, "straggler": published.STRAGGLERS}
    columns = {}
    for name in PublishedCase.model_fields:
        if name in ("node", "mode"):
            continue
        values = [getattr(case, name) for case in cases]
        if name in codes:
            values = [codes[name].index(value) for value in values]
        columns[name] = np.asarray([math.nan if value is None else value for value in values], dtype=float)
    return columns


def case_of_plan(plan: Mapping[str, Any], where: str) -> PublishedCase:
    """A checked plan in the calculator's terms: chip figures from the catalog, relay stragglers and expected quality.

    Raises
    ------
    InputError
        The plan asks for what the calculator does not have: another mode, a number of tokens, no known price.
    """
    mode = str(plan["mode"])
    if mode not in published.MODES:
        raise InputError(f"{where}: [plan] mode", f"one of {', '.join(published.MODES)} with model published", mode)
    if plan["duration_days"] == "auto":
        raise InputError(f"{where}: [plan] duration_days", "a number of days (model published takes no token count)")
    precision = str(plan["precision"])
    figures = chip_columns(chip(str(plan["chip"])), precision, f"{where}: [plan] chip")
    price = figures["chip_price_usd"] if plan["chip_price_usd"] == "auto" else float(plan["chip_price_usd"])
    if math.isnan(price):
        raise InputError(f"{where}: [plan] chip_price_usd", "a price, since the catalog has none for this chip")
    count = int(plan["chips_per_node"])
    assumed = published.constants().values
    return PublishedCase(
        node_chips=count,
        node_pflops=count * figures["chip_tflops"] / 1e3,
        node_memory_gb=count * figures["chip_memory_gb"],
        chip_price_usd=price,
        bytes_per_param=figures["state_bytes_per_param"],
        gradient_bits=8.0 * float(plan["bytes_per_value"]),
        upload_mbps=float(plan["upload_mbps"]),
        download_mbps=float(plan["download_mbps"]),
        latency_ms=float(plan["latency_ms"]),
        compression=float(plan["compression"]),
        error_feedback=bool(plan["error_feedback"]),
        quality_scenario="expected",
        straggler="relay",
        duration_years=float(plan["duration_days"]) * 86400.0 / assumed["seconds_per_year"],
        mfu=assumed["mfu"] if plan["mfu"] == "auto" else float(plan["mfu"]),
        local_batch_tokens=float(plan["local_batch_tokens"]),
        mode=mode,
        nodes=int(plan["nodes"]),
        params_b=float(plan["params"]) / 1e9,
        inner_steps=None if plan["inner_steps"] == "auto" or mode != "flat" else int(plan["inner_steps"]),
        nodes_per_group=int(plan["nodes_per_group"]),
        regional_mbps=float(plan["regional_mbps"]),
        regional_latency_ms=float(plan["regional_latency_ms"]),
        activation_compression=float(plan["activation_compression"]),
        micro_batches=int(assumed["micro_batches"]) if plan["micro_batches"] == "auto" else int(plan["micro_batches"]),
        pipeline_mbps=float(plan["regional_mbps"]),
        pipeline_latency_ms=float(plan["regional_latency_ms"]),
    )
