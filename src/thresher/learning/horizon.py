"""The evidence horizon: how far a plan lies beyond anything ever measured, axis by axis."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from thresher.sources import load_quantities

_LESS_IS_BEYOND = {"bits_per_param"}


@dataclass(frozen=True, slots=True)
class Extrapolation:
    """One axis: the plan's value, the largest (or, for bits, the least) ever measured, their ratio, and a plain line.

    ``ratio`` above 1 is beyond the evidence.
    """

    axis: str
    value: float
    measured: float
    ratio: float
    source: str
    line: str


def evidence_horizon(
    plan: Mapping[str, float], *, precision: str = "bf16", one_site: bool = False
) -> list[Extrapolation]:
    """Compare one plan with the largest measured value on every axis it uses.

    Parameters
    ----------
    plan
        ``params``, ``tokens``, and for distributed plans ``replicas``, ``inner_steps``, ``bits_per_param`` (0 where nothing is
        exchanged), ``stages`` and ``activation_compression``.
    precision
        The number format; those below bf16 have a horizon of their own.
    one_site
        Whether the plan is an ordinary run in one datacentre, whose horizon is that of such runs.
    """
    known = load_quantities("thresher.learning", "horizon.yaml")
    values: dict[str, float] = {}
    if one_site:
        values = {"one_site_params": plan["params"], "one_site_tokens": plan["tokens"]}
    else:
        replicas = plan.get("replicas", 1.0)
        values = {"params": plan["params"], "replicas": replicas, "tokens": plan["tokens"]}
        if replicas > 1:
            if plan["params"] > known["large_model_params"].value:
                values["replicas_at_size"] = replicas
            values["inner_steps"] = plan.get("inner_steps", 1.0)
            values["bits_per_param"] = plan.get("bits_per_param", 0.0)
        if plan.get("stages", 1.0) > 1:
            values["stages"] = plan["stages"]
            values["activation_compression"] = plan.get("activation_compression", 1.0)
    if f"params_in_{precision}" in known:
        values[f"params_in_{precision}"] = plan["params"]
    found = []
    for axis, value in values.items():
        row = known[axis]
        least = axis in _LESS_IS_BEYOND
        ratio = (row.value / value if value > 0 else 0.0) if least else value / row.value
        verdict = (
            f"{ratio:.3g} times beyond the evidence: extrapolation"
            if ratio > 1.0 + 1e-9
            else "within what was measured"
        )
        where = f"{row.source.address}{'; ' + row.observed if row.observed else ''}"
        extreme = "least" if least else "most"
        line = f"{row.note}: {value:,.4g} here, {extreme} ever measured {row.value:,.4g} ({where}); {verdict}."
        found.append(Extrapolation(axis, value, row.value, ratio, row.source.address, line))
    return found
