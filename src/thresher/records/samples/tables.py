"""The nine tables as Arrow: the made-up world as an agency's registers would show it, with what registers leave out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from thresher.records.samples._tables import NONE, Columns, Flags, Floats, Ints, parameters, rows
from thresher.records.samples.custody import EVENTS, ChipEvents
from thresher.records.samples.lexicon import LATIN, lexicon
from thresher.records.samples.mentions import (
    Variation,
    as_registered,
    draw_variation,
    write_addresses,
    write_ids,
    write_names,
)
from thresher.records.samples.places import coordinates, landmarks
from thresher.records.samples.population import AGENCY, COMPANY, KINDS, PERSON
from thresher.records.samples.purchases import Purchases, amounts
from thresher.records.samples.world import World

INTERESTS = ("shareholding", "control", "officer", "nominee")


class Mentions:
    """Ids of parties and sites, and which of its register entries an entity is mentioned by.

    Register entries 0 to the number of entities less one are the entities' own; those after it are second entries.
    """

    def __init__(self, world: World, seconds: Ints, sites: int) -> None:
        rng = world.rng
        size = len(world.people)
        self.entity = np.concatenate([np.arange(size), np.sort(seconds)])
        self.party_ids = write_ids("P-", rng.permutation(len(self.entity)) + 1, 6)
        self.site_ids = write_ids("S-", rng.permutation(sites) + 1, 6)
        self.entity_ids = write_ids("E-", np.arange(size) + 1, 6)
        self._first = np.searchsorted(self.entity[size:], np.arange(size)) + size
        self._several = np.bincount(seconds, minlength=size)
        self._rng = rng

    def entries(self, entity: Ints) -> Ints:
        """A register entry for every mention of an entity: mostly its own, sometimes a second one; ``NONE`` stays."""
        safe = np.maximum(entity, 0)
        second = (self._rng.random(len(entity)) < parameters()["share_mentions_of_second"]) & (self._several[safe] > 0)
        other = self._first[safe] + (self._rng.random(len(entity)) * self._several[safe]).astype(np.int64)
        return np.where(entity == NONE, NONE, np.where(second, other, entity))

    def parties(self, entries: NDArray[Any]) -> pa.Array:
        """The ids of register entries; null for ``NONE``."""
        return pick(self.party_ids, entries)


def pick(values: pa.Array, number: NDArray[Any]) -> pa.Array:
    """Values by number; null for ``NONE``."""
    return values.take(pa.array(number, mask=number == NONE))


def days(number: NDArray[Any]) -> pa.Array:
    """Dates from days since 1970; null for ``NONE``."""
    return pa.array(number.astype(np.int32), pa.int32(), mask=number == NONE).cast(pa.date32())


def blank(rng: np.random.Generator, values: pa.Array, share: float | Floats | Flags) -> pa.Array:
    """Some cells left blank."""
    return pc.if_else(pa.array(rng.random(len(values)) < share), None, values)


def parties_table(world: World, mentions: Mentions) -> pa.Table:
    """The register: every entity once, some a second time under a name that differs, with cells that are blank."""
    p = parameters()
    rng = world.rng
    everyone = world.people.take(mentions.entity)
    size, second = len(everyone), np.arange(len(everyone)) >= len(world.people)
    moved = second & (rng.random(size) < p["share_second_moved"])
    everyone.house[moved] = rng.integers(1, 180, int(moved.sum()))
    other_line = second & (rng.random(size) < p["share_second_other_phone"])
    everyone.phone[other_line] = rng.integers(1_000_000, 9_999_999, int(other_line.sum()))
    drawn = draw_variation(rng, size, p, p["second_entry_strength"])
    own = as_registered(size)._replace(latin=rng.random(size) < p["share_registered_in_latin"])
    varied = Variation(*(np.where(second, there, here) for there, here in zip(drawn, own, strict=True)))
    kind = pa.array(KINDS).take(pa.array(everyone.kind))
    place = rows("places")
    country = pa.array([one["country"] for one in place]).take(pa.array(everyone.city))
    firm = everyone.kind != PERSON
    missing = np.where(second, p["share_blank_in_second"], p["share_blank"])
    columns = {
        "party": mentions.party_ids,
        "name": write_names(lexicon(), everyone, varied),
        "kind": pc.if_else(pa.array(rng.random(size) < p["share_kind_unknown"]), "unknown", kind),
        "country": blank(rng, country, missing / 3),
        "address": blank(rng, write_addresses(lexicon(), everyone, varied), missing / 2),
        "registration": blank(
            rng,
            _registrations(everyone, second & (rng.random(size) < p["share_second_bare_number"])),
            np.where(everyone.kind == COMPANY, np.where(second, missing, missing / 2), 1.0),
        ),
        "phone": blank(rng, _phones(rng, everyone), missing),
        "email": blank(rng, _emails(world, everyone), missing * 1.5),
        "incorporated_on": blank(
            rng, days(everyone.born), np.where(firm & (everyone.kind != AGENCY), missing / 2, 1.0)
        ),
    }
    return _by(pa.table(columns), "party")


def _registrations(people: Any, bare: Flags) -> pa.Array:
    """Numbers in the register of companies, some ``bare`` of the register's letters."""
    prefix = pc.if_else(
        pa.array(bare), "", pa.array([one["register"] for one in rows("places")]).take(pa.array(people.city))
    )
    return pc.binary_join_element_wise(prefix, pa.array(people.registration).cast(pa.string()), "")


