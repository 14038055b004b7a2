"""The register of owners at a date as arrays: entities by number, the ties between them, shares and unknown ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from thresher.screening.engine import Engine
from thresher.screening.ownership import ROUNDING, Flags, Floats, Integers, ends_in, shares_along_paths, walk_up
from thresher.screening.statements import to_entities

ENDS = ("person", "agency")
"""Kinds of party that nobody owns: a chain that comes to one has found its end."""


@dataclass(frozen=True, slots=True)
class Register:
    """The register of a date as arrays: entities by number in the order of their ids, and the ties between them.

    ``entity``: ids; ``end``: persons and agencies; ``told``: something is stated about its owners; ``nominee``: a material
    share of it is held in another's name; ``takes``: it took chips. ``owner, owned, share, stated, unsized``: the ties
    of `thresher.screening.statements.holdings`; ``overtold``: what the stated shares of each entity came to, at least 1.
    """

    entity: pa.Array
    end: Flags
    told: Flags
    nominee: Flags
    takes: Flags
    owner: Integers
    owned: Integers
    share: Floats
    stated: Flags
    unsized: Flags
    overtold: Floats

    @property
    def count(self) -> int:
        """How many entities there are."""
        return len(self.entity)

    def number(self, ids: pa.ChunkedArray) -> Integers:
        """The numbers of some entities' ids."""
        return _places(ids, self.entity)

    def ids(self, numbers: Integers) -> pa.Array:
        """The ids of some entities' numbers."""
        return self.entity.take(pa.array(numbers))


@dataclass(frozen=True, slots=True)
class Stakes:
    """Cumulative shares of owners in companies, sorted by company and owner (`shares_along_paths`)."""

    company: Integers
    owner: Integers
    share: Floats

    def of(self, company: Integers, owner: Integers, count: int) -> Floats:
        """The shares of some pairs, 0 where there is none."""
        if not len(self.share):
            return np.zeros(len(company))
        keys, asked = self.company * count + self.owner, company * count + owner
        place = np.minimum(np.searchsorted(keys, asked), len(keys) - 1)
        return np.where(keys[place] == asked, self.share[place], 0.0)


def read_register(engine: Engine, told: ibis.Table, ties: ibis.Table, choice: Mapping[str, float]) -> Register:
    """Read the entities and their ties into arrays."""
    parties = to_entities(engine, engine.table("parties").select("party", "kind"), entity="party")
    bought, takers = engine.table("purchases_resolved"), engine.table("chip_takers")
    named = (
        (engine.table("identity"), "entity"), (parties, "entity"), (takers, "entity"), (told, "owner"), (told, "owned"),
        (told, "behalf"), (bought, "entity"), (bought, "seller_entity"),
    )  # fmt: skip
    every = ibis.union(*(table.select(entity=table[column]) for table, column in named))
    entity = every.filter(every.entity.notnull()).distinct().to_pyarrow()["entity"].cast(pa.string()).combine_chunks()
    entity = entity.take(pc.sort_indices(entity))
    owning = told.filter(told.interest != "officer")
    for_others = (owning.interest == "nominee") | owning.behalf.notnull()
    material = owning.share.isnull() | (owning.share >= choice["material_share"])

    def among(column: ibis.Column) -> Flags:
        ids = column.name("entity").as_table().distinct().to_pyarrow()["entity"].cast(pa.string())
        return np.asarray(pc.is_in(entity, ids.combine_chunks()))

    found = ties.to_pyarrow()
    owned = _places(found["owned"], entity)
    overtold = np.ones(len(entity))
    np.maximum.at(overtold, owned, found["told"].to_numpy())
    return Register(
        entity=entity,
        end=among(parties.filter(parties.kind.isin(ENDS)).entity),
        told=among(owning.owned),
        nominee=among(owning.filter(for_others & material).owned),
        takes=among(takers.entity),
        owner=_places(found["owner"], entity),
        owned=owned,
        share=found["share"].to_numpy().astype(float),
        stated=found["stated"].to_numpy().astype(bool),
        unsized=found["unsized"].to_numpy().astype(bool),
        overtold=overtold,
    )


def _places(ids: pa.ChunkedArray, entity: pa.Array) -> Integers:
    return np.asarray(pc.index_in(ids.cast(pa.string()).combine_chunks(), entity), dtype=np.int64)


def unknown_ends(register: Register, choice: Mapping[str, float]) -> tuple[Floats, Floats]:
    """The part of each entity of which the filings do not say whose it is, and the part that ends where nothing is filed.

    A company of which somebody is known 40% lacks 60%; a closed circle lacks all; whoever is stated to control it has the rest.
    """
    count, longest = register.count, int(choice["longest_chain"])
    listed = np.bincount(register.owned, register.share, minlength=count)
    gap = np.clip(1 - listed, 0, 1)
    by_statement = np.bincount(register.owned, register.stated, minlength=count)
    to_controller = register.stated * (gap / np.maximum(by_statement, 1))[register.owned]
    gap = np.where((by_statement > 0) | (gap < ROUNDING), 0.0, gap)
    walk = walk_up(
        count,
        register.owner,
        register.owned,
        register.share + to_controller,
        largest_circle=int(choice["largest_circle"]),
    )
    known = ends_in(walk, np.where(register.end, gap, 0.0), longest_chain=longest)
    unfiled = ends_in(walk, np.where(register.told | register.end, 0.0, gap), longest_chain=longest)
    return np.clip(1 - known - unfiled, 0, 1), unfiled


def cumulative_stakes(register: Register, choice: Mapping[str, float]) -> Stakes:
    """The cumulative shares in every company of which a shareholder is known."""
    walk = walk_up(
        register.count, register.owner, register.owned, register.share, largest_circle=int(choice["largest_circle"])
    )
    companies = np.unique(register.owned[register.share > 0])
    found = shares_along_paths(walk, companies, longest_chain=int(choice["longest_chain"])).sorted_indices().tocoo()
    return Stakes(companies[found.row], found.col.astype(np.int64), found.data)
