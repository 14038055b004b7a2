"""What distribution costs in learning, as data: the share of a run's tokens that a single-site run would have needed.

Why data: loss lost to distribution is lost to the run's tokens, D_effective = D / cost, so that the irreducible loss and the
capacity of the model are untouched. What replicas lose by drifting apart is given in nats by ``replica_families`` and counted
here as the tokens that would lose as much.

Each function returns the *cost*: tokens needed over tokens that a single site with a small batch would need; 1 is free.
"""

from __future__ import annotations

import math
from typing import Any

from thresher.arrays import Array, logarithm, namespace

LEAST_COST = 1e-12
"""A cost of drift below this is none: it only keeps a quotient finite."""
LEAST_DRIFT = 0.01
"""A drift below this, of a step or so, is taken as this where the best interval is sought."""
SUBSTITUTIONS = 3
LARGEST_LOG_COST = 32.0
"""Costs are cut at e^32: such a run learns nothing, and larger numbers overflow."""


def critical_batch_tokens(tokens: Array, *, at_1e12: Array, exponent: Array) -> Array:
    """The batch, in tokens, at which a run needs twice the data: ``at_1e12`` (tokens / 1e12) ^ ``exponent``.

    Growth with tokens alone, of about their square root, is Bergsma et al. 2025 (arXiv 2505.13738); the level is the
    geometric mean of two measurements that differ by a factor of four (arXiv 2311.08105 and 2505.23971).
    """
    xp = namespace(tokens)
    return at_1e12 * xp.exp(exponent * xp.log(1e-12 * tokens))


def best_inner_steps(
    *,
    batch_cost: Array,
    extra_replicas: Array,
    drift_cost_at_reference: Array,
    drift_cost_at_half: Array,
    inner_step_scale: Array,
    inner_step_reference: Array,
) -> Array:
    """The inner steps at which replicas cost least: the minimum over H of b (M - 1) / H + c h(H)^p, at least 1.

    Fewer waste the replicas on a batch above the critical one, more let them drift. ``batch_cost`` is b, h(H) the drift of
    ``replica_families``; c and p are read off what drift costs at the reference interval (h = 1) and at half its drift, so that
    the answer is exact where that cost is a power of the drift (the family ``data_efficiency``: p = 1) and near it elsewhere.
    The root of H^2 = b (M - 1) L (H0 + H - 1) / (c p h^(p - 1)), L = ln(1 + 29 / H0), by a few turns of substitution.
    """
    xp: Any = namespace(batch_cost, extra_replicas)
    least = LEAST_COST + 0.0 * extra_replicas
    at_one, at_half = xp.maximum(drift_cost_at_reference, least), xp.maximum(drift_cost_at_half, least)
    exponent = xp.maximum(xp.log(at_one / at_half) / math.log(2.0), xp.ones_like(least))
    at_reference = logarithm(1.0 + (inner_step_reference - 1.0) / inner_step_scale)
    steepness = at_one * exponent
    steps = xp.ones_like(least)
    for _ in range(SUBSTITUTIONS):
        scaled = batch_cost * extra_replicas * at_reference / steepness
        steps = 0.5 * (scaled + xp.sqrt(scaled * scaled + 4.0 * scaled * (inner_step_scale - 1.0)))
        steps = xp.maximum(steps, 1.0 + least)
        drifted = xp.log(1.0 + (steps - 1.0) / inner_step_scale) / at_reference
        steepness = at_one * exponent * xp.exp((exponent - 1.0) * xp.log(xp.maximum(drifted, LEAST_DRIFT + least)))
    return xp.maximum(xp.floor(steps), xp.ones_like(steps))


def batch_data_cost(
    local_batch_tokens: Array, tokens: Array, *, critical_batch_tokens_at_1e12: Array, critical_batch_exponent: Array
) -> Array:
    """The share of data that a replica's own batch costs, b = batch / critical batch (McCandlish et al. 2018, arXiv 1812.06162).

    D(B) = D_min (1 + B / B_crit), batch in tokens per inner step.
    """
    return local_batch_tokens / critical_batch_tokens(
        tokens, at_1e12=critical_batch_tokens_at_1e12, exponent=critical_batch_exponent
    )


def mean_over_extra_replicas(within: Array, between: Array, replicas: Array, groups: Array) -> Array:
    """The mean over the M - 1 ways in which replicas can differ: M - G lie inside groups, G - 1 between them.

    ``within`` and ``between`` are what one of them is worth at the inner and at the outer interval; equal ones, or one group for
    each replica, give that value.
    """
    xp: Any = namespace(within, replicas)
    further = xp.maximum(replicas - 1.0, xp.ones_like(replicas))
    return within + (between - within) * xp.minimum((groups - 1.0) / further, xp.ones_like(further))


