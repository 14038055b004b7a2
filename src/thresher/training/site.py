"""One site: the iteration time of a synchronous job from its parallel layout, for dense transformers on nodes of chips.

The physics is that of Megatron-LM (Narayanan et al. 2021, arXiv 2104.04473; Korthikanti et al. 2022, arXiv 2205.05198):
matrix products whose rate saturates with their size, memory-bound work between them, tensor-parallel all-reduces inside
the node (or across nodes, slowly), a pipeline with its bubble, and the all-reduce of gradients. Four constants are
fitted (``data/site.yaml``, by ``tools/fit_site.py``) to 54 measured iterations of 3.6B to 175B parameters on 64 to 512
A100s: median absolute relative error 2.0% (90th percentile 17%), 2.6% for sizes left out of the fit, 5.3% for tensor
degrees left out. Twelve rows are off by 10% or more; the eight worst ran slower than predicted and share no regularity
that we found (see the note of ``error_in_sample_p90``), so the model leaves them be. Outside those layouts it
extrapolates: other chips, fused attention, experts, sequences other than 2,048.
"""

from __future__ import annotations

from typing import Any

from thresher.arrays import Array, namespace
from thresher.catalog.chips import chip
from thresher.catalog.measurements import table_columns
from thresher.errors import InputError
from thresher.sources import load_quantities


def iteration_parts(
    *,
    params: Array,
    chips: Array,
    global_batch_sequences: Array,
    micro_batch: Array,
    hidden: Array,
    heads: Array,
    layers: Array,
    sequence: Array,
    tensor: Array,
    data: Array,
    pipeline: Array,
    vocabulary: Array,
    peak_tflops: Array,
    memory_tb_s: Array,
    nvlink_gb_s: Array,
    network_gb_s: Array,
    chips_per_node: Array,
    forward_passes: Array,
    bytes_per_value: Array,
    bytes_per_gradient: Array,
    matmul_efficiency: Array,
    half_rate_elements: Array,
    memory_passes: Array,
    nvlink_efficiency: Array,
    network_efficiency: Array,
) -> dict[str, Array]:
    """The seconds of one iteration by cause; they add up to `iteration_seconds`.

    All inputs broadcast against each other; arrays are floating point. With b sequences of s tokens in a micro-batch,
    h hidden, a heads, L layers, t, d, p the tensor, data and pipeline degrees and f forward passes (2 when activations
    are recomputed), each of the m = batch / (d b) micro-batches costs a stage of L/p layers, per layer,

    - ``matmul``: 24 (f + 2) b s h^2 (1 + s / 6h) / t FLOP (Narayanan et al., equation 3, at f = 2) at
      peak x efficiency x x / (x + x_half), x = b s h / t: small products leave the chip's pipes empty;
    - ``memory``: the activations of a layer, s b h (10 + 24/t + 5 a s / h t) bytes (Korthikanti et al., equation 2,
      attention not fused), moved ``memory_passes`` times;
    - ``tensor``: 2 (f + 1) all-reduces of b s h values, each 2 (t - 1)/t of its volume through a chip's NVLink, or,
      when t exceeds the node, through what the whole node has of the network, where that is less;

    and the sends to the next stage and back, scattered over the t chips (``pipeline``). The last stage also computes
    the logits, 6 V h b s / t FLOP, and paces the others (``logits``). The first micro-batch fills the p - 1 other
    stages (``bubble``: p - 1 times the work of a stage, so (p - 1)/m of the whole). At the end the gradients are
    all-reduced over d (``gradient``), not overlapped; the ranks of a node share its network.

    Parameters
    ----------
    params
        Parameters of the model.
    chips
        Chips of the job, tensor x data x pipeline.
    global_batch_sequences, micro_batch
        Sequences of an iteration, and of one micro-batch of one data-parallel rank.
    hidden, heads, layers, sequence, vocabulary
        The shape of the model; sequence in tokens.
    tensor, data, pipeline
        Degrees of parallelism. Tensor ranks are neighbours in a node, then data, then pipeline.
    peak_tflops, memory_tb_s
        Of a chip: dense rate of the number format, 10^12 FLOP/s, and memory bandwidth, 10^12 bytes/s.
    nvlink_gb_s, network_gb_s
        Of a chip, one way, 10^9 bytes/s: the link within a node, and its share of the node's network.
    chips_per_node
        Chips that the faster link joins.
    forward_passes
        2 with full recompute of activations (all the rows of the fit), 1 with none.
    bytes_per_value, bytes_per_gradient
        Bytes of an activation sent and of a gradient reduced.
    matmul_efficiency, half_rate_elements, memory_passes, nvlink_efficiency, network_efficiency
        Fitted; see ``data/site.yaml``. Efficiencies are shares of the nominal rate.

    Returns
    -------
    dict
        ``matmul``, ``memory``, ``tensor``, ``pipeline``, ``logits``, ``bubble``, ``gradient``, in seconds.
    """
    given = locals().copy()
    xp = namespace(*given.values())
    chips, tensor, data, pipeline, nvlink_gb_s, network_gb_s, chips_per_node = (
        value if hasattr(value, "shape") else xp.asarray(float(value))
        for value in (chips, tensor, data, pipeline, nvlink_gb_s, network_gb_s, chips_per_node)
    )
    nvlink = nvlink_efficiency * nvlink_gb_s * 1e9
    network = network_efficiency * network_gb_s * 1e9
    tokens = micro_batch * sequence
    elements = tokens * hidden / tensor
    micro_batches = global_batch_sequences / (data * micro_batch)
    stage_layers = layers / pipeline

    rate = peak_tflops * 1e12 * matmul_efficiency * elements / (elements + half_rate_elements)
    matmul = 24.0 * (forward_passes + 2.0) * elements * hidden * (1.0 + sequence / (6.0 * hidden)) / rate
    logits = 6.0 * vocabulary * elements / rate
    activation_bytes = tokens * hidden * (10.0 + 24.0 / tensor + 5.0 * heads * sequence / (hidden * tensor))
    memory = memory_passes * (forward_passes + 2.0) / 4.0 * activation_bytes / (memory_tb_s * 1e12)
    reduced_bytes = 2.0 * (forward_passes + 1.0) * 2.0 * (tensor - 1.0) * elements * bytes_per_value
    across = xp.minimum(nvlink, chips_per_node * network)
    reduce = reduced_bytes / xp.where(tensor <= chips_per_node, nvlink, across)
    one_node = chips <= chips_per_node
    sent_bytes = xp.where(pipeline > 1.0, 2.0 * elements * bytes_per_value, 0.0 * elements)
    send = sent_bytes / xp.where(one_node, nvlink, network)

    ranks_in_node = xp.maximum(chips_per_node / tensor, xp.ones_like(tensor))
    gradient_link = xp.where(tensor * data <= chips_per_node, nvlink, xp.minimum(nvlink, ranks_in_node * network))
    gradient_bytes = 2.0 * (data - 1.0) / data * params / (tensor * pipeline) * bytes_per_gradient
    return {
        "matmul": micro_batches * stage_layers * matmul,
        "memory": micro_batches * stage_layers * memory,
        "tensor": micro_batches * stage_layers * reduce,
        "pipeline": micro_batches * send,
        "logits": micro_batches * logits,
        "bubble": (pipeline - 1.0) * (stage_layers * (matmul + memory + reduce) + send),
        "gradient": gradient_bytes / gradient_link,
    }


