"""How each measured table of the catalog is predicted by the models as they ship."""

from __future__ import annotations

import csv
import difflib
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from thresher.catalog.chips import chip
from thresher.catalog.networks import network
from thresher.errors import InputError
from thresher.learning import data_efficiency as data
from thresher.learning.loss_laws import loss_law, model_loss_terms
from thresher.simulation import default
from thresher.simulation.parameters import law_of, parameters
from thresher.simulation.plans import check_plan, plan_columns
from thresher.simulation.replica_costs import added_loss, drift, replica_data_cost
from thresher.sources import load_quantities, read_yaml
from thresher.training.site import iteration_seconds, measured_machine, site_parameters
from thresher.training.utilisation import default_mfu, generation_factor, utilisation_parameters
from thresher.validation.comparison import Comparison, comparison
from thresher.validation.tables import Columns, load, payload_format

_ROOM = "thresher.validation"
_LAW = "besiroglu_2024"
_FP32_BYTES = 4.0
_SPEED_UP = re.compile(r"(\d+(?:\.\d+)?) times the throughput of all-reduce data parallelism")
_BISECTIONS = 60
"""Halvings of ten orders of magnitude of bandwidth, beyond the last digit."""


def validate(names: Sequence[str] | None = None, rows: Mapping[str, Path] | None = None) -> list[Comparison]:
    """Predictions beside the measurements of the named tables.

    Parameters
    ----------
    names
        Tables of the catalog; by default all that are compared, or those of ``rows`` if that is given.
    rows
        CSV files of a user's own, by the table whose columns they have; they take the place of the catalog's rows.

    Raises
    ------
    InputError
        A table that is not compared, or a file, column or cell that is not right.
    """
    rows = rows or {}
    names = list(rows or _PREDICTIONS) if names is None else list(names)
    for name in [*names, *rows]:
        if name not in _PREDICTIONS:
            near = difflib.get_close_matches(str(name), _PREDICTIONS, 1)
            hint = f" (nearest: {near[0]})" if near else f" (one of {', '.join(_PREDICTIONS)})"
            why = f"; it is left out: {left_out()[name]}" if name in left_out() else ""
            raise InputError("table", f"a compared table{hint}{why}", name)
        if name not in names:
            raise InputError("rows", f"rows for a table that is asked for ({', '.join(names)})", name)
    return [one for name in names for one in _PREDICTIONS[name](load(name, Path(rows[name]) if name in rows else None))]


def compared_tables() -> tuple[str, ...]:
    """The tables that `validate` compares."""
    return tuple(_PREDICTIONS)


@cache
def left_out() -> dict[str, str]:
    """The tables of the catalog that no model predicts, and why."""
    return dict(_document("left_out.yaml"))


def measured_utilisation(t: Columns) -> list[Comparison]:
    """Utilisation over shaped links, by `default` and by the published calculator."""
    rate = t["measured_mbps"]
    rate = np.where(np.isnan(rate), t["bandwidth_mbps"], rate)
    unshaped = np.isnan(rate)
    rate = np.where(unshaped, network("same-region").upload_mbps, rate)
    busy = t["inner_steps"] * t["compute_seconds_per_step"]
    columns = {
        **_symmetric_link(rate, _assumed("cluster_round_trip_ms")),
        **{name: t[name] for name in ("nodes", "params", "inner_steps", "bytes_per_value", "compute_seconds_per_step")},
    }
    return [
        _compared(
            "measured_utilisation.utilisation",
            [
                f"{steps:.0f} steps, {'unshaped' if free else f'{mbps:,.0f} Mbit/s'}"
                for steps, mbps, free in zip(t["inner_steps"], rate, unshaped, strict=True)
            ],
            _simulated(columns)["utilisation"],
            t["utilisation_measured"],
            busy / _published_round_seconds(columns),
        )
    ]


