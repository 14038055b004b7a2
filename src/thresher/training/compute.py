"""Compute time: the shape of a model, the FLOP a token costs (attention included), and the seconds of a step."""

from __future__ import annotations

from typing import NamedTuple

from thresher.arrays import Array, namespace


class ModelShape(NamedTuple):
    """Hidden size and number of layers of a dense transformer, as real numbers."""

    hidden: Array
    layers: Array


def model_shape(params: Array, *, aspect_ratio: Array) -> ModelShape:
    """The usual shape of a dense model: params = 12 layers hidden^2 with hidden = ``aspect_ratio`` x layers.

    Kaplan et al. 2020 (arXiv 2001.08361) find the loss flat over a wide range of aspect ratios.
    """
    xp = namespace(params)
    layers = xp.exp(xp.log(params / (12.0 * aspect_ratio**2)) / 3.0)
    return ModelShape(aspect_ratio * layers, layers)


def flop_per_token(active_params: Array, shape: ModelShape, *, sequence_tokens: Array) -> Array:
    """Training FLOP per token: 6 N for the weights and 6 L h s for causal attention scores.

    Chowdhery et al. 2022 (arXiv 2204.02311, appendix B) count 12 L h s without the causal mask; half of it is performed.
    Recomputed activations are not counted. At 2,048 tokens attention adds about 2%, at 131,072 it doubles the cost.
    """
    return 6.0 * active_params + 6.0 * shape.layers * shape.hidden * sequence_tokens


def step_seconds(batch_tokens: Array, flop_per_token: Array, *, peak_flop_per_second: Array, mfu: Array) -> Array:
    """Seconds of one inner step: batch x FLOP per token over the sustained rate (peak x model FLOP utilisation)."""
    return batch_tokens * flop_per_token / (peak_flop_per_second * mfu)
