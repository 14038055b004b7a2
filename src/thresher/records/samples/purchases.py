"""Invoices: lots, sellers' own purchases, cards for desks, other goods; in free words, at noisy prices, in any currency."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from thresher.records.samples._tables import NONE, Columns, Flags, Floats, Ints, draw, group, parameters, rows
from thresher.records.samples.custody import wholesale_day
from thresher.records.samples.world import RESALE, World


@dataclass(frozen=True, slots=True)
class Purchases:
    """One row is one invoice; ``chips`` is the true number of chips, 0 for other goods; ``pieces`` may be unknown (0)."""

    day: Ints
    buyer: Ints
    seller: Ints
    chip: Ints
    chips: Ints
    text: Ints
    pieces: Ints
    payer: Ints
    strength: Floats
    unit_usd: Floats
    structured: Flags
    lot: Ints

    def __len__(self) -> int:
        return len(self.day)

    def take(self, which: NDArray[np.generic]) -> Purchases:
        """Some rows, in this order."""
        return Purchases(*(getattr(self, one.name)[which] for one in fields(self)))


def write_invoices(world: World, lots: Columns, parties: int) -> Purchases:
    """All purchases, by date, about as many as the parameters say a party makes."""
    parts = [_of_lots(world, lots), _of_resales(world, lots), *_of_sellers(world, lots)]
    wanted = int(parameters()["purchases_per_party"] * parties) - sum(len(one) for one in parts)
    if wanted > 0:
        parts += _of_everybody(world, wanted)
    together = Purchases(*(np.concatenate([getattr(part, one.name) for part in parts]) for one in fields(Purchases)))
    return together.take(np.argsort(together.day, kind="stable"))


def _invoice(
    world: World, day: Ints, buyer: Ints, seller: Ints, chip: Ints, count: Ints, *, payer: Ints | None = None,
    strength: Floats | float = 1.0, markup: Floats | float = 1.0, structured: Flags | bool = False, lot: Ints | int = NONE,
) -> Purchases:  # fmt: skip
    """Invoices for chips: words whose pieces divide the count, at the catalog's price."""
    goods = world.goods
    text = goods.describe(world.rng, chip, count)
    each = np.maximum(goods.text_each[text], 1)
    size = len(day)
    return Purchases(
        day, buyer, seller, chip, count, text, count // each, buyer if payer is None else payer,
        np.broadcast_to(strength, size), goods.price_usd[chip] * each * markup, np.broadcast_to(structured, size),
        np.broadcast_to(lot, size),
    )  # fmt: skip


def _of_lots(world: World, lots: Columns) -> Purchases:
    at = np.flatnonzero(lots["bought"])
    one = {name: column[at] for name, column in lots.items()}
    return _invoice(
        world, one["day"], one["holder"], one["seller"], one["chip"], one["count"], payer=one["payer"],
        strength=one["strength"], markup=one["markup"], structured=one["structured"], lot=at,
    )  # fmt: skip


def _of_resales(world: World, lots: Columns) -> Purchases:
    """What is sold on is bought by the next holder; small holders sell a lot once."""
    moves = world.moves.columns()
    at = np.flatnonzero((moves["kind"] == RESALE) & (moves["day"] < world.as_of))
    lot = moves["lot"][at]
    return _invoice(
        world, moves["day"][at] + 1, moves["holder"][at], lots["holder"][lot], lots["chip"][lot], lots["count"][lot]
    )


def _of_sellers(world: World, lots: Columns) -> list[Purchases]:
    """What sellers bought from makers, and resellers from distributors: a month's sales of a type at a time."""
    makers = np.array([world.makers[name] for name in world.goods.makers])[lots["chip"]]
    bought = (lots["seller"] != makers) & (lots["clone_of"] == NONE)
    first = np.where(lots["via"] >= 0, lots["via"], lots["seller"])
    day = wholesale_day(lots["day"])
    hops = [(bought, first, makers, day), (bought & (lots["via"] >= 0), lots["seller"], first, day + 7)]
    found = []
    for mask, buyer, seller, when in hops:
        (who, of, chip, on), member = group(buyer[mask], seller[mask], lots["chip"][mask], when[mask])
        count = np.bincount(member, lots["count"][mask], len(who)).astype(np.int64)
        found.append(_invoice(world, on, who, of, chip, count))
    return found


def _of_everybody(world: World, size: int) -> list[Purchases]:
    """Cards for desks, which no register follows, and goods that are not chips."""
    p = parameters()
    rng, goods = world.rng, world.goods
    desks = int(size * p["share_filler_desks"])
    first = world.as_of - int(p["history_days"])
    distributors = np.array(world.distributors + world.resellers)

    def who(count: int) -> tuple[Ints, Ints, Ints]:
        # a few buy often
        taste = rng.permutation(len(world.people))[(len(world.people) * rng.random(count) ** 2).astype(np.int64)]
        return rng.integers(first, world.as_of, count), taste, distributors[rng.integers(0, len(distributors), count)]

    chip = draw(rng, goods.weights("desks"), desks)
    cards = _invoice(
        world, *who(desks), chip, np.minimum(rng.geometric(1 / p["desk_cards_mean"], desks), int(p["desk_cards_most"]))
    )
    other = np.flatnonzero(goods.text_chip == NONE)
    text = other[rng.integers(0, len(other), size - desks)]
    pieces = rng.geometric(1 / p["other_pieces_mean"], size - desks)
    nothing = np.zeros(size - desks, np.int64)
    day, buyer, seller = who(size - desks)
    return [
        cards,
        Purchases(
            day, buyer, seller, nothing + NONE, nothing, text, pieces, buyer, np.ones(size - desks),
            goods.text_price_usd[text], nothing > 0, nothing + NONE,
        ),
    ]  # fmt: skip


def amounts(world: World, invoices: Purchases) -> tuple[Floats, list[str], Ints]:
    """Sums paid in the buyer's or another currency: the sum, the currencies, and which one each is in."""
    p = parameters()
    rng = world.rng
    currencies = sorted({row["currency"] for row in rows("places")})
    home = np.array([currencies.index(row["currency"]) for row in rows("places")])[world.people.city[invoices.buyer]]
    in_dollars = rng.random(len(invoices)) < p["share_paid_in_dollars"]
    currency = np.where(in_dollars, currencies.index("USD"), home)
    per_dollar = np.array([p[f"{one.lower()}_per_usd"] for one in currencies])[currency]
    noise = rng.lognormal(0.0, p["price_sigma"], len(invoices))
    odd = rng.random(len(invoices)) < p["share_odd_prices"]
    noise = np.where(odd, noise * rng.choice([0.5, 2.0], len(invoices)), noise)
    return np.round(invoices.unit_usd * invoices.pieces * noise * per_dollar, 2), currencies, currency