def measured_wan_rounds(t: Columns) -> list[Comparison]:
    """Seconds of a round through a wide-area link, by `default` and by the published calculator."""
    columns = {
        **_symmetric_link(t["rate_mbps"], t["rtt_ms"]),
        **{name: t[name] for name in ("nodes", "inner_steps", "compute_seconds_per_step")},
        "params": t["payload_bytes"] / _FP32_BYTES,
        "bytes_per_value": _FP32_BYTES,
    }
    return [
        _compared(
            "measured_wan_rounds.round_seconds",
            [
                f"{mbps:,.0f} Mbit/s, {rtt:.0f} ms, {steps:.0f} steps"
                for mbps, rtt, steps in zip(t["rate_mbps"], t["rtt_ms"], t["inner_steps"], strict=True)
            ],
            _simulated(columns)["round_seconds"],
            t["round_seconds_median"],
            _published_round_seconds(columns),
        )
    ]


def measured_iteration_times(t: Columns) -> list[Comparison]:
    """Seconds of an iteration in one site from its layout."""
    for chips, layout in zip(t["chips"], t["tensor"] * t["data"] * t["pipeline"], strict=True):
        if chips != layout:
            raise InputError("measured_iteration_times: chips", f"tensor x data x pipeline, {layout:g}", chips)
    inputs = {name: column for name, column in t.items() if name not in ("params_b", "iteration_ms")}
    predicted = iteration_seconds(params=1e9 * t["params_b"], **inputs, **measured_machine(), **site_parameters())
    layouts = zip(t["params_b"], t["chips"], t["tensor"], t["data"], t["pipeline"], t["micro_batch"], strict=True)
    return [
        _compared(
            "measured_iteration_times.iteration_seconds",
            [f"{p:g}B on {n:.0f}: tensor {a:.0f}, data {b:.0f}, pipeline {c:.0f}, micro-batch {m:.0f}"
             for p, n, a, b, c, m in layouts],
            predicted,
            1e-3 * t["iteration_ms"],
        )
    ]  # fmt: skip


def bandwidth_for_utilisation(t: Columns) -> list[Comparison]:
    """The bandwidth at which two replicas reach a utilisation, by bisection in its logarithm over all rows at once."""
    methods = t["method"]
    fixed = {
        "params": t["params"],
        "compute_seconds_per_step": t["step_seconds"],
        "inner_steps": np.where(np.isnan(t["inner_steps"]), 1.0, t["inner_steps"]),
        "overlap": np.asarray(["overlapped" in method for method in methods]) | ~(t["inner_steps"] > 1),
        "compression": np.asarray([4.0 if "FP4" in method else 1.0 for method in methods]),
    }
    wanted = t["utilisation_percent"] / 100.0
    spread = {name: _assumed("simulated_spread") for name in ("compute_time_spread", "link_time_spread")}
    low, high = np.full_like(wanted, -2.0), np.full_like(wanted, 8.0)  # log10 of Mbit/s
    for _ in range(_BISECTIONS):
        middle = 0.5 * (low + high)
        link = _symmetric_link(10.0**middle, _assumed("simulated_round_trip_ms"))
        # A link that its other flows overbook has no utilisation: that is too little bandwidth too.
        enough = np.nan_to_num(_simulated({**fixed, **link}, spread)["utilisation"]) >= wanted
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    return [
        _compared(
            "bandwidth_for_utilisation.gbit_per_s",
            [
                f"{name}, {method}, {steps:.0f} steps, {percent:.0f}%"
                for name, method, steps, percent in zip(
                    t["architecture"], methods, fixed["inner_steps"], t["utilisation_percent"], strict=True
                )
            ],
            10.0 ** (high - 3.0),
            t["gbit_per_s"],
        )
    ]


def published_mfu(t: Columns) -> list[Comparison]:
    """The default MFU beside that of published one-site runs."""
    labels = [f"{model}, {n:,.0f} {unit}" for model, n, unit in zip(t["model"], t["chips"], t["chip"], strict=True)]
    return [_compared("published_mfu.mfu", labels, _mfu(t["chip"], t["chips"]), t["mfu_published"])]


