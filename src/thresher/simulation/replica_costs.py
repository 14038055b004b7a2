"""What replicas cost in data under a preset's parameters: the family that a draw names, in one or two tiers."""

from __future__ import annotations

from typing import Any

from thresher.arrays import Array, namespace
from thresher.learning import data_efficiency as data
from thresher.learning import replica_families as families
from thresher.learning.loss_laws import LossLaw, model_loss_terms
from thresher.simulation.parameters import Columns, Parameters

_SHAPE = ("replica_scale", "replica_size_exponent", "replica_token_exponent", "replica_growth")


def batch(c: Columns, p: Parameters, tokens: Array) -> Array:
    """The share of data that a replica's own batch costs; see ``data_efficiency.batch_data_cost``."""
    names = ("critical_batch_tokens_at_1e12", "critical_batch_exponent")
    return data.batch_data_cost(c["local_batch_tokens"], tokens, **{name: p[name] for name in names})


def drift(p: Parameters, inner_steps: Array) -> Array:
    """How far replicas drift apart in so many inner steps; see ``replica_families.drift``."""
    names = ("inner_step_scale", "inner_step_reference")
    return families.drift(inner_steps, **{name: p[name] for name in names})


def added_loss(
    p: Parameters, *, loss: Array, token_term: Array, params: Array, tokens: Array, replicas: Array, drift: Array, beta: Array
) -> Array:  # fmt: skip
    """Nats per token that ``replicas`` which drift so far add to a loss, by the family of each row's draw."""
    xp: Any = namespace(tokens, replicas)

    def by(family: str) -> Array:
        return families.replica_loss(
            family, loss=loss, token_term=token_term, params=params, tokens=tokens, replicas=replicas, drift=drift, beta=beta,
            **{name: p[name] for name in _SHAPE},
        )  # fmt: skip

    return p["replica_factor"] * _by_family(xp, p["replica_family"], by)


def drift_data_cost(c: Columns, p: Parameters, law: LossLaw, *, tokens: Array, replicas: Array, drift: Array) -> Array:
    """The data cost of ``replicas`` that drift so far, at least 1, by the family of each row's draw."""
    size_term, token_term = model_loss_terms(c["params"], tokens, law)
    added = added_loss(
        p, loss=law.E + size_term + token_term, token_term=token_term, params=c["params"], tokens=tokens,
        replicas=replicas, drift=drift, beta=law.beta,
    )  # fmt: skip
    return data.added_loss_as_data_cost(added, token_term, law.beta)


def replica_data_cost(
    c: Columns, p: Parameters, law: LossLaw, *, tokens: Array, replicas: Array, groups: Array, inner: Array, outer: Array
) -> Array:  # fmt: skip
    """The data cost of replicas, inner steps and batch, in ``groups`` that average every ``inner``, together every ``outer``.

    One tier has as many groups as replicas, and equal intervals.
    """
    own = batch(c, p, tokens)
    tiers = {"replicas": replicas, "groups": groups}
    cost = drift_data_cost(
        c, p, law, tokens=tokens, replicas=replicas,
        drift=data.mean_over_extra_replicas(drift(p, inner), drift(p, outer), **tiers),
    )  # fmt: skip
    return data.replica_data_cost(
        batch=own,
        replicas=replicas,
        averages_per_step=data.mean_over_extra_replicas(1.0 / inner, 1.0 / outer, **tiers),
        drift_cost=cost,
    )


def _by_family(xp: Any, family: Array, by: Any) -> Array:
    """The value of each row's own family; families that no row has are not worked out."""
    if not hasattr(family, "shape"):
        return by(list(families.FAMILIES)[int(family)])
    found: Array = None
    for place, name in enumerate(families.FAMILIES):
        mine = family == place
        if bool(xp.any(mine)):
            found = by(name) if found is None else xp.where(mine, by(name), found)
    return found
