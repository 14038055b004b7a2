"""The preset `published`: the study's calculator (arXiv 2605.29359) to the digit, vectorised; its faults are kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from importlib.resources import files
from itertools import pairwise
from typing import Any, NamedTuple

from thresher.arrays import Array, namespace
from thresher.learning.loss_laws import LossLaw, compute_at_fixed_ratio_flop, loss_law, model_loss_terms
from thresher.sources import parse_quantities, read_yaml

SCENARIOS = ("optimistic", "expected", "conservative")
LEAST_GROUPS = 2
STRAGGLERS = ("threshold", "relay", "synchronous")

Columns = Mapping[str, Array]


class Constants(NamedTuple):
    """The calculator's numbers, and its quality tables as (slope, value) per segment for each scenario."""

    law: LossLaw
    values: Mapping[str, float]
    straggler: tuple[float, ...]
    compression_ratios: list[float]
    compression: list[list[float]]
    activation_ratios: list[float]
    activation: list[list[float]]


@cache
def constants() -> Constants:
    """The calculator's constants, read once from ``data/published.yaml``."""
    where = "thresher/simulation/data/published.yaml"
    document = read_yaml(files("thresher.simulation").joinpath("data", "published.yaml").read_text("utf-8"), where)
    values = parse_quantities(document, where).values_only()
    compression, activation = document["compression_quality"], document["activation_quality"]
    return Constants(
        loss_law("besiroglu_2024"),
        values,
        tuple(values[f"straggler_{kind}"] for kind in STRAGGLERS),
        compression["ratios"],
        [compression[feedback][scenario] for feedback in ("none", "error_feedback") for scenario in SCENARIOS],
        activation["ratios"],
        [activation[scenario] for scenario in SCENARIOS],
    )


def flat(c: Columns) -> dict[str, Array]:
    """Flat DiLoCo: every node one replica, synchronising with all the others.

    Parameters
    ----------
    c
        Columns of one length, by the names of the golden file; ``inner_steps`` is NaN where the least is wanted,
        ``quality_scenario`` and ``straggler`` are indices into ``SCENARIOS`` and ``STRAGGLERS``, ``error_feedback`` 0 or 1.

    Returns
    -------
    dict
        The golden file's output columns for this mode.
    """
    xp = namespace(c["nodes"], c["params_b"])
    k = constants()
    nodes, params, batch = c["nodes"], 1e9 * c["params_b"], c["local_batch_tokens"]
    compute_seconds = 6.0 * params * batch / _node_flop_per_second(c)
    sync_seconds = _sync_seconds(xp, c, k, params, nodes)
    alone = nodes <= 1
    inner_least = xp.where(alone, 1.0, xp.maximum(1.0, xp.ceil(sync_seconds / compute_seconds)))
    inner_steps = xp.where(xp.isnan(c["inner_steps"]), inner_least, c["inner_steps"])
    outer_seconds = xp.where(
        alone, inner_steps * compute_seconds, xp.maximum(inner_steps * compute_seconds, sync_seconds)
    )
    tokens = _seconds(c, k) / outer_seconds * inner_steps * batch * nodes
    flop = 6.0 * params * tokens
    worth = _worth(xp, c, k, params, tokens, replicas=nodes, inner_steps=inner_steps, other_eta=1.0, alone=alone)
    return {
        "h_min": inner_least,
        "h_used": inner_steps,
        "c_throughput": flop,
        **_accounts(c, k, params, tokens, flop, worth),
        "comm_gb_per_sync": 2.0 * _payload_bits(c, params) / 8e9,
    }


def hierarchical(c: Columns) -> dict[str, Array]:
    """Groups of ``nodes_per_group`` synchronise often over regional links, and the groups among themselves rarely.

    Columns as in ``flat``, with ``nodes_per_group``, ``regional_mbps`` and ``regional_latency_ms``. Fewer than two
    groups fall back to ``flat``.
    """
    xp = namespace(c["nodes"], c["params_b"])
    k = constants()
    nodes, params = c["nodes"], 1e9 * c["params_b"]
    groups = xp.floor(nodes / c["nodes_per_group"])
    rate = _node_flop_per_second(c)
    compute_seconds = 6.0 * params * c["local_batch_tokens"] / rate
    regional_seconds = (
        2.0 * _payload_bits(c, params) / (1e6 * c["regional_mbps"]) + 1e-3 * c["regional_latency_ms"]
    ) * _straggler_factor(xp, c, k, c["nodes_per_group"])
    inner = xp.maximum(1.0, xp.ceil(regional_seconds / compute_seconds))
    cycle_seconds = xp.maximum(inner * compute_seconds, regional_seconds)
    regional = xp.maximum(1.0, xp.ceil(_sync_seconds(xp, c, k, params, groups) / cycle_seconds))
    effective = inner * xp.sqrt(regional)
    flop = nodes * rate * _seconds(c, k)
    tokens = flop / (6.0 * params)
    worth = _worth(xp, c, k, params, tokens, replicas=nodes, inner_steps=effective, other_eta=1.0, alone=nodes <= 1)
    own = {
        "n_groups": groups,
        "h_inner": inner,
        "h_regional": regional,
        "h_eff": effective,
        "c_throughput": flop,
        **_accounts(c, k, params, tokens, flop, worth),
    }
    one_tier = flat({**c, "inner_steps": xp.full_like(params, xp.nan)})
    return {name: xp.where(groups < LEAST_GROUPS, one_tier.get(name, value), value) for name, value in own.items()}


