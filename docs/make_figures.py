"""Draws the figures of the documentation from what ships; run by ``conf.py`` at every build, or by hand."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from thresher.learning.loss_laws import loss_law, model_loss_terms, optimal_compute_flop
from thresher.learning.posterior import load_posterior
from thresher.learning.replica_families import drift, replica_loss
from thresher.learning.replica_model import REPLICA_NAMES, constants

DOCS = Path(__file__).parent
SIZES = {"1B parameters, 20B tokens": (1e9, 2e10), "100B parameters, 2T tokens": (1e11, 2e12)}
MARKED = (72.0, 500.0)
"""Replicas of the study's smaller runs, and of its larger ones."""
MEASURED = {"1B parameters, 20B tokens": 8.0, "100B parameters, 2T tokens": 1.0}
"""Replicas measured under control near that size; at 150M parameters 64."""
COLOURS = {"power": "#1b6ca8", "exponential": "#c0392b", "data_efficiency": "#2e7d32", "additive": "#8e5ea2"}


class Extrapolation(NamedTuple):
    """5%, median and 95% of the penalty in nats, and of the compute that the same loss would need, as a share."""

    nats: Any
    efficiency: Any


@cache
def extrapolation(family: str, size: str, replicas: tuple[float, ...]) -> Extrapolation:
    """What a family's posterior says of ``replicas`` that average every 30 inner steps."""
    draw = {name: value[:, None] for name, value in load_posterior().draws[family].items()}
    params, tokens = (np.asarray(one) for one in SIZES[size])
    law, reference = loss_law("besiroglu_2024"), constants()["inner_step_reference"]
    terms = model_loss_terms(params, tokens, law)
    added = replica_loss(
        family, loss=law.E + sum(terms), token_term=terms[1], params=params, tokens=tokens,
        replicas=np.asarray([replicas]), beta=law.beta,
        drift=drift(np.asarray(reference), inner_step_scale=draw["inner_step_scale"], inner_step_reference=reference),
        **{name: draw[name] for name in REPLICA_NAMES[:-1]},
    )  # fmt: skip
    efficiency = optimal_compute_flop(sum(terms) + added, law) / optimal_compute_flop(np.asarray(sum(terms)), law)
    return Extrapolation(*(np.quantile(column, (0.05, 0.5, 0.95), axis=0) for column in (added, efficiency)))


def replica_families(path: Path) -> None:
    """Each family's extrapolation: penalty and efficiency against replicas, at two sizes."""
    import matplotlib as mpl  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415 - without a window or global state

    replicas = tuple(np.geomspace(1, 1000, 61))
    with mpl.rc_context({"svg.hashsalt": "thresher", "svg.fonttype": "path", "font.size": 9}):
        figure = Figure(figsize=(9, 6.5), layout="constrained")
        panels = figure.subplots(2, 2, sharex=True, sharey="row")
        for column, size in enumerate(SIZES):
            for family, colour in COLOURS.items():
                found = extrapolation(family, size, replicas)
                for panel, (low, middle, high) in zip(panels[:, column], found, strict=True):
                    panel.plot(replicas, middle, color=colour, label=family)
                    panel.fill_between(replicas, low, high, color=colour, alpha=0.18, linewidth=0)
            for panel in panels[:, column]:
                panel.axvspan(1, MEASURED[size], color="0.9", zorder=0)
                for mark in MARKED:
                    panel.axvline(mark, color="0.6", linewidth=0.8, linestyle=":")
                panel.set_xscale("log")
            panels[0, column].set_title(size)
            panels[1, column].set_xlabel("replicas")
        panels[0, 0].set(ylabel="added loss (nats per token)", yscale="log", ylim=(1e-3, 10))
        panels[1, 0].set(ylabel="compute that a single site would need, as a share", yscale="log", ylim=(1e-4, 1.1))
        panels[0, 0].legend(frameon=False)
        figure.savefig(path, format="svg", metadata={"Date": None})


def write_all(folder: Path) -> None:
    """Draw every figure."""
    folder.mkdir(exist_ok=True)
    replica_families(folder / "replica_families.svg")


if __name__ == "__main__":
    write_all(DOCS / "_generated")
