"""The adversary's choices as arrays: hardware that no clause sees, and a grid of ways to train on it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from itertools import product
from typing import Any

import numpy as np

from thresher.catalog import Chip, NetworkProfile, chips
from thresher.regime import Regime
from thresher.simulation import default
from thresher.simulation.layout import STAGED_MODES
from thresher.simulation.plans import chip_columns, plan_fields
from thresher.sources import read_yaml

Columns = dict[str, np.ndarray]

LEAST_PARAMS = 1e6
"""Smaller models are not searched."""
FIRST_PARAMS = 1e10
"""Where the quick search for the largest model starts."""
NUMBER_FORMATS = ("bf16", "fp8", "fp4")
DISTRIBUTED_MODES = ("flat", "hierarchical", "pipeline", "swarm")


@cache
def settings() -> Mapping[str, Any]:
    """The numerical settings of the search, from ``data/search.yaml``."""
    text = files("thresher.evasion").joinpath("data", "search.yaml").read_text("utf-8")
    document: Mapping[str, Any] = read_yaml(text, "thresher/evasion/data/search.yaml")
    return document


@dataclass(frozen=True, slots=True)
class Hardware:
    """One kind of node: a chip in a number format, and how many stand together; ``bound`` is the most that may."""

    chip: Chip
    precision: str
    chips_per_node: int
    bound: int | None


def is_usable(chip: Chip) -> bool:
    """Whether an adversary can buy the chip and the model knows enough of it to train on it."""
    known = (chip.fp16_tflops, chip.memory_gb, chip.tdp_w, chip.price_usd)
    return all(value is not None for value in known) and "not for sale" not in chip.price_kind


def usable_chips(names: Sequence[str] | None = None) -> list[Chip]:
    """The chips of the search: those named, or all of the catalog that are for sale with known figures."""
    catalog = chips()
    return [catalog[name] for name in names] if names else [chip for chip in catalog.values() if is_usable(chip)]


def unseen_hardware(
    regime: Regime,
    candidates: Sequence[Chip],
    precisions: Sequence[str],
    mode: str,
    bounds: Sequence[int | None] | None = None,
    changes: Mapping[str, Any] | None = None,
) -> list[Hardware]:
    """Nodes of each chip and format that stand just under every cluster clause, and smaller ones.

    A swarm may also use single cards. In mode ``datacenter`` the servers of one site together stay under every clause, which is
    of interest only where a clause leaves room for a large site. ``bounds`` are the most chips of each candidate that stand
    under every clause, where they are known already; ``changes`` replace settings of ``data/search.yaml``.
    """
    s, found = {**settings(), **(changes or {})}, []
    most = map(regime.largest_uncovered_count, candidates) if bounds is None else bounds
    for chip, bound in zip(candidates, most, strict=True):
        if bound == 0 or (mode == "datacenter" and bound is not None and bound < s["large_from"]):
            continue
        counts = _node_sizes(bound, mode, s)
        found += [Hardware(chip, precision, count, bound) for precision, count in product(precisions, counts)]
    return _of_known_rate(found)


def declared_hardware(candidates: Sequence[Chip], precisions: Sequence[str]) -> list[Hardware]:
    """Servers of one openly declared datacentre, which no clause bounds."""
    server = settings()["datacenter_chips_per_node"]
    return _of_known_rate(Hardware(*kind, server, None) for kind in product(candidates, precisions))


def _of_known_rate(hardware: Iterable[Hardware]) -> list[Hardware]:
    return [item for item in hardware if item.chip.rate_tflops(item.precision) is not None]


def _node_sizes(bound: int | None, mode: str, s: Mapping[str, Any]) -> list[int]:
    """Chips per node to try: the most that is unseen, some shares of it, and a ladder of fixed sizes where it is large."""
    if mode == "datacenter":
        return [s["datacenter_chips_per_node"]]
    most = s["datacenter_chips_per_node"] if bound is None else bound
    sizes = {most, *(max(1, round(most * share)) for share in s["chips_shares"].get(mode, ()))}
    sizes |= {size for size in s["large_sizes"] if s["large_from"] <= size < most}
    if mode == "swarm":
        sizes |= {size for size in s["swarm_chips"] if size <= most}
    return sorted(sizes)


@dataclass(frozen=True, slots=True)
class Setting:
    """What a search holds fixed: the mode, its hardware, the columns that no choice changes, and its limits.

    ``most_chips`` is the most chips of each hardware that all nodes together may have, infinite where only the node is bounded.
    """

    mode: str
    hardware: tuple[Hardware, ...]
    fixed: Mapping[str, Any]
    by_hardware: Mapping[str, np.ndarray]
    most_chips: np.ndarray
    longest_days: float
    node_limit: float


def make_setting(
    regime: Regime | None,
    mode: str,
    hardware: Sequence[Hardware],
    network: NetworkProfile,
    *,
    longest_days: float,
    node_limit: float,
    parameters: Mapping[str, Any],
) -> Setting:
    """Gather chip figures by hardware, the network, and the defaults of everything else; no regime bounds nothing."""
    fixed = {
        name: float(field.default) for name, field in plan_fields().items() if isinstance(field.default, float | bool)
    }
    automatic = ("stages", "micro_batches", "regional_rounds", "mfu", "compute_seconds_per_step", "tokens")
    one_way = min(network.upload_mbps, network.download_mbps)
    fixed |= dict.fromkeys(automatic, float("nan"))
    fixed |= {
        "upload_mbps": network.upload_mbps,
        "download_mbps": network.download_mbps,
        "round_trip_ms": network.round_trip_ms,
        "regional_mbps": network.regional_mbps or one_way,
        "regional_round_trip_ms": (
            network.round_trip_ms if network.regional_round_trip_ms is None else network.regional_round_trip_ms
        ),
        "outer_state_on_chips": 0.0,
        "data_streamed": 1.0,
        "unique_tokens": parameters["unique_tokens"],
        "error_feedback": 1.0,
    }
    return Setting(
        mode,
        tuple(hardware),
        fixed,
        hardware_columns(hardware, parameters),
        _most_chips(regime, mode, hardware),
        longest_days,
        node_limit,
    )


def hardware_columns(hardware: Sequence[Hardware], parameters: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Chip figures by hardware; where a parameter is an array of draws, of shape (hardware, draws)."""
    if not hardware:
        return {}
    known = {(item.chip.chip, item.precision): item for item in hardware}  # sizes of node differ only in their chips
    figures = [chip_columns(item.chip, item.precision, parameters=parameters) for item in known.values()]
    place = {kind: at for at, kind in enumerate(known)}
    at = np.asarray([place[item.chip.chip, item.precision] for item in hardware])
    columns = {name: np.stack(np.broadcast_arrays(*(row[name] for row in figures)))[at] for name in figures[0]}
    return columns | {"chips_per_node": np.asarray([float(item.chips_per_node) for item in hardware])}


