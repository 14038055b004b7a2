"""Accelerator memory: what model state, activations and the outer optimizer take, and how many nodes hold one replica."""

from __future__ import annotations

from typing import NamedTuple

from thresher.arrays import Array, namespace
from thresher.training.compute import ModelShape


class NodeMemory(NamedTuple):
    """Memory of one node in GB: ``needed`` on its accelerators, ``usable`` there, and ``host`` for offloaded outer state.

    What is needed is the sum of ``state_gb``, ``activations_gb`` and ``outer_gb``, the outer state that lies on the chips.
    """

    needed_gb: Array
    usable_gb: Array
    host_gb: Array
    state_gb: Array
    activations_gb: Array
    outer_gb: Array


class StateParts(NamedTuple):
    """The model state of a node in GB: weights and gradients in the number format, and the optimizer's master and moments."""

    weights_gb: Array
    gradients_gb: Array
    optimizer_gb: Array


def sequences_in_flight(chips: Array, *, tensor_parallel_chips: Array) -> Array:
    """Sequences a node works on at once: one for each group of tensor-parallel chips (Narayanan et al. 2021).

    A batch with fewer leaves groups idle: Llama 3 405B's 16M tokens are 8,192 x 16,384 chips / 8, just enough for all of them.
    """
    xp = namespace(chips)
    return xp.ceil(chips / tensor_parallel_chips)


def activation_gb(
    shape: ModelShape,
    tokens: Array,
    *,
    layers_share: Array,
    checkpoint_bytes_per_activation: Array,
    working_bytes_per_activation: Array,
) -> Array:
    """Activations of ``tokens`` tokens with full recomputation, in GB: s b h (2 L + 34).

    Korthikanti et al. 2022 (arXiv 2205.05198): the layer inputs are kept (2 bytes each) and one layer at a time is recomputed
    (34 bytes per position and hidden unit; attention scores in blocks). ``layers_share`` is the share of layers a node holds.
    """
    kept = checkpoint_bytes_per_activation * shape.layers * layers_share
    return tokens * shape.hidden * (kept + working_bytes_per_activation) / 1e9


def outer_state_gb(
    params: Array,
    *,
    replicated: Array,
    error_feedback: Array,
    outer_bytes_per_param: Array,
    error_feedback_bytes_per_param: Array,
) -> Array:
    """The outer optimizer of DiLoCo in GB: an outer copy of the weights, its momentum, and the error-feedback buffer.

    Zero where there is no second replica (``replicated`` 0).
    """
    return replicated * params * (outer_bytes_per_param + error_feedback * error_feedback_bytes_per_param) / 1e9


def node_memory(
    *,
    params: Array,
    stages: Array,
    state_bytes_per_param: Array,
    activations_gb: Array,
    outer_gb: Array,
    outer_on_chips: Array,
    memory_gb: Array,
    usable_memory_fraction: Array,
) -> NodeMemory:
    """What one of ``stages`` nodes holds of a replica.

    State (weights, gradients, master weights and moments) and the outer state are sharded over the stages; activations are
    given per node. The outer state lies in host memory unless ``outer_on_chips`` is 1.
    """
    outer = outer_gb / stages
    state, on_chips = params * state_bytes_per_param / 1e9 / stages, outer_on_chips * outer
    return NodeMemory(
        state + activations_gb + on_chips,
        usable_memory_fraction * memory_gb,
        (1.0 - outer_on_chips) * outer,
        state,
        activations_gb,
        on_chips,
    )


def state_parts(state_gb: Array, *, state_bytes_per_param: Array, value_bytes: Array) -> StateParts:
    """A node's model state by part: a value of weight and one of gradient in the number format, the optimizer's state the rest.

    ``state_bytes_per_param`` are all of them together, 16 in bf16: 2 + 2 + 12 (fp32 master weights 4, Adam moments 8).
    """
    values = state_gb * value_bytes / state_bytes_per_param
    return StateParts(values, values, state_gb - 2.0 * values)


def least_stages(
    *,
    params: Array,
    state_bytes_per_param: Array,
    activations_gb: Array,
    outer_gb: Array,
    outer_on_chips: Array,
    memory_gb: Array,
    usable_memory_fraction: Array,
) -> Array:
    """The fewest nodes that hold one replica as a pipeline; infinite where activations alone do not fit."""
    xp = namespace(params, memory_gb)
    room = usable_memory_fraction * memory_gb - activations_gb
    total = params * state_bytes_per_param / 1e9 + outer_on_chips * outer_gb
    return xp.where(room > 0, xp.ceil(total / xp.where(room > 0, room, 1.0)), xp.inf)
