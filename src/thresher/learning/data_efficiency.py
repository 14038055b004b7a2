"""What distribution costs in learning, as data: the share of a run's tokens that a single-site run would have needed.

Why data: in arXiv 2503.09799 the loss lost to replicas is a nearly constant share of the *reducible* loss at 20 tokens
a parameter, and in arXiv 2501.18512 table 7 it shrinks as the same model sees more tokens (0.06, 0.02, 0.02 nats at 25B,
100B and 250B). Both follow if replicas waste tokens, D_effective = D / cost, so that only the token term of the loss law
grows. The irreducible loss and the capacity of the model are untouched.

Each function returns the *cost*: tokens needed over tokens that a single site with a small batch would need; 1 is free.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from thresher.arrays import Array, logarithm, namespace


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
    critical: Array,
    inner_step_scale: Array,
    inner_step_reference: Array,
) -> Array:
    """The inner steps at which an extra replica costs least: the root of H^2 = b M_crit L (H0 + H - 1), L = ln(1 + 29 / H0).

    Fewer waste the replicas on a batch above the critical one, more let them drift; see ``replica_cost_terms``.
    ``batch_cost`` is b, ``critical`` M_crit. At least 1.
    """
    xp: Any = namespace(batch_cost, critical)
    scaled = batch_cost * critical * logarithm(1.0 + (inner_step_reference - 1.0) / inner_step_scale)
    steps = 0.5 * (scaled + xp.sqrt(scaled * scaled + 4.0 * scaled * (inner_step_scale - 1.0)))
    return xp.maximum(xp.floor(steps), xp.ones_like(steps))


def critical_replica_count(
    params: Array,
    tokens: Array,
    *,
    critical_replicas: Array,
    critical_replicas_compute_exponent: Array,
    critical_replicas_reference_flop: Array,
) -> Array:
    """Replicas beyond the first that double the data needed, at the reference interval: M_0 (6 N D / C_0) ^ q."""
    xp: Any = namespace(params, tokens)
    log_compute = xp.log(params * tokens * (6.0 / critical_replicas_reference_flop))
    return critical_replicas * xp.exp(critical_replicas_compute_exponent * log_compute)


class ReplicaCost(NamedTuple):
    """The two parts of the data cost of replicas: ``batch`` of each replica's own, and ``per_extra_replica``."""

    batch: Array
    per_extra_replica: Array


def replica_cost_terms(
    *,
    inner_steps: Array,
    params: Array,
    tokens: Array,
    local_batch_tokens: Array,
    critical_replicas: Array,
    critical_replicas_compute_exponent: Array,
    critical_replicas_reference_flop: Array,
    inner_step_scale: Array,
    inner_step_reference: Array,
    critical_batch_tokens_at_1e12: Array,
    critical_batch_exponent: Array,
) -> ReplicaCost:
    """The data cost of replicas, inner steps and batch is 1 + b + (M - 1) k for M replicas, with::

        b = local batch / critical batch,   k = b / H + h(H) / M_crit(C)
        h(H) = ln(1 + (H - 1) / H0) / ln(1 + 29 / H0),   M_crit(C) = M_0 (6 N D / C_0) ^ q

    The first term is McCandlish et al. 2018 (arXiv 1812.06162): D(B) = D_min (1 + B / B_crit). At H = 1 the formula is data
    parallelism with the global batch M x local batch; as H grows the replicas' drift replaces it, one unit of noise per
    replica, which is how a critical *replica count* arises. Linear growth in M - 1 is what the 64-replica rows at fixed steps
    per replica ask for: a free exponent fits at 1.04 +- 0.04. Fitted jointly by ``tools/fit_replicas.py``; residuals are 0.003
    nats (rms) on arXiv 2503.09799 table 4.

    Limits: one replica costs 1 + b whatever H; the cost is continuous in M and rises with M. Weak: hundreds of replicas at
    hundreds of billions of parameters are extrapolation by a factor of ten to a thousand.

    Parameters
    ----------
    inner_steps, params, tokens, local_batch_tokens
        Arrays that broadcast; batch in tokens per inner step and replica.
    critical_replicas, critical_batch_tokens_at_1e12, ...
        The fitted numbers of ``data/data_efficiency.yaml``.
    """
    xp: Any = namespace(inner_steps, params, tokens)
    batch = local_batch_tokens / critical_batch_tokens(
        tokens, at_1e12=critical_batch_tokens_at_1e12, exponent=critical_batch_exponent
    )
    at_reference = 1.0 + (inner_step_reference - 1.0) / inner_step_scale
    drift = xp.log(1.0 + (inner_steps - 1.0) / inner_step_scale) / logarithm(at_reference)
    critical = critical_replica_count(
        params,
        tokens,
        critical_replicas=critical_replicas,
        critical_replicas_compute_exponent=critical_replicas_compute_exponent,
        critical_replicas_reference_flop=critical_replicas_reference_flop,
    )
    return ReplicaCost(batch, batch / inner_steps + drift / critical)


def replica_data_cost(terms: ReplicaCost, replicas: Array) -> Array:
    """Data cost, at least 1, of ``replicas`` that all synchronise with one another: 1 + b + (M - 1) k."""
    return 1.0 + terms.batch + (replicas - 1.0) * terms.per_extra_replica


def tiered_data_cost(within: ReplicaCost, between: ReplicaCost, replicas: Array, groups: Array) -> Array:
    """Data cost of ``replicas`` in ``groups`` that synchronise often inside a group and rarely between groups.

    Of the M - 1 ways in which replicas can differ, M - G lie inside groups and drift for the inner interval, G - 1 lie between
    groups and drift for the outer one. Equal intervals give ``replica_data_cost``; the value lies between
    those of the two intervals.
    """
    return (
        1.0 + within.batch + (replicas - groups) * within.per_extra_replica + (groups - 1.0) * between.per_extra_replica
    )


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
