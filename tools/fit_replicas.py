"""Refits what replicas cost in data and prints the numbers of data_efficiency.yaml with their standard errors.

Run from the root of the repository with scipy installed: ``python tools/fit_replicas.py``.

Three kinds of rows are fitted jointly. The sweeps give a loss difference to data parallelism at equal tokens
(``diloco_quality``, two replicas and more). The ablations at fixed steps per replica (arXiv 2311.08105 tables 2 and 3)
give log perplexities of one model on another data set, so the law's token term is scaled and offset there (two nuisance
numbers). One row is the increase from 50 to 1,000 inner steps.
"""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import least_squares

from thresher.catalog.measurements import table
from thresher.learning.data_efficiency import ReplicaCost, replica_cost_terms, replica_data_cost
from thresher.learning.loss_laws import loss_law, model_loss_terms
from thresher.sources import load_quantities

LAW = loss_law("besiroglu_2024")
STORED = load_quantities("thresher.learning", "data_efficiency.yaml").values_only()
FITTED = (
    "critical_replicas",
    "critical_replicas_compute_exponent",
    "inner_step_scale",
)
LOGARITHMIC = (0, 2)
"""Positions in the vector of those fitted in the logarithm; their standard errors are of the logarithm too."""

START = (3.0, 0.08, 4.0, 0.5, 2.6)
"""The numbers of FITTED, then scale and offset of the ablations' token term."""

SWEEP_NATS = {"arXiv 2503.09799v1": 0.004, "arXiv 2501.18512": 0.008}
ABLATION_NATS = 0.008
"""Noise of a loss: best-of-sweep noise where three decimals are printed, rounding where two, one seed in the ablations."""

ABLATION_PARAMS, ABLATION_STEPS = 150e6, 500.0
ABLATION_BATCH, SHARED_STEPS, REPLICA_STEPS = (
    load_quantities("thresher.validation", "assumptions.yaml")[f"ablation_{name}"].value
    for name in ("batch_tokens", "shared_steps", "replica_steps")
)


class Rows(NamedTuple):
    """Rows of a sweep, column by column: ``token_share`` is the nats that the law lays to tokens, ``nats`` their noise."""

    source: list[str]
    params: Any
    tokens: Any
    replicas: Any
    inner_steps: Any
    token_share: Any
    difference: Any
    nats: Any


def sweep_rows() -> Rows:
    """The rows of two replicas and more, with what each loses to data parallelism of the same table, size and tokens."""
    rows = [row for row in table("diloco_quality") if "Table 6" not in str(row["source"])]  # it repeats table 5

    def key(row: dict[str, Any]) -> tuple[Any, ...]:
        paper, _, tables = str(row["source"]).partition(" Table ")
        return paper, tables.startswith("1 "), row["params"], row["tokens"]

    base = {key(row): row["loss"] for row in rows if row["replicas"] == 0}
    found: list[tuple[Any, ...]] = []
    for row in rows:
        if row["replicas"] > 1 and key(row) in base:  # type: ignore[operator]
            loss = base[key(row)]
            of_params, of_tokens = model_loss_terms(row["params"], row["tokens"], LAW)
            share = (loss - LAW.E) * of_tokens / (of_params + of_tokens)  # type: ignore[operator]
            paper = key(row)[0]
            found.append(
                (paper, row["params"], row["tokens"], row["replicas"], row["inner_steps"], share, row["loss"] - loss,
                 SWEEP_NATS[paper])
            )  # fmt: skip
    sources, *numbers = zip(*found, strict=True)
    return Rows(list(sources), *(np.asarray(column, dtype=np.float64) for column in numbers))


def ablation_rows() -> tuple[Any, Any, Any, float]:
    """Replicas, batch of one replica and perplexity of the ablations, and the share by which 50 to 1,000 steps raise it."""
    replicas, batches, perplexities, increase = [], [], [], 0.0
    for row in table("diloco_ablations"):
        source, method, value = str(row["source"]), str(row["method"]), float(row["value"] or 0)
        if source == "arXiv 2311.08105 Table 3" or (source == "arXiv 2311.08105 Table 2" and method == "DiLoCo k=8"):
            replicas.append(float(row["replicas"] or 0))
            batches.append(ABLATION_BATCH)
        elif method in ("Baseline 8x updates (88k+7*64k)", "Baseline 8x batch data-parallel"):
            replicas.append(0.0)  # one replica on the tokens of eight
            batches.append(ABLATION_BATCH * (8.0 if "batch" in method else 1.0))
        else:
            if row["inner_steps"] == "1000 vs 50":
                increase = value / 100.0
            continue
        perplexities.append(value)
    return np.asarray(replicas), np.asarray(batches), np.asarray(perplexities), increase