def pipeline(c: Columns) -> dict[str, Array]:
    """Groups of nodes hold one replica between them as pipeline stages; the groups run DiLoCo.

    Columns as in ``flat``, with ``activation_compression``, ``micro_batches``, ``pipeline_mbps`` and
    ``pipeline_latency_ms``. Where the model fits on one node or fewer than two groups form, the results are NaN.
    """
    xp = namespace(c["nodes"], c["params_b"])
    k = constants()
    params, batch, micro = 1e9 * c["params_b"], c["local_batch_tokens"], c["micro_batches"]
    stages = xp.ceil(c["params_b"] * c["bytes_per_param"] / c["node_memory_gb"])
    groups = xp.floor(c["nodes"] / stages)
    possible = (stages > 1) & (groups >= LEAST_GROUPS)
    width = _activation_bytes(xp, c["bytes_per_param"])
    hidden = k.values["hidden_per_root_param"] * xp.sqrt(params)
    activation_bits = batch * hidden * 8.0 * width / c["activation_compression"]
    compute_seconds = 6.0 * params * batch / _node_flop_per_second(c)
    hop_seconds = 2.0 * activation_bits / micro / (1e6 * c["pipeline_mbps"]) + 1e-3 * c["pipeline_latency_ms"]
    step_seconds = (micro + stages - 1.0) * (
        compute_seconds / (stages * micro) + hop_seconds * _straggler_factor(xp, c, k, stages)
    )
    sync_seconds = _sync_seconds(xp, c, k, params, xp.maximum(groups, 1.0))
    inner_least = xp.maximum(1.0, xp.ceil(sync_seconds / step_seconds))
    outer_seconds = xp.maximum(inner_least * step_seconds, sync_seconds)
    tokens = _seconds(c, k) / outer_seconds * inner_least * batch * xp.maximum(groups, 1.0)
    flop = 6.0 * params * tokens
    boundary = _tabulated(
        xp, xp.maximum(c["activation_compression"], 1.0), c["quality_scenario"], k.activation_ratios, k.activation
    )
    eta_activation = boundary ** (2.0 * (stages - 1.0))
    worth = _worth(
        xp, c, k, params, tokens, replicas=groups, inner_steps=inner_least, other_eta=eta_activation, alone=groups < 1
    )
    own = {
        "pp_stages": stages,
        "n_groups": groups,
        "pp_step_time": step_seconds,
        "bubble_frac": (stages - 1.0) / (micro + stages - 1.0),
        "t_sync": sync_seconds,
        "h_min": inner_least,
        "eta_activation": eta_activation,
        "c_throughput": flop,
        **_accounts(c, k, params, tokens, flop, worth),
    }
    return {name: xp.where(possible, value, xp.nan) for name, value in own.items()}


MODES: Mapping[str, Callable[[Columns], dict[str, Array]]] = {
    "flat": flat,
    "hierarchical": hierarchical,
    "pipeline": pipeline,
}


class _Worth(NamedTuple):
    eta: Array
    eta_replica: Array
    chi: Array


def _activation_bytes(xp: Any, bytes_per_param: Array) -> Array:
    """Bytes of an activation value: FP16, FP8 or FP4, told by the bytes of state a parameter needs (16, 14 or less)."""
    return xp.where(bytes_per_param >= 16, 2.0, xp.where(bytes_per_param >= 14, 1.0, 0.5 + 0.0 * bytes_per_param))  # noqa: PLR2004


def _node_flop_per_second(c: Columns) -> Array:
    return 1e15 * c["node_pflops"] * c["mfu"]


def _seconds(c: Columns, k: Constants) -> Array:
    return c["duration_years"] * k.values["seconds_per_year"]


def _payload_bits(c: Columns, params: Array) -> Array:
    return params * c["gradient_bits"] / c["compression"]


def _straggler_factor(xp: Any, c: Columns, k: Constants, members: Array) -> Array:
    coefficient = _choose(xp, c["straggler"], k.straggler)
    return 1.0 + coefficient * xp.log2(xp.maximum(members, 1.0))


