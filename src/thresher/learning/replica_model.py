"""The loss that a run of a source is expected to reach, and how far a measured one strays from it.

Written once against the array namespace: the calibration samples it, and predictions evaluate it over the posterior's draws.

A run's loss is the base law of one-site training on its source, less what the outer optimiser gains, plus what replicas, delay
and compression cost. The base law is an empirical curve of the sweeps, E + R / 2 (n^-e + d^-e), n and d parameters and tokens
over the families' references: there the published law too lays equal shares to both, and sweeps along 20 tokens a parameter
cannot tell them apart. Sources that vary tokens at one size have the published token term instead, scaled. That term also
puts into nats what costs *data* (delay, compression, the family ``data_efficiency``), as the presets do.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from thresher.arrays import Array, namespace
from thresher.learning.data_efficiency import compression_data_cost, staleness_data_cost
from thresher.learning.loss_laws import LossLaw, loss_law, model_loss_terms
from thresher.learning.loss_rows import Rows, loss_sources
from thresher.learning.replica_families import REFERENCE_PARAMS, REFERENCE_TOKENS, drift, replica_loss
from thresher.sources import load_quantities

REPLICA_NAMES = (
    "replica_scale",
    "replica_size_exponent",
    "replica_token_exponent",
    "replica_growth",
    "inner_step_scale",
)
COST_NAMES = (
    "staleness_data_cost", "information_bits_with_feedback", "information_bits_without_feedback", "information_exponent",
)  # fmt: skip
BASE_NAMES = ("irreducible", "reducible", "exponent", "gain", "gain_params", "streaming_gain")
SPREAD_NAMES = ("baseline_noise", "misfit")


def own_names() -> dict[str, str]:
    """The numbers that sources have of their own, by column name (``offset_dolma``), with what they are."""
    kinds = ("offset", "token_scale", "severity")
    own = {f"{kind}_{one.name}": kind for kind in kinds for one in loss_sources() if getattr(one, kind)}
    return own | {f"noise_{group}": "noise" for group in dict.fromkeys(one.noise_group for one in loss_sources())}


def parameter_names() -> tuple[str, ...]:
    """Every number of a draw, in the order of the posterior's columns."""
    return (*REPLICA_NAMES, *COST_NAMES, *BASE_NAMES, *SPREAD_NAMES, *own_names())


def constants() -> dict[str, Any]:
    """The keyword arguments of ``expected`` that are not fitted: the published law and the references."""
    values = load_quantities("thresher.learning", "data_efficiency.yaml")
    return {
        "law": loss_law("besiroglu_2024"),
        **{name: values[name].value for name in ("inner_step_reference", "uncompressed_bits_per_param")},
    }


def sweep_cells(rows: Rows) -> dict[tuple[Any, ...], Any]:
    """Which rows share a baseline, and so its error: masks by source, parameters and tokens, for sources that are sweeps."""
    swept = [*(one.sweep for one in loss_sources()), False]
    keys = list(zip(rows.source.tolist(), rows.params.tolist(), rows.tokens.tolist(), strict=True))
    return {key: np.asarray([key == other for other in keys]) for key in dict.fromkeys(keys) if swept[key[0]]}


class Expected(NamedTuple):
    """In nats: the loss without distribution, what distribution adds, and a printed loss's variance beside its baseline's."""

    base: Array
    extra: Array
    variance: Array


def expected(
    family: str, rows: Rows, draw: Mapping[str, Array], *, law: LossLaw, inner_step_reference: Array,
    uncompressed_bits_per_param: Array,
) -> Expected:  # fmt: skip
    """The expected loss of ``rows`` for one draw, or for an axis of draws before that of the rows.

    Parameters
    ----------
    rows
        Arrays of the draws' namespace.
    draw
        The numbers of ``parameter_names``, and where rows of a source never seen are asked for ``offset_unseen``,
        ``severity_unseen`` and ``noise_unseen``; each a scalar or an array of draws.
    """
    xp: Any = namespace(*draw.values())
    one = {name: value[..., None] for name, value in draw.items()}
    base = base_loss(rows, draw, law) + _own(xp, one, "offset", rows)
    replicas = xp.where(rows.replicas > 0, rows.replicas, 1.0)
    cost = staleness_data_cost(delay_rounds=rows.delay, staleness_data_cost=one["staleness_data_cost"])
    cost = cost * compression_data_cost(
        bits_per_param=rows.bits, error_feedback=rows.feedback,
        uncompressed_bits_per_param=uncompressed_bits_per_param, **{name: one[name] for name in COST_NAMES[1:]},
    )  # fmt: skip
    published = model_loss_terms(rows.params, rows.tokens, law)[1]
    late = published * xp.expm1(law.beta * xp.log(cost))
    apart = _own(xp, one, "severity", rows) * replica_loss(
        family, loss=base, token_term=published, params=rows.params, tokens=rows.tokens, replicas=replicas,
        drift=drift(rows.inner_steps, inner_step_scale=one["inner_step_scale"], inner_step_reference=inner_step_reference),
        beta=law.beta, **{name: one[name] for name in REPLICA_NAMES[:-1]},
    )  # fmt: skip
    extra = late + apart
    steps = xp.asarray([source.printed_step for source in loss_sources()] + [loss_sources()[0].printed_step])
    rounding = steps[rows.source] ** 2 / 12.0
    return Expected(base, extra, _own(xp, one, "noise", rows) ** 2 + (one["misfit"] * extra) ** 2 + rounding)


def base_loss(rows: Rows, draw: Mapping[str, Array], law: LossLaw) -> Array:
    """The loss of ``rows`` without distribution and without their source's offset."""
    xp: Any = namespace(*draw.values())
    one = {name: value[..., None] for name, value in draw.items()}
    n, d = rows.params * (1.0 / REFERENCE_PARAMS), rows.tokens * (1.0 / REFERENCE_TOKENS)
    scaled = xp.asarray([float(source.token_scale) for source in loss_sources()] + [0.0])[rows.source]
    published = _own(xp, one, "token_scale", rows) * model_loss_terms(rows.params, rows.tokens, law)[1]
    of_size, of_tokens = (0.5 * one["reducible"] * xp.exp(-one["exponent"] * xp.log(share)) for share in (n, d))
    base = one["irreducible"] + of_size + (1.0 - scaled) * of_tokens + scaled * published
    gain = xp.where(rows.replicas > 0, one["gain"] * rows.params / (rows.params + one["gain_params"]), 0.0)
    return base - gain - rows.streaming * one["streaming_gain"]


def _own(xp: Any, one: Mapping[str, Array], kind: str, rows: Rows) -> Array:
    """What each row's source has of its own, or the reference's."""
    neutral = {"offset": 0.0, "token_scale": 1.0, "severity": 1.0, "noise": 0.0}[kind] + 0.0 * one["irreducible"]
    names = [f"{kind}_{source.noise_group if kind == 'noise' else source.name}" for source in loss_sources()]
    return xp.concat([one.get(name, neutral) for name in (*names, f"{kind}_unseen")], axis=-1)[..., rows.source]