def iteration_seconds(**inputs: Array) -> Array:
    """The seconds of one iteration of one synchronous job inside a site; arguments as of `iteration_parts`."""
    parts = iteration_parts(**inputs)
    total = parts.pop("matmul")
    for seconds in parts.values():
        total = total + seconds
    return total


def site_parameters() -> dict[str, float]:
    """The arguments of `iteration_parts` that are constants of the model, from ``data/site.yaml``, by name."""
    quantities = load_quantities("thresher.training", "site.yaml")
    return {name: row.value for name, row in quantities.items() if not name.startswith(("error_", "measured_"))}


def measured_iterations() -> tuple[dict[str, Any], Any]:
    """The measured iterations of the catalog: inputs of `iteration_parts` less the model's constants, and seconds.

    Columns are NumPy arrays of the table's length; the hardware, of `measured_machine`, is numbers.
    """
    columns = table_columns("measured_iteration_times")
    seconds = columns.pop("iteration_ms") / 1e3
    columns["params"] = columns.pop("params_b") * 1e9
    return columns | measured_machine(), seconds


def measured_machine() -> dict[str, float]:
    """The hardware of the measured iterations, as arguments of `iteration_parts`: A100-80GB, 8 in a node."""
    quantities = load_quantities("thresher.training", "site.yaml")
    a100 = chip("A100-SXM-80GB")
    if a100.fp16_tflops is None or a100.memory_bandwidth_tb_s is None or a100.scale_up_gb_s is None:
        raise InputError("chips.csv: A100-SXM-80GB", "its FP16 rate, memory bandwidth and scale-up bandwidth")
    return {
        "peak_tflops": a100.fp16_tflops,
        "memory_tb_s": a100.memory_bandwidth_tb_s,
        "nvlink_gb_s": a100.scale_up_gb_s / 2.0,  # the catalog counts both directions
        "network_gb_s": quantities["measured_network_gb_s"].value,
        "chips_per_node": quantities["measured_chips_per_node"].value,
    }