def real_runs(t: Columns) -> list[Comparison]:
    """Synchronisations, utilisation and MFU of published runs, as far as their rows and our settings for them go."""
    found = [*_run_synchronisations(t), *_run_mfu(t), *_run_speed_ups(t)]
    if not found:
        raise InputError(
            "real_runs", "a row that states a synchronisation and its links, or the MFU of a number of chips"
        )
    return found


def _run_synchronisations(t: Columns) -> Iterable[Comparison]:
    links: list[tuple[float, float, float] | None] = []
    payloads = []
    for run, sync, compute, nodes, steps, phrase, up, down in _zip(
        t, "run", "sync_seconds", "compute_seconds_per_round", "nodes", "inner_steps", "compression", "upload_mbps",
        "download_mbps",
    ):  # fmt: skip
        settings = _run_settings().get(run, {})
        rates = network(settings["bandwidth_profile"]) if settings.get("bandwidth_profile") else None
        trips = network(settings["round_trip_profile"]) if settings.get("round_trip_profile") else rates
        known = not np.isnan([sync, compute, nodes, steps]).any() and sync > 0
        stated = payload_format(phrase)
        if known and stated and rates and trips:
            links.append((rates.upload_mbps, rates.download_mbps, trips.round_trip_ms))
            payloads.append(stated)
        elif known and stated and not np.isnan([up, down]).any():
            links.append((up, down, network("continental").round_trip_ms))
            payloads.append(stated)
        else:
            links.append(None)
    here = np.asarray([link is not None for link in links])
    if not here.any():
        return
    upload, download, trip = np.asarray([link for link in links if link is not None]).T
    sent, full = np.asarray(payloads).T
    columns = {
        "upload_mbps": upload,
        "download_mbps": download,
        "regional_mbps": np.minimum(upload, download),
        "round_trip_ms": trip,
        "nodes": t["nodes"][here],
        "params": t["model_params"][here],
        "inner_steps": t["inner_steps"][here],
        "compute_seconds_per_step": (t["compute_seconds_per_round"] / t["inner_steps"])[here],
        "bytes_per_value": full / 8.0,
        "compression": full / sent,
    }
    out = _simulated(columns)
    labels = [run for run, keep in zip(t["run"], here, strict=True) if keep]
    busy = t["compute_seconds_per_round"][here]
    yield _compared(
        "real_runs.sync_seconds", labels, out["sync_seconds"], t["sync_seconds"][here], _published_sync_seconds(columns)
    )
    yield _compared(
        "real_runs.utilisation",
        labels,
        out["utilisation"],
        busy / (busy + t["sync_seconds"][here]),
        busy / _published_round_seconds(columns),
    )


def _run_mfu(t: Columns) -> Iterable[Comparison]:
    found = []
    for run, name, nodes, each, sync, mfu in _zip(t, "run", "chip", "nodes", "chips_per_node", "sync_seconds", "mfu"):
        chips = float(_run_settings().get(run, {}).get("chips") or nodes * each)
        if not np.isnan([chips, mfu]).any() and not sync > 0:
            found.append((f"{run}, {chips:,.0f} {name}", name, chips, mfu))
    if found:
        labels, names, units, measured = zip(*found, strict=True)
        yield _compared("real_runs.mfu", labels, _mfu(names, np.asarray(units)), measured)


def _run_speed_ups(t: Columns) -> Iterable[Comparison]:
    """DiLoCoX, whose speed-up stands in the row's note; other rows state none."""
    for run, params, nodes, each, name, up, down, note in _zip(
        t, "run", "model_params", "nodes", "chips_per_node", "chip", "upload_mbps", "download_mbps", "note"
    ):
        stated = _SPEED_UP.search(note)
        if stated is None or np.isnan([nodes, each, up, down]).any():
            continue
        plan = {
            "mode": "pipeline", "nodes": int(nodes), "chip": name, "chips_per_node": int(each), "params": float(params),
            "duration_days": 1, "topology": "ring", "overlap": True,
            "inner_steps": int(_assumed("dilocox_inner_steps")), "compression": _assumed("dilocox_compression"),
        }  # fmt: skip
        base = plan_columns(
            check_plan(
                {
                    "plan": plan,
                    "network": {
                        "upload_mbps": float(up),
                        "download_mbps": float(down),
                        "latency_ms": network("same-region").round_trip_ms,
                    },
                },
                run,
            ),
            run,
        )
        columns = {key: np.asarray([value, value], dtype=np.float64) for key, value in base.items()}
        columns |= {
            "overlap": np.asarray([1.0, 0.0]),
            "inner_steps": np.asarray([base["inner_steps"], 1.0]),
            "compression": np.asarray([base["compression"], 1.0]),
        }
        seconds = default.simulate(columns, parameters(), mode="pipeline", topology="ring")["step_seconds"]
        yield _compared("real_runs.speed_up", [run], [seconds[1] / seconds[0]], [float(stated[1])])