def cost(x: Any, replicas: Any, inner_steps: Any, params: Any, tokens: Any, batch: Any, exponent: float = 1.0) -> Any:
    """Data cost with the fitted numbers replaced; M - 1 to a power other than 1 is the variant."""
    values = dict(zip(FITTED, x, strict=False))
    for position in LOGARITHMIC:
        values[FITTED[position]] = np.exp(x[position])
    names = (
        "critical_replicas_reference_flop",
        "inner_step_reference",
        "critical_batch_tokens_at_1e12",
        "critical_batch_exponent",
    )
    terms: ReplicaCost = replica_cost_terms(
        inner_steps=inner_steps,
        params=params,
        tokens=tokens,
        local_batch_tokens=batch,
        **values,
        **{name: STORED[name] for name in names},
    )
    return replica_data_cost(terms, 1.0 + (replicas - 1.0) ** exponent)


def residuals(x: Any, rows: Rows, ablations: tuple[Any, Any, Any, float], exponent: float = 1.0) -> tuple[Any, Any]:
    """Predicted less measured, in nats: of the sweeps, and of the ablations with the inner-step row last."""
    of_rows = cost(x, rows.replicas, rows.inner_steps, rows.params, rows.tokens, 0.0, exponent)
    sweep = rows.token_share * (of_rows**LAW.beta - 1.0) - rows.difference

    replicas, batch, perplexity, increase = ablations
    scale, offset = x[3], x[4]
    tokens = ABLATION_BATCH * (SHARED_STEPS + REPLICA_STEPS * np.where(replicas > 0, replicas, 8.0))
    steps = np.where(replicas > 0, ABLATION_STEPS, 1.0)
    paid = cost(x, np.maximum(replicas, 1.0), steps, ABLATION_PARAMS, tokens, batch, exponent)
    loss = offset + scale * model_loss_terms(ABLATION_PARAMS, tokens / paid, LAW)[1]

    eight = ABLATION_BATCH * (SHARED_STEPS + 8.0 * REPLICA_STEPS) * np.ones(2)
    few_many = cost(x, 8.0, np.asarray([50.0, 1000.0]), ABLATION_PARAMS, eight, ABLATION_BATCH, exponent)
    few, many = scale * model_loss_terms(ABLATION_PARAMS, eight / few_many, LAW)[1]
    return sweep, np.concatenate([loss - np.log(perplexity), [many - few - np.log1p(increase)]])


def fit(free_exponent: bool = False) -> tuple[dict[str, float], Any, Any]:
    """Fitted numbers and standard errors by name, and the residuals in nats of the sweeps and the ablations."""
    rows, ablations = sweep_rows(), ablation_rows()

    def scaled(x: Any) -> Any:
        sweep, other = residuals(x, rows, ablations, x[5] if free_exponent else 1.0)
        return np.concatenate([sweep / rows.nats, other / ABLATION_NATS])

    start = [*START, 1.0] if free_exponent else START
    result = least_squares(scaled, start, loss="soft_l1", x_scale="jac")
    errors = np.sqrt(np.diag(np.linalg.pinv(result.jac.T @ result.jac)))
    values = {}
    for position, name in enumerate([*FITTED, "ablation_scale", "ablation_offset", "replica_exponent"][: len(start)]):
        logarithmic = position in LOGARITHMIC
        values[name] = float(np.exp(result.x[position]) if logarithmic else result.x[position])
        values[f"{name}_{'log_' if logarithmic else ''}error"] = float(errors[position])
    values["loss"] = float(result.cost)
    return values, *residuals(result.x, rows, ablations, result.x[5] if free_exponent else 1.0)


def report(free_exponent: bool = False) -> dict[str, float]:
    """The fitted numbers, their standard errors, and the root mean square residual in nats per source."""
    values, sweep, other = fit(free_exponent)
    sources = np.asarray(sweep_rows().source)
    for source in SWEEP_NATS:
        values[f"residual_rms {source}"] = float(np.sqrt(np.mean(sweep[sources == source] ** 2)))
    values["residual_rms arXiv 2311.08105"] = float(np.sqrt(np.mean(other**2)))
    return values


if __name__ == "__main__":
    for title, free in (("linear in replicas beyond the first", False), ("free exponent", True)):
        sys.stdout.write(f"# {title}\n")
        sys.stdout.writelines(f"{name}: {value:.4g}\n" for name, value in report(free).items())
