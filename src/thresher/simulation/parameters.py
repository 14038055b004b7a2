"""The parameters of the preset `default`: every file of the rooms below, merged by name."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from thresher.arrays import Array
from thresher.errors import InputError
from thresher.learning.loss_laws import LossLaw, loss_law
from thresher.sources import Quantity, load_quantities

Parameters = Mapping[str, Array]
Columns = Mapping[str, Array]

LAW = "loss_law_"
"""What the names of the loss law's numbers begin with."""

_FILES = (
    ("thresher.training", "physics.yaml"),
    ("thresher.training", "plant.yaml"),
    ("thresher.training", "utilisation.yaml"),
    ("thresher.learning", "data_efficiency.yaml"),
    ("thresher.learning", "data_stock.yaml"),
    ("thresher.simulation", "costs.yaml"),
)


@cache
def quantities() -> dict[str, Quantity]:
    """Every parameter of the preset with its source, by name."""
    merged: dict[str, Quantity] = {}
    for package, file in _FILES:
        rows = load_quantities(package, file)
        if twice := merged.keys() & rows.keys():
            raise InputError(rows.origin, "names that no other parameter file uses", sorted(twice))
        merged.update(rows)
    return merged


def parameters() -> dict[str, Array]:
    """Central values of every parameter, and the loss law's; replace any by a draw (an array that broadcasts with the plans)."""
    central = loss_law("besiroglu_2024")
    law = {f"{LAW}{name}": value for name, value in central._asdict().items()}
    return {name: row.value for name, row in quantities().items()} | law


def law_of(p: Parameters) -> LossLaw:
    """The loss law among the parameters: central, or a draw of its five numbers together."""
    return LossLaw(*(p[f"{LAW}{name}"] for name in LossLaw._fields))
