"""Where a plan's numbers come from: trees of capability and cost, built from its outcome."""

from __future__ import annotations

from collections.abc import Mapping

from thresher.evasion.best_response import AdversaryPlan
from thresher.result import Explanation

_COST_PARTS = ("chips", "servers", "network", "hosting", "power", "people")
_DATA_COSTS = {
    "replicas_and_batch": "replicas, inner steps and batch",
    "number_format": "number format",
    "compression": "compressed updates",
    "staleness": "updates that arrive late",
    "activations": "compressed activations between stages",
}


def explain_capability(plan: AdversaryPlan) -> Explanation:
    """From chips to operations, from operations to effective tokens, from those to quality-adjusted FLOP."""
    return capability_of(plan.outcome, plan.nodes * plan.chips_per_node)


def capability_of(o: Mapping[str, float], chips: float) -> Explanation:
    """The tree of capability of one simulated plan's outcome, on so many chips."""
    learning = tuple(
        Explanation(text, o[f"data_cost_{name}"], "tokens per token")
        for name, text in _DATA_COSTS.items()
        if f"data_cost_{name}" in o
    )
    performed = Explanation(
        "operations performed", o["flop"], "FLOP", "chips x rate x utilisation x time at work",
        (
            Explanation("chips", chips, "chips"),
            Explanation("model FLOP utilisation while computing", o["mfu"], "share of the peak rate"),
            Explanation("share of a round spent computing", o["utilisation"], "share"),
            Explanation("share of time at work (failures)", o["goodput"], "share"),
            Explanation("length of the run", o["days"], "days"),
        ),
    )  # fmt: skip
    local = Explanation(
        "local-equivalent compute", o["flop_local"], "FLOP",
        "what one site would have needed for this loss with the same model: tokens over their data cost",
        (
            Explanation("tokens seen", o["tokens"], "tokens"),
            *learning,
            Explanation("effective tokens", o["effective_tokens"], "tokens"),
        ),
    )  # fmt: skip
    return Explanation(
        "quality-adjusted compute", o["flop_quality"], "FLOP",
        f"the best-allocated single-site run with the same loss, {o['loss']:.4g} nats a token", (performed, local),
    )  # fmt: skip


def explain_cost(plan: AdversaryPlan) -> Explanation:
    """The dollars by what they buy, and the study's chips-only figure beside them."""
    o = plan.outcome
    parts = tuple(Explanation(name, o[f"cost_{name}_usd"], "USD") for name in _COST_PARTS)
    return Explanation(
        "cost",
        o["cost_usd"],
        "USD",
        f"chips alone, as the study counts: ${o['cost_chips_only_usd'] / 1e6:,.1f} million",
        parts,
    )