def in_worlds(setting: Setting, keep: np.ndarray, parameters: Mapping[str, Any]) -> Setting:
    """A setting with some of its hardware, and everything that a draw changes as arrays of draws."""
    hardware = tuple(setting.hardware[at] for at in keep)
    return replace(
        setting,
        hardware=hardware,
        by_hardware=hardware_columns(hardware, parameters),
        fixed={**setting.fixed, "unique_tokens": parameters["unique_tokens"]},
        most_chips=setting.most_chips[keep],
    )


def lines_of(setting: Setting) -> np.ndarray:
    """The fewest chips of each hardware at one site that some clause would cover; infinite where none does."""
    return np.asarray([np.inf if item.bound is None else item.bound + 1.0 for item in setting.hardware])


def _most_chips(regime: Regime | None, mode: str, hardware: Sequence[Hardware]) -> np.ndarray:
    """The bound on all nodes together: of clauses that count by owner, and of every clause where all stand at one site."""
    kinds = {item.chip.chip: item.chip for item in hardware}
    by_owner = (
        {name: regime.largest_uncovered_count(chip, over="owner") for name, chip in kinds.items()} if regime else {}
    )
    bounds = []
    for item in hardware:
        at_one_site = item.bound if mode == "datacenter" else None
        both = (by_owner.get(item.chip.chip), at_one_site)
        bounds.append(min((float(bound) for bound in both if bound is not None), default=np.inf))
    return np.asarray(bounds)


def columns_of(setting: Setting, choices: Mapping[str, np.ndarray]) -> Columns:
    """The model's columns for candidates.

    ``choices`` are columns, but for ``hardware`` (an index), ``link_share``, and ``draw`` (which world each is in, if several).
    """
    index, draw = choices["hardware"], choices.get("draw")
    columns: Columns = {name: np.asarray(value) for name, value in setting.fixed.items()}
    columns |= {name: value[draw] for name, value in columns.items() if value.ndim}
    columns |= {name: v[index] if v.ndim == 1 else v[index, draw] for name, v in setting.by_hardware.items()}
    columns |= {name: value for name, value in choices.items() if name not in ("hardware", "draw")}
    for name in ("upload_mbps", "download_mbps"):
        columns[name] = columns[name] * columns["link_share"]
    columns["active_params"] = columns["params"]
    columns["compression"] = 8.0 * columns["bytes_per_value"] / columns["bits_per_param"]
    return columns


def largest_params(setting: Setting, parameters: Mapping[str, Any]) -> np.ndarray:
    """The largest model that one node of each hardware holds, by bisection on the simulated memory."""
    count = len(setting.hardware)
    low, high = np.full(count, np.log(LEAST_PARAMS)), np.full(count, np.log(settings()["most_params"]))
    for _ in range(settings()["params_bisections"]):
        middle = 0.5 * (low + high)
        needed, usable = _memory_gb(setting, np.exp(middle), parameters)
        low, high = np.where(needed <= usable, middle, low), np.where(needed <= usable, high, middle)
    return np.asarray(np.exp(low))