def diloco_quality(t: Columns) -> list[Comparison]:
    """The loss that replicas cost, beside the row of one replica of the same table, size and tokens, or of none."""
    keys = [(*_series(source), float(n), float(d)) for source, n, d in _zip(t, "source", "params", "tokens")]
    rows_of = {
        m: {k: loss for k, loss, n in zip(keys, t["loss"], t["replicas"], strict=True) if n == m} for m in (0, 1)
    }
    base = rows_of[0] | rows_of[1]
    here = np.asarray([m > 1 and key in base for key, m in zip(keys, t["replicas"], strict=True)])
    here &= ~np.isnan(t["inner_steps"])
    rows = list(_zip(t, "method", "replicas", "inner_steps", "compression", "loss"))
    seen: set[Any] = set()
    for index, row in enumerate(zip(keys, rows, strict=True)):
        here[index] &= row not in seen  # table 6 of arXiv 2501.18512 repeats table 5
        seen.add(row)
    if not here.any():
        raise InputError(
            "diloco_quality", "rows of 2 replicas and more beside a row of 0 or 1 of the same source and size"
        )
    reference = np.asarray([base[key] for key, keep in zip(keys, here, strict=True) if keep])
    params, tokens, replicas, steps = (t[name][here] for name in ("params", "tokens", "replicas", "inner_steps"))
    formats = [payload_format(text) for text, keep in zip(t["compression"], here, strict=True) if keep]
    law, p = loss_law(_LAW), default.parameters()
    of_params, of_tokens = model_loss_terms(params, tokens, law)
    share = (reference - law.E) * of_tokens / (of_params + of_tokens)
    added = added_loss(
        p, loss=reference, token_term=share, params=params, tokens=tokens, replicas=replicas, drift=drift(p, steps),
        beta=law.beta,
    )  # fmt: skip
    return [
        _compared(
            "diloco_quality.loss_difference",
            [
                f"{source}: {n:.2g} parameters, {d:.2g} tokens, {m:.0f} replicas, {h:.0f} steps, {kind}"
                for source, n, d, m, h, kind in _zip(
                    t, "source", "params", "tokens", "replicas", "inner_steps", "compression", keep=here
                )
            ],
            added + _loss_of_cost(reference, params, tokens, _compression_cost(formats)),
            t["loss"][here] - reference,
        )
    ]


def overlap_quality(t: Columns) -> list[Comparison]:
    """The loss of eager updates a round late, above that of the same rows with updates one inner step late."""
    keys = list(_zip(t, "source", "params", "tokens", "inner_steps"))
    prompt = {
        key: loss for key, loss, how in zip(keys, t["loss"], t["method"], strict=True) if "1-inner-step overlap" in how
    }
    late = np.asarray(
        [key in prompt and "1-outer-step eager" in how for key, how in zip(keys, t["method"], strict=True)]
    )
    late &= t["inner_steps"] > 0
    if not late.any():
        raise InputError("overlap_quality", "rows of 1-outer-step eager beside rows of 1-inner-step overlap")
    reference = np.asarray([prompt[key] for key, keep in zip(keys, late, strict=True) if keep])
    params, tokens, steps = (t[name][late] for name in ("params", "tokens", "inner_steps"))
    replicas = np.where(np.isnan(t["replicas"]), _assumed("overlap_quality_replicas"), t["replicas"])[late]
    p = _learning_parameters()
    staleness = data.staleness_data_cost(
        delay_rounds=np.ones_like(tokens), staleness_data_cost=p["staleness_data_cost"]
    )
    promptly = _replica_cost(params, tokens, steps, replicas)
    return [
        _compared(
            "overlap_quality.loss_difference",
            [
                f"{source}: {n:.2g} parameters, {d:.2g} tokens, {h:.0f} steps"
                for source, n, d, h in _zip(t, "source", "params", "tokens", "inner_steps", keep=late)
            ],
            # The late row's tokens are worth 1 / staleness of the prompt row's, whose loss is the reference.
            _loss_of_cost(reference, params, tokens / promptly, staleness),
            t["loss"][late] - reference,
        )
    ]