def _phones(rng: np.random.Generator, people: Any) -> pa.Array:
    place = rows("places")
    city = pa.array(people.city)
    code = pa.array([one["phone"] for one in place]).take(city)
    area = pa.array([one["area_code"] for one in place]).take(city)
    digits = pa.array(people.phone).cast(pa.string())
    spaced = pc.binary_join_element_wise(code, area, digits, " ")
    together = pc.binary_join_element_wise(code, area, digits, "")
    return pc.if_else(pa.array(rng.random(len(people.phone)) < parameters()["share_phones_spaced"]), spaced, together)


def _emails(world: World, people: Any) -> pa.Array:
    domain = world.people.take(people.domain)
    words = lexicon()
    person = pa.array(people.kind == PERSON)
    brand = pc.binary_join_element_wise(
        words.spell(domain.stem, LATIN), words.spell(domain.ending, LATIN), words.spell(domain.family, LATIN), ""
    )
    number = pa.array(domain.registration % 9973).cast(pa.string())
    firm = pc.binary_join_element_wise("office@", brand, number, ".example", "")
    own = pc.binary_join_element_wise(
        words.spell(people.given, LATIN), ".", words.spell(people.family, LATIN), number, "@mail.example", ""
    )
    return pc.replace_substring(pc.utf8_lower(pc.if_else(person, own, firm)), " ", "")


def sites_table(
    world: World, mentions: Mentions, sites: Columns, most_kw: Floats
) -> tuple[pa.Table, Floats, Floats, Ints]:
    """The sites, where they truly stand (degrees), and the rows whose stated coordinates are an honest mistake."""
    p = parameters()
    rng = world.rng
    size = len(sites["operator"])
    city_latitude, city_longitude = coordinates()
    latitude = city_latitude[sites["city"]] + rng.normal(0, p["site_spread_degrees"], size)
    longitude = city_longitude[sites["city"]] + rng.normal(0, p["site_spread_degrees"], size)
    wrong = (rng.random(size) < p["share_coordinates_wrong"]) & (sites["actor"] == NONE)
    stated_latitude = np.where(wrong, -latitude, latitude)
    at = world.people.take(sites["operator"])
    at.city, at.street, at.house = sites["city"], sites["street"], sites["house"]
    varied = draw_variation(rng, size, p, p["site_mention_strength"])
    by_name = rng.random(size) < p["share_operators_by_name"]
    operator = mentions.parties(mentions.entries(sites["operator"]))
    contracted = np.ceil(most_kw * rng.uniform(1.1, 1.8, size) / 5.0) * 5.0 + 5.0
    no_place = rng.random(size) < p["share_blank"]
    table = pa.table(
        {
            "site": mentions.site_ids,
            "operator": pc.if_else(pa.array(by_name), write_names(lexicon(), at, varied), operator),
            "address": blank(rng, write_addresses(lexicon(), at, varied), p["share_blank"] / 2),
            "latitude": pa.array(stated_latitude.round(4), mask=no_place),
            "longitude": pa.array(longitude.round(4), mask=no_place),
            "interconnect_gbit_s": pa.array(sites["interconnect"], mask=np.isnan(sites["interconnect"])),
            "power_kw_contracted": blank(rng, pa.array(contracted), p["share_blank"]),
        }
    )
    return _by(table, "site"), latitude, longitude, np.flatnonzero(wrong)