def _sync_seconds(xp: Any, c: Columns, k: Constants, params: Array, members: Array) -> Array:
    there_and_back = _payload_bits(c, params) * (1e-6 / c["upload_mbps"] + 1e-6 / c["download_mbps"])
    return (there_and_back + 1e-3 * c["latency_ms"]) * _straggler_factor(xp, c, k, members)


def _choose(xp: Any, index: Array, options: tuple[float, ...]) -> Array:
    """The option each index names; a few comparisons beat a gather, and every namespace has them."""
    chosen = options[0] + 0.0 * index
    for position, option in enumerate(options[1:], start=1):
        chosen = xp.where(index == position, option, chosen)
    return chosen


def _tabulated(xp: Any, ratio: Array, table: Array, ratios: list[float], tables: list[list[float]]) -> Array:
    """Quality read off the table each row names, linear in the logarithm of the compression ratio."""
    log_ratio = xp.log(ratio)
    log_knots = [float(value) for value in _log_knots(tuple(ratios))]
    segment = sum(xp.astype(log_ratio >= knot, xp.int64) for knot in log_knots[1:])
    flat_index = xp.astype(table, xp.int64) * len(ratios) + segment
    slopes, values = [], []
    for row in tables:
        rises = [b - a for a, b in pairwise(row)]
        runs = [b - a for a, b in pairwise(log_knots)]
        slope = [rise / run for rise, run in zip(rises, runs, strict=True)] + [0.0]
        slopes += slope
        values += [y - s * x for y, s, x in zip(row, slope, log_knots, strict=True)]
    take = xp.take
    return take(xp.asarray(values), flat_index) + take(xp.asarray(slopes), flat_index) * xp.maximum(log_ratio, 0.0)


@cache
def _log_knots(ratios: tuple[float, ...]) -> tuple[float, ...]:
    from math import log  # noqa: PLC0415

    return tuple(log(ratio) for ratio in ratios)


def _worth(
    xp: Any,
    c: Columns,
    k: Constants,
    params: Array,
    tokens: Array,
    *,
    replicas: Array,
    inner_steps: Array,
    other_eta: Array,
    alone: Array,
) -> _Worth:
    """The calculator's efficiencies: inner steps, compression and replicas (eta), and allocation (chi)."""
    v = k.values
    log_params = xp.log(params)
    log_inner = xp.log(inner_steps)
    ln10 = 2.302585092994046
    slope = v["inner_step_slope"] / (1.0 + (log_params / ln10 - 9.0) / v["inner_step_size_scale"])
    eta_inner = xp.maximum(v["inner_step_floor"], 1.0 - slope / ln10 * log_inner)
    table = xp.astype(c["error_feedback"], xp.int64) * len(SCENARIOS) + xp.astype(c["quality_scenario"], xp.int64)
    eta_compression = _tabulated(xp, c["compression"], table, k.compression_ratios, k.compression)
    exponent = (
        v["replica_coefficient"]
        * xp.exp(-v["replica_size_exponent"] * log_params)
        * log_inner
        / _log_knots((v["replica_reference_inner_steps"],))[0]
    )
    multiplier = xp.exp(exponent * xp.log(xp.maximum(replicas, 1.0)))
    chi = _compute_share(xp, k, params, tokens, log_params, 1.0)
    chi_penalised = _compute_share(xp, k, params, tokens, log_params, multiplier)
    eta_replica = xp.where((replicas > 1) & (inner_steps > 1), chi_penalised / chi, 1.0)
    eta = eta_inner * eta_compression * eta_replica * other_eta
    return _Worth(xp.where(alone, 1.0, eta), xp.where(alone, 1.0, eta_replica), xp.where(alone, 1.0, chi))


def _compute_share(xp: Any, k: Constants, params: Array, tokens: Array, log_params: Array, multiplier: Array) -> Array:
    """chi(m): optimally allocated compute with m times the plan's loss, over the plan's compute, at most 1."""
    term_a, term_b = model_loss_terms(params, tokens, k.law)
    target = multiplier * (k.law.E + term_a + term_b) - k.law.E
    compute = compute_at_fixed_ratio_flop(target, log_params, k.values["tokens_per_param"], k.law)
    return xp.minimum(1.0, compute / (6.0 * params * tokens))


def _accounts(c: Columns, k: Constants, params: Array, tokens: Array, flop: Array, worth: _Worth) -> dict[str, Array]:
    local = flop * worth.eta
    return {
        "eta": worth.eta,
        "eta_replica": worth.eta_replica,
        "chi": worth.chi,
        "c_local": local,
        "c_quality": local * worth.chi,
        "total_tokens_T": tokens / 1e12,
        "overtraining_ratio": tokens / (k.values["tokens_per_param"] * params),
        "cost_usd": c["nodes"] * c["node_chips"] * c["chip_price_usd"],
    }