def diloco_ablations(t: Columns) -> list[Comparison]:
    """What more replicas, each with tokens of its own, gain in log perplexity over one."""
    chosen = []
    for source, method, params, replicas, steps, compression, metric, value in _zip(
        t, "source", "method", "params", "replicas", "inner_steps", "compression", "metric", "value"
    ):
        if metric == "perplexity" and method.startswith("DiLoCo") and not compression and steps.isdigit():
            chosen.append((source, method, params, replicas, float(steps), value))
    one = {source: value for source, _, _, replicas, _, value in chosen if replicas == 1}
    pairs = [row for row in chosen if row[0] in one and row[3] > 1]
    if not pairs:
        raise InputError("diloco_ablations", "perplexities of DiLoCo rows beside a row of 1 replica of the same source")
    sources, methods, *numbers = zip(*pairs, strict=True)
    params, replicas, steps, perplexity = (np.asarray(column, dtype=np.float64) for column in numbers)

    def loss(count: Any) -> Any:
        batch = _assumed("ablation_batch_tokens")
        tokens = batch * (_assumed("ablation_shared_steps") + count * _assumed("ablation_replica_steps"))
        cost = _replica_cost(params, tokens, steps, count, batch)
        return model_loss_terms(params, tokens / cost, loss_law(_LAW))[1]

    return [
        _compared(
            "diloco_ablations.log_perplexity_gain",
            [
                f"{source}: {method}, {m:.0f} replicas"
                for source, method, m in zip(sources, methods, replicas, strict=True)
            ],
            loss(np.ones_like(replicas)) - loss(replicas),
            np.log(np.asarray([one[source] for source in sources]) / perplexity),
        )
    ]


_PREDICTIONS: dict[str, Callable[[Columns], list[Comparison]]] = {
    "measured_utilisation": measured_utilisation,
    "measured_wan_rounds": measured_wan_rounds,
    "measured_iteration_times": measured_iteration_times,
    "bandwidth_for_utilisation": bandwidth_for_utilisation,
    "real_runs": real_runs,
    "published_mfu": published_mfu,
    "diloco_quality": diloco_quality,
    "overlap_quality": overlap_quality,
    "diloco_ablations": diloco_ablations,
}


@cache
def _document(file: str) -> Any:
    return read_yaml(files(_ROOM).joinpath("data", file).read_text("utf-8"), f"thresher/validation/data/{file}")


@cache
def _run_settings() -> dict[str, dict[str, str]]:
    text = files(_ROOM).joinpath("data", "real_run_settings.csv").read_text("utf-8")
    return {row["run"]: row for row in csv.DictReader(text.splitlines())}


def _assumed(name: str) -> float:
    return load_quantities(_ROOM, "assumptions.yaml")[name].value


def _compared(key: str, labels: Sequence[str], predicted: Any, measured: Any, baseline: Any = None) -> Comparison:
    text = _document("comparisons.yaml")[key]
    return comparison(
        table=key.partition(".")[0],
        what=text["what"],
        unit=text["unit"],
        note=text["note"],
        labels=labels,
        predicted=predicted,
        measured=measured,
        baseline=baseline,
    )


def _zip(t: Columns, *names: str, keep: Any = None) -> Iterable[tuple[Any, ...]]:
    """Rows of some columns; those where ``keep`` is true, if given."""
    rows = zip(*(t[name] for name in names), strict=True)
    return rows if keep is None else (row for row, kept in zip(rows, keep, strict=True) if kept)