def chips_table(world: World, lots: Columns, first: Ints, own: Ints) -> pa.Table:
    """The register of chips: every serial number once, its type as an id or in words."""
    p = parameters()
    rng = world.rng
    known = np.flatnonzero(lots["seen"] <= 1)
    lot = np.repeat(known, own[known])
    serial = first[lot] + np.arange(len(lot)) - np.repeat(np.cumsum(own[known]) - own[known], own[known])
    order = np.argsort(serial)
    lot, serial = lot[order], serial[order]
    made = lots["made"][lot]
    return pa.table(
        {
            "serial": serial_ids(serial),
            "chip": _labels(world, lots["chip"][lot], rng.random(len(lot)) < p["share_labels_in_words"]),
            "manufactured_on": blank(rng, days(made), p["share_blank"]),
            "batch": blank(rng, write_ids("B-", made // 30 * 100 + lots["chip"][lot], 6), p["share_blank"]),
        }
    )


def serial_ids(serial: Ints) -> pa.Array:
    """Serial numbers as they are written."""
    return write_ids("SN-", serial + 1, 7)


def _labels(world: World, chip: Ints, in_words: Flags) -> pa.Array:
    """A type of chip as the catalog's id, or in the words of an invoice for a single one."""
    goods = world.goods
    text = goods.describe(world.rng, chip, np.ones(len(chip), np.int64))
    whole = goods.text_each[text] == 1
    return pc.if_else(
        pa.array(in_words & whole), goods.texts.take(pa.array(text)), pa.array(goods.ids).take(pa.array(chip))
    )


def custody_table(mentions: Mentions, events: ChipEvents) -> pa.Table:
    """The register of custody, by time."""
    return pa.table(
        {
            "serial": serial_ids(events.serial),
            "event": pa.array(EVENTS).take(pa.array(events.event)),
            "at": pa.array(events.second, pa.int64()).cast(pa.timestamp("s")).cast(pa.timestamp("us")),
            "from_party": mentions.parties(events.giver),
            "to_party": mentions.parties(events.taker),
            "site": pick(mentions.site_ids, events.site),
            "notified_on": days(events.notified),
        }
    )


def ownership_table(world: World, mentions: Mentions, edges: Columns) -> pa.Table:
    """Interests, in no order."""
    rng = world.rng
    order = rng.permutation(len(edges["owner"]))
    edges = {name: column[order] for name, column in edges.items()}
    share = pa.array(edges["share"], mask=np.isnan(edges["share"]))
    return pa.table(
        {
            "owner": mentions.parties(mentions.entries(edges["owner"])),
            "owned": mentions.parties(mentions.entries(edges["owned"])),
            "share": blank(rng, share, parameters()["share_shares_blank"]),
            "interest": pa.array(INTERESTS).take(pa.array(edges["interest"])),
            "from": blank(rng, days(edges["since"]), parameters()["share_blank"]),
            "to": days(edges["until"]),
            "on_behalf_of": mentions.parties(edges["behalf"]),
        }
    )


def purchases_table(world: World, mentions: Mentions, invoices: Purchases) -> pa.Table:
    """Invoices by date; buyers in free words."""
    p = parameters()
    rng = world.rng
    size = len(invoices)
    buyer = world.people.take(invoices.buyer)
    varied = draw_variation(rng, size, p, invoices.strength)
    place = rows("places")
    country = pa.array([one["country"] for one in place]).take(pa.array(buyer.city))
    sum_paid, currencies, currency = amounts(world, invoices)
    seller = mentions.parties(mentions.entries(invoices.seller))
    named = rng.random(size) < p["share_sellers_by_name"]
    seller_name = write_names(lexicon(), world.people.take(invoices.seller), as_registered(size))
    account = world.people.take(invoices.payer)
    bank = pc.binary_join_element_wise(
        pa.array([one["country"] for one in place]).take(pa.array(account.city)),
        pa.array(10 + account.registration % 89).cast(pa.string()),
        pa.array(10_000_000 + account.registration * 13).cast(pa.string()),
        "",
    )
    return pa.table(
        {
            "id": write_ids("INV-", np.arange(size) + 1, 7),
            "date": days(invoices.day),
            "buyer_name": blank(rng, write_names(lexicon(), buyer, varied), p["share_buyers_blank"]),
            "buyer_address": blank(rng, write_addresses(lexicon(), buyer, varied), p["share_buyer_addresses_blank"]),
            "buyer_country": blank(rng, country, p["share_buyer_countries_blank"]),
            "seller": pc.if_else(pa.array(named), seller_name, seller),
            "description": world.goods.texts.take(pa.array(invoices.text)),
            "quantity": blank(rng, pa.array(invoices.pieces), p["share_quantities_blank"]),
            "amount": blank(rng, pa.array(sum_paid), p["share_amounts_blank"]),
            "currency": pa.array(currencies).take(pa.array(currency)),
            "payer": blank(rng, bank, p["share_payers_blank"]),
        }
    )


def declarations_table(world: World, mentions: Mentions, declared: Columns) -> pa.Table:
    """Declarations by day."""
    rng = world.rng
    order = np.argsort(declared["day"], kind="stable")
    one = {name: column[order] for name, column in declared.items()}
    in_words = rng.random(len(order)) < parameters()["share_labels_in_words"]
    return pa.table(
        {
            "party": mentions.parties(mentions.entries(one["party"])),
            "site": pick(mentions.site_ids, one["site"]),
            "chip": _labels(world, one["chip"], in_words),
            "count": blank(rng, pa.array(one["count"]), parameters()["share_counts_blank"]),
            "declared_on": days(one["day"]),
        }
    )


def power_table(mentions: Mentions, power: Columns) -> pa.Table:
    """Readings by month."""
    first = pa.array(power["month"].astype("datetime64[M]").astype("datetime64[D]"))
    return pa.table(
        {
            "site": pick(mentions.site_ids, power["site"]),
            "month": pc.strftime(first.cast(pa.timestamp("s")), "%Y-%m"),
            "kwh": pa.array(power["kwh"]),
        }
    )


def pings_table(mentions: Mentions, pings: Columns, serial: Ints) -> pa.Table:
    """Pings by time; ``serial`` is the chip that answered, or ``NONE`` where the site did."""
    names, city = landmarks()
    latitude, longitude = coordinates()
    landmark = pa.array(pings["landmark"])
    by_chip = serial != NONE
    return pa.table(
        {
            "serial": pc.if_else(pa.array(by_chip), serial_ids(np.maximum(serial, 0)), None),
            "site": pc.if_else(pa.array(by_chip), None, pick(mentions.site_ids, pings["site"])),
            "landmark": pa.array(names).take(landmark),
            "latitude": pa.array(latitude[city]).take(landmark),
            "longitude": pa.array(longitude[city]).take(landmark),
            "rtt_ms": pa.array(pings["rtt_ms"]),
            "at": pa.array(pings["second"]).cast(pa.timestamp("s")).cast(pa.timestamp("us")),
        }
    )


def _by(table: pa.Table, column: str) -> pa.Table:
    return table.sort_by(column)