def about_largest_params(setting: Setting, parameters: Mapping[str, Any], turns: int) -> np.ndarray:
    """The same to a thousandth in three turns: memory grows about as the model does, so what is over of one says how much the
    other may grow."""
    params = np.full(len(setting.hardware), FIRST_PARAMS)
    for _ in range(turns):
        needed, usable = _memory_gb(setting, params, parameters)
        params = np.clip(params * usable / needed, LEAST_PARAMS, settings()["most_params"])
    return params


def _memory_gb(setting: Setting, params: np.ndarray, parameters: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """The memory that a model of each size needs on one node of each hardware, and what that has, in GB."""
    count = len(setting.hardware)
    choices = {
        "hardware": np.arange(count),
        **{name: np.full(count, value) for name, value in _middle(setting).items()},
        "nodes": np.full(count, 2.0),
        "params": params,
    }
    wanted = ("memory_needed_gb", "memory_usable_gb")
    with np.errstate(all="ignore"):
        memory = default.simulate(columns_of(setting, choices), parameters, mode="flat", wanted=wanted)
    return memory["memory_needed_gb"], memory["memory_usable_gb"]


def _middle(setting: Setting) -> dict[str, float]:
    return {
        "inner_steps": 100.0, "local_batch_tokens": float(settings()["local_batch_tokens"][0]), "bits_per_param": 1.0,
        "overlap": 1.0, "activation_compression": 1.0, "nodes_per_group": 2.0, "duration_days": setting.longest_days,
        "link_share": 1.0,
    }  # fmt: skip


def durations(longest_days: float, ladder: Sequence[float]) -> list[float]:
    """Lengths of run on the grid: a fixed ladder up to the longest, and the longest; a longer cap only adds to them."""
    return sorted({float(days) for days in ladder if days < longest_days} | {longest_days})


def node_counts(most: float, ratio: float) -> np.ndarray:
    """Numbers of nodes on the grid: geometric, as whole numbers, up to ``most``."""
    steps = int(np.log(max(most, 1.0)) / np.log(ratio)) + 1
    counts = np.unique(np.round(np.append(ratio ** np.arange(steps + 1), most)))
    return np.asarray(counts[counts <= most])


def _unit_of_params(setting: Setting, parameters: Mapping[str, Any], s: Mapping[str, Any]) -> np.ndarray:
    """What the sizes of model on the grid are multiples of, for each hardware: the largest on one node, or one parameter."""
    if setting.mode == "datacenter":
        return np.ones(len(setting.hardware))
    if "params_turns" in s:
        return about_largest_params(setting, parameters, s["params_turns"])
    return largest_params(setting, parameters)


def grid(
    setting: Setting, parameters: Mapping[str, Any], changes: Mapping[str, Any] | None = None
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The candidates of one mode: choices without nodes (one entry a configuration), and the node counts to cross with.

    ``changes`` replace numerical settings of ``data/search.yaml``.
    """
    s = {**settings(), **(changes or {})}
    nan = float("nan")
    rhythms = [(float(overlap), nan if steps == "auto" else float(steps)) for overlap, steps in s["rhythms"]]
    counts = node_counts(setting.node_limit, s["nodes_ratio"])
    largest = _unit_of_params(setting, parameters, s)
    axes: dict[str, Sequence[Any]] = {
        "hardware": range(len(setting.hardware)),
        "scale": s["params_shares"],
        "rhythm": rhythms,
        "local_batch_tokens": s["local_batch_tokens"],
        "bits_per_param": s["bits_per_param"],
        "activation_compression": [1.0],
        "nodes_per_group": [2.0],
        "duration_days": durations(setting.longest_days, s["durations"]),
        "link_share": [1.0],
    }
    if setting.mode == "hierarchical":
        axes |= {"nodes_per_group": s["nodes_per_group"], "scale": s["params_shares"][2:]}
    elif setting.mode in STAGED_MODES:
        axes |= {"scale": s["params_multiples"], "activation_compression": s["activation_compressions"]}
    elif setting.mode == "datacenter":
        axes |= {
            "scale": s["datacenter_params"], "rhythm": [(0.0, 1.0)], "local_batch_tokens": s["datacenter_batch_tokens"],
            "bits_per_param": [16.0],
            "duration_days": durations(setting.longest_days, s["datacenter_durations"]),
        }  # fmt: skip
    rows = list(product(*(axes[name] for name in axes)))
    columns = dict(zip(axes, zip(*rows, strict=True), strict=True)) if rows else dict.fromkeys(axes, ())
    choices = {
        name: np.asarray(values, dtype=float) for name, values in columns.items() if name not in ("hardware", "rhythm")
    }
    choices["hardware"] = np.asarray(columns["hardware"], dtype=int)
    choices["overlap"], choices["inner_steps"] = np.asarray(columns["rhythm"], dtype=float).reshape(-1, 2).T
    choices["params"] = largest[choices["hardware"]] * choices.pop("scale")
    return choices, counts
