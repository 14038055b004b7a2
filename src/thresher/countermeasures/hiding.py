"""What an adversary chooses besides its plan: how it comes by chips, in lots of what size, where it houses them, how it parts
its people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from itertools import product

import numpy as np

from thresher.arrays import Array
from thresher.countermeasures.actors import Actor
from thresher.countermeasures.parameters import table
from thresher.evasion.footprint import Footprint

TRAITS = ("after_rule", "registrable", "recorded", "grey", "bought", "own_site", "price_factor", "procurement")


@cache
def routes() -> dict[str, Mapping[str, str]]:
    """How chips are come by: each route with its title and traits, as ``data/routes.csv`` has them."""
    return {row["route"]: row for row in table("routes.csv")}


@dataclass(frozen=True, slots=True)
class Hiding:
    """One way to hide: a route, purchases of so many sites' worth of chips (below 1, parts of a site), sites in known
    facilities (1) or on premises of their own (0), and compartments."""

    route: str
    lot_sites: float
    colocated: float
    compartments: float


def ways_to_hide(actor: Actor, lots: Sequence[float]) -> list[Hiding]:
    """Every way that is open to an actor: each of its routes, in lots of each size, housed either way, its people parted as far
    as it can (which costs it nothing here)."""
    found = []
    for route, most in actor.routes.items():
        row = routes()[route]
        sizes = lots if row["bought"] == "1" else [1.0]
        housed = (0.0, 1.0) if row["own_site"] == "1" else (0.0,)
        found += [Hiding(route, *one, actor.compartments) for one in product(sizes, housed)] if most > 0 else []
    return found


def case_columns(
    footprint: Footprint,
    line_chips: Array,
    plan: np.ndarray,
    ways: Sequence[Hiding],
    actor: Actor,
    p: Mapping[str, Array],
) -> dict[str, Array]:
    """The columns of cases, each a plan and a way to hide, as `channels.rates` takes them.

    Parameters
    ----------
    footprint
        Of plans side by side: fields of shape (plans,) or (plans, draws).
    line_chips
        The fewest chips at one site that the rule would cover, by plan; infinite where it covers none.
    plan, ways
        The plan's place and the way to hide of each case.
    actor
        Who it is, for what reaches it.
    p
        Parameters of detection, numbers or arrays of draws.

    Returns
    -------
    Arrays of shape (cases, 1, 1) or (cases, 1, draws).
    """

    def of_plan(value: Array) -> np.ndarray:
        array = np.asarray(value, dtype=np.float64)
        return np.reshape(array[plan], (len(plan), 1, -1))

    columns = {item.name: of_plan(getattr(footprint, item.name)) for item in fields(Footprint)}
    columns["line_chips"] = of_plan(line_chips)
    for trait in TRAITS:
        values = {name: _trait(row[trait], p) for name, row in routes().items()}
        columns[f"route_{trait}"] = np.stack(np.broadcast_arrays(*(values[way.route] for way in ways)))[:, None, :]
    lot = np.asarray([way.lot_sites for way in ways])[:, None, None]
    columns["chips_per_purchase"] = np.minimum(np.maximum(lot * columns["chips_per_site"], 1.0), columns["chips"])
    columns["colocated"] = np.asarray([way.colocated for way in ways])[:, None, None]
    columns["compartments"] = np.asarray([way.compartments for way in ways])[:, None, None]
    columns |= {f"reach_{name}": np.full((len(ways), 1, 1), share) for name, share in actor.reach.items()}
    # a provider's own people look after what is rented
    columns["people"] = columns["people_core"] + columns["route_own_site"] * columns["people_operators"]
    columns["total_usd"] = columns["cost_usd"] + (columns["route_price_factor"] - 1.0) * columns["chips_usd"]
    return columns


def _trait(text: str, p: Mapping[str, Array]) -> np.ndarray:
    """A number, or the parameter that a trait names."""
    try:
        return np.atleast_1d(np.float64(text))
    except ValueError:
        return np.atleast_1d(np.asarray(p[text], dtype=np.float64))
