"""The made-up world while it is being made: who there is, and rows of sites, lots of chips, moves and interests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thresher.errors import InputError
from thresher.records.samples._tables import NONE, Columns, Ints, parameters
from thresher.records.samples.goods import Goods
from thresher.records.samples.lexicon import Lexicon
from thresher.records.samples.population import COMPANY, Population, country_of_city

RESALE, MOVE, REBORN = range(3)
"""What a move of a lot is: sold on, brought to another site, or destroyed on paper and installed elsewhere."""
SHAREHOLDING, CONTROL, OFFICER, NOMINEE = range(4)
WHOLE, SALE_UNREPORTED, UNKNOWN_TO_REGISTER = range(3)
"""How much of a lot the register of custody shows."""
DRAWN = -1
"""A flag that is drawn for honest actors with everybody else's rates."""
FOREVER = 1 << 40

SITE: dict[str, Any] = {
    "operator": NONE,
    "city": 0,
    "street": 0,
    "house": 1,
    "stands_in": NONE,
    "interconnect": np.nan,
    "metered": DRAWN,
    "base_kw": 0.0,
    "meter_scale": 1.0,
    "declares": DRAWN,
    "declared_share": 1.0,
    "pinged": DRAWN,
    "actor": NONE,
}
"""A site: ``stands_in`` is the city where its chips really are, where that is not the stated one."""
LOT: dict[str, Any] = {
    "holder": NONE,
    "site": NONE,
    "chip": 0,
    "count": 0,
    "day": 0,
    "seller": NONE,
    "via": NONE,
    "strength": 1.0,
    "payer": NONE,
    "bought": True,
    "seen": WHOLE,
    "noticed": np.nan,
    "markup": 1.0,
    "clone_of": NONE,
    "installed": True,
    "destroyed": FOREVER,
    "structured": False,
    "actor": NONE,
}
"""A lot: chips of one type that come to one site by one purchase; ``noticed`` is the chance that its moves are announced."""
MOVE_ROW: dict[str, Any] = {"lot": NONE, "day": 0, "holder": NONE, "site": NONE, "kind": MOVE}
EDGE: dict[str, Any] = {
    "owner": NONE,
    "owned": NONE,
    "share": np.nan,
    "interest": SHAREHOLDING,
    "since": NONE,
    "until": NONE,
    "behalf": NONE,
}


class RowBlock:
    """Rows with defaults, added one at a time or in blocks, and given back as arrays."""

    def __init__(self, defaults: Mapping[str, Any]) -> None:
        self._defaults = dict(defaults)
        self._single: list[dict[str, Any]] = []
        self._blocks: list[Columns] = []
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def add(self, **values: Any) -> int:
        """Add one row; its number."""
        self._single.append(self._defaults | values)
        self._size += 1
        return self._size - 1

    def default(self, name: str) -> Any:
        """What a column holds where nothing is said."""
        return self._defaults[name]

    def column(self, name: str) -> NDArray[Any]:
        """One column of all rows."""
        return self.columns()[name]

    def row(self, number: int) -> dict[str, Any]:
        """One of the rows that were added singly, to be read or changed."""
        return self._single[number]

    def extend(self, size: int, **values: Any) -> Ints:
        """Add a block of rows; their numbers."""
        self._flush()
        self._blocks.append({key: np.broadcast_to(values.get(key, one), size) for key, one in self._defaults.items()})
        self._size += size
        return np.arange(self._size - size, self._size)

    def columns(self) -> Columns:
        """All rows, column by column."""
        self._flush()
        return {key: np.concatenate([block[key] for block in self._blocks]) for key in self._defaults}

    def _flush(self) -> None:
        if self._single or not self._blocks:
            block = {
                key: np.array([row[key] for row in self._single], np.asarray(one).dtype)
                for key, one in self._defaults.items()
            }
            self._blocks.append(block)
            self._single = []


@dataclass(slots=True)
class Actor:
    """A special actor, an evader or an honest near-miss: what it controls (entities and sites), and who lends it a name.

    ``unrecorded`` are its companies whose tie upwards lacks in the register; ``shared`` those that share something, by what.
    """

    kind: str
    owner: int
    entities: list[int] = field(default_factory=list)
    sites: list[int] = field(default_factory=list)
    helpers: list[int] = field(default_factory=list)
    unrecorded: list[int] = field(default_factory=list)
    shared: dict[str, list[int]] = field(default_factory=dict)