def added_loss_as_data_cost(added_loss: Array, token_term: Array, beta: Array) -> Array:
    """The data cost, at least 1, that adds so many nats to a token term B / D^beta: (1 + nats / term)^(1 / beta)."""
    xp: Any = namespace(added_loss, token_term)
    return xp.exp(xp.minimum(xp.log1p(added_loss / token_term) / beta, LARGEST_LOG_COST + 0.0 * token_term))


def replica_data_cost(*, batch: Array, replicas: Array, averages_per_step: Array, drift_cost: Array) -> Array:
    """Data cost of replicas, inner steps and batch: 1 + b + (M - 1) b / H + the cost of drift less 1.

    At one inner step drift costs nothing and the formula is data parallelism with the global batch M x local batch; as H grows
    the replicas' drift replaces it.

    Parameters
    ----------
    batch
        b of one replica, see ``batch_data_cost``.
    averages_per_step
        1 / H, or its mean over tiers.
    drift_cost
        The data cost of drift alone, from one of the families of ``replica_families``.
    """
    return batch + (replicas - 1.0) * batch * averages_per_step + drift_cost


def compression_data_cost(
    *,
    bits_per_param: Array,
    error_feedback: Array,
    uncompressed_bits_per_param: Array,
    information_bits_with_feedback: Array,
    information_bits_without_feedback: Array,
    information_exponent: Array,
) -> Array:
    """Data cost of sending ``bits_per_param`` bits of each pseudo-gradient value: 1 + (b0/b)^e - (b0/b_full)^e, at least 1.

    Exactly 1 when nothing is compressed. The exponent is the information floor: once b is below b0, halving the payload costs
    2^e times the data, so sending less than an update's information never helps, where a table that clamps would reward it. The
    level b0 rests on one run with error feedback and on 4-bit rounding without (``data/data_efficiency.yaml``).
    """
    xp = namespace(bits_per_param, error_feedback)
    with_feedback = information_bits_with_feedback + 0.0 * bits_per_param
    floor = xp.log(xp.where(error_feedback > 0, with_feedback, information_bits_without_feedback))
    lost = xp.exp(information_exponent * (floor - xp.log(bits_per_param)))
    excess = lost - xp.exp(information_exponent * (floor - logarithm(uncompressed_bits_per_param)))
    return 1.0 + xp.maximum(excess, 0.0 * excess)


def staleness_data_cost(*, delay_rounds: Array, staleness_data_cost: Array) -> Array:
    """Data cost of applying outer updates late: 1 + s x delay, the delay in rounds (0 blocking, 1 a whole round late).

    Linear between the two measured ends, no delay and one outer step with eager updates (arXiv 2502.12996 table 6).
    """
    return 1.0 + staleness_data_cost * delay_rounds


def activation_data_cost(
    *, ratio: Array, stages: Array, validated_activation_compression: Array, activation_data_cost: Array
) -> Array:
    """Data cost of compressing the activations between stages: 1 + a ((r - 1) / (r_validated - 1))^2.

    One stage or a ratio of 1 costs nothing. The learned subspace is shared by all stages (arXiv 2506.01260), so the cost does
    not compound with depth; its level is a judgement, since nobody but its authors has measured it.
    """
    xp = namespace(ratio, stages)
    share = xp.maximum(ratio - 1.0, 0.0 * ratio) / (validated_activation_compression - 1.0)
    return 1.0 + xp.where(stages > 1, activation_data_cost * share**2, 0.0 * share)


def unrepeated_tokens(tokens: Array, *, unique_tokens: Array, repetition_half_life: Array) -> Array:
    """The fresh tokens that ``tokens`` seen are worth when only ``unique_tokens`` exist.

    D' = U + U R* (1 - exp(-R / R*)) with R = D / U - 1 repetitions (Muennighoff et al. 2023, arXiv 2305.16264, equation 5);
    D' = D while nothing repeats.
    """
    xp = namespace(tokens, unique_tokens)
    repeats = xp.maximum(tokens / unique_tokens - 1.0, 0.0 * tokens)
    repeated = unique_tokens * (1.0 + repetition_half_life * (1.0 - xp.exp(-repeats / repetition_half_life)))
    return xp.where(repeats > 0, repeated, tokens)