@cache
def _plan() -> dict[str, float]:
    document = tomllib.loads(files(_ROOM).joinpath("data", "plan.toml").read_text("utf-8"))
    return plan_columns(check_plan(document, "validation/data/plan.toml"))


def _symmetric_link(mbps: Any, round_trip_ms: Any) -> dict[str, Any]:
    return {"upload_mbps": mbps, "download_mbps": mbps, "regional_mbps": mbps, "round_trip_ms": round_trip_ms}


def _simulated(columns: Mapping[str, Any], changed: Mapping[str, float] | None = None) -> dict[str, Any]:
    """Flat, ring: the plan of ``data/plan.toml`` with these columns in place of its own, all rows at once."""
    merged = {name: np.asarray(value, dtype=np.float64) for name, value in {**_plan(), **columns}.items()}
    return default.simulate(merged, {**parameters(), **(changed or {})}, mode="flat", topology="ring")


def _published_sync_seconds(c: Mapping[str, Any]) -> Any:
    """The published calculator: V/up + V/down + latency, whatever the topology (threshold aggregation, no stragglers)."""
    payload_bits = 8.0 * c["params"] * c["bytes_per_value"] / c.get("compression", 1.0)
    return payload_bits * 1e-6 * (1.0 / c["upload_mbps"] + 1.0 / c["download_mbps"]) + 1e-3 * c["round_trip_ms"]


def _published_round_seconds(c: Mapping[str, Any]) -> Any:
    """The published calculator: the longer of compute and synchronisation, the shorter hidden for free."""
    return np.maximum(c["inner_steps"] * c["compute_seconds_per_step"], _published_sync_seconds(c))


def _mfu(names: Sequence[str], chips: Any) -> Any:
    factors = np.asarray([generation_factor(chip(name).generation).value for name in names])
    return default_mfu(generation_factor=factors, chips=chips, **utilisation_parameters())


@cache
def _learning_parameters() -> dict[str, float]:
    return load_quantities("thresher.learning", "data_efficiency.yaml").values_only()


def _replica_cost(params: Any, tokens: Any, inner_steps: Any, replicas: Any, local_batch_tokens: float = 0.0) -> Any:
    """Replica cost with the central numbers; a batch of zero where it was tuned and so costs nothing."""
    p = default.parameters()
    columns = {"params": np.asarray(params), "local_batch_tokens": np.asarray(local_batch_tokens)}
    return replica_data_cost(
        columns, p, law_of(p), tokens=np.asarray(tokens), replicas=np.asarray(replicas), groups=np.asarray(replicas),
        inner=np.asarray(inner_steps), outer=np.asarray(inner_steps),
    )  # fmt: skip


def _compression_cost(formats: Sequence[tuple[float, float] | None]) -> Any:
    """Cost of the number format of exchanged values, without error feedback; None exchanges 32 bits."""
    sent = np.asarray([(stated or (32.0, 32.0))[0] for stated in formats])
    p = _learning_parameters()
    names = (
        "uncompressed_bits_per_param", "information_bits_with_feedback", "information_bits_without_feedback",
        "information_exponent",
    )  # fmt: skip
    return data.compression_data_cost(
        bits_per_param=sent, error_feedback=np.zeros_like(sent), **{name: p[name] for name in names}
    )


def _loss_of_cost(reference_loss: Any, params: Any, tokens: Any, cost: Any) -> Any:
    """Nats that a data cost adds to a measured loss: the law's token share of its reducible part, times cost^beta - 1."""
    law = loss_law(_LAW)
    of_params, of_tokens = model_loss_terms(params, tokens, law)
    return (reference_loss - law.E) * of_tokens / (of_params + of_tokens) * (cost**law.beta - 1.0)


def _series(source: str) -> tuple[str, bool]:
    """The paper and the data set of a row: the Dolma rows of arXiv 2501.18512 are a series of their own."""
    return source.partition(" Table")[0], "Table 1" in source