@dataclass(slots=True)
class World:
    """Everything there is; functions of this package add to it."""

    rng: np.random.Generator
    words: Lexicon
    goods: Goods
    people: Population
    as_of: int
    sites: RowBlock = field(default_factory=lambda: RowBlock(SITE))
    lots: RowBlock = field(default_factory=lambda: RowBlock(LOT))
    moves: RowBlock = field(default_factory=lambda: RowBlock(MOVE_ROW))
    edges: RowBlock = field(default_factory=lambda: RowBlock(EDGE))
    aliases: list[int] = field(default_factory=list)
    evaders: list[Actor] = field(default_factory=list)
    near_misses: list[Actor] = field(default_factory=list)
    distributors: list[int] = field(default_factory=list)
    resellers: list[int] = field(default_factory=list)
    makers: dict[str, int] = field(default_factory=dict)
    claimed: set[int] = field(default_factory=set)
    free: dict[tuple[int, int], list[int]] = field(default_factory=dict)

    def claim(self, kind: int = COMPANY, country: int | None = None) -> int:
        """An entity that nobody has a part for yet, of a country while there are any.

        Raises
        ------
        InputError
            There are too few parties for the actors that were asked for.
        """
        if not self.free:
            _, of_city = country_of_city()
            countries = of_city[self.people.city]
            order = self.rng.permutation(len(self.people))
            for entity in order.tolist():
                self.free.setdefault((int(self.people.kind[entity]), int(countries[entity])), []).append(entity)
        pools = [pool for (of, _), pool in sorted(self.free.items()) if of == kind and pool]
        pool = self.free.get((kind, country), []) if country is not None else []
        if not pool and not pools:
            raise InputError("parties", "more parties for so many evaders", len(self.people))
        entity = (pool or pools[int(self.rng.integers(len(pools)))]).pop()
        self.claimed.add(entity)
        return entity

    def country(self, entity: int) -> int:
        """The country of an entity, as its position in ``country_of_city``."""
        return int(country_of_city()[1][self.people.city[entity]])

    def own(self, owner: int, owned: int, share: float = 1.0, interest: int = SHAREHOLDING, **more: int) -> None:
        """Record an interest, held since the company was there."""
        since = int(self.people.born[owned])
        self.edges.add(
            **({"owner": owner, "owned": owned, "share": share, "interest": interest, "since": since} | more)
        )

    def officer(self, who: int, company: int) -> None:
        """Record an officer."""
        self.own(who, company, np.nan, OFFICER)

    def site_of(self, operator: int, **values: Any) -> int:
        """A site at the operator's own address, or at another one if that is given."""
        people = self.people
        given = {"city": people.city[operator], "street": people.street[operator], "house": people.house[operator]}
        return self.sites.add(**({"operator": operator} | given | values))

    def another_place(self, entity: int) -> dict[str, int]:
        """A street and number of the entity's own country: in the town of somebody there, or else its own."""
        other = int(self.rng.integers(len(self.people)))
        where = other if self.country(other) == self.country(entity) else entity
        people = self.people
        return {
            "city": int(people.city[where]),
            "street": int(people.street[where]),
            "house": int(self.rng.integers(1, 180)),
        }

    def same_address(self, who: int, like: int) -> None:
        """Let an entity have the address of another."""
        for column in ("city", "street", "house"):
            getattr(self.people, column)[who] = getattr(self.people, column)[like]

    def buy(self, holder: int, site: int, chip: int, count: int, day: int, **values: Any) -> int:
        """A lot bought from a distributor, or from whom ``seller`` says."""
        given = {"holder": holder, "site": site, "chip": chip, "count": count, "day": day, "payer": holder}
        if "seller" not in values:
            given["seller"] = int(self.rng.choice(self.distributors))
        return self.lots.add(**(given | values))

    def chip(self, who: str) -> int:
        """A type of chip from the mix of a group."""
        weights = self.goods.weights(who)
        return int(self.rng.choice(len(weights), p=weights / weights.sum()))

    def coin(self) -> bool:
        """Heads or tails."""
        return bool(self.rng.integers(2))

    def day(self, chip: int, least_days: int = 60, most_days: int | None = None) -> int:
        """A day of purchase, so many days before the records end, after the chip came to be sold."""
        p = parameters()
        first = self.as_of - int(most_days if most_days is not None else p["history_days"])
        first = max(first, int(self.goods.released[chip] + p["first_sale_after_release_days"]))
        last = self.as_of - least_days
        return int(self.rng.integers(min(first, last - 1), last))

    def between(self, name: str) -> int:
        """A whole number between the parameters ``NAME_low`` and ``NAME_high``, both included."""
        p = parameters()
        return int(self.rng.integers(int(p[f"{name}_low"]), int(p[f"{name}_high"]) + 1))
