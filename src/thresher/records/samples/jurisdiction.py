"""Make the jurisdiction: draw the world, follow its chips, write its tables and its truth."""

from __future__ import annotations

import datetime
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from thresher.errors import InputError
from thresher.records.samples import tables as shown
from thresher.records.samples._tables import NONE, Columns, Ints, parameters
from thresher.records.samples.custody import Stays, expand, follow_lots, made_on, number_serials, present
from thresher.records.samples.evaders import add_evaders
from thresher.records.samples.files import FORMATS, clear_folder, move_into, write_table
from thresher.records.samples.goods import goods
from thresher.records.samples.honest import add_makers_and_sellers, add_near_misses
from thresher.records.samples.lexicon import lexicon
from thresher.records.samples.ordinary import add_ordinary_holders, add_ordinary_owners
from thresher.records.samples.population import COMPANY, PERSON, draw_population
from thresher.records.samples.purchases import write_invoices
from thresher.records.samples.returns import declare, line_of_sites, meter, ping
from thresher.records.samples.truth import FILE, Slips, Truth, tell_truth, write_truth
from thresher.records.samples.world import WHOLE, World

MOST_PARTIES = 1_000_000
AS_OF = datetime.date(2026, 6, 30)
_EARLIEST, _LATEST = datetime.date(2026, 1, 1), datetime.date(2099, 1, 1)


@dataclass(frozen=True, slots=True)
class Summary:
    """What was written: the rows of every table, evaders by style, near-misses by kind."""

    folder: str
    seed: int
    as_of: str
    rows: dict[str, int]
    evaders: dict[str, int]
    near_misses: dict[str, int]


def sample_records(
    folder: Path,
    *,
    seed: int = 1,
    parties: int = 2000,
    evaders: int = 5,
    file_format: str = "csv",
    as_of: datetime.date = AS_OF,
    force: bool = False,
) -> Summary:
    """Write a made-up jurisdiction into a folder: the nine tables of records, and ``truth.json``.

    The same arguments give the same bytes. Rows are in proportion to the parties: about 5 chips, 25 events of custody and
    5 purchases a party. The files appear in the folder when all are written.

    Parameters
    ----------
    folder
        Where to; made where it is not there.
    seed
        Of the only generator of random numbers.
    parties
        Rows of the register of parties.
    evaders
        Owners planted who hold more than the line in sites that each stay under it.
    file_format
        ``csv`` or ``parquet``.
    as_of
        The day the records end.
    force
        Write into a folder that holds files; earlier sample records in it are replaced.

    Raises
    ------
    InputError
        A number out of range, too few parties for so many evaders, or a folder that holds files or cannot be written.
    """
    _check(seed, parties, evaders, file_format, as_of)
    try:
        clear_folder(folder, force)
        counts = {}
        world = _draw_world(seed, parties, evaders, as_of)
        with tempfile.TemporaryDirectory(prefix=".sample-records-", dir=folder) as made:
            for name, content in _tables(world, parties):
                if isinstance(content, Truth):
                    content.inputs.update(seed=seed, parties=parties, evaders=evaders, as_of=as_of.isoformat())
                    write_truth(Path(made) / FILE, content)
                else:
                    write_table(Path(made), name, content, file_format)
                    counts[name] = len(content)
            move_into(folder, Path(made))
    except OSError as error:
        raise InputError(str(folder), f"a folder that can be written ({error.strerror or error})") from None
    return Summary(
        str(folder),
        seed,
        as_of.isoformat(),
        counts,
        dict(Counter(one.kind for one in world.evaders)),
        dict(Counter(one.kind for one in world.near_misses)),
    )


def _check(seed: int, parties: int, evaders: int, file_format: str, as_of: datetime.date) -> None:
    p = parameters()
    _whole("seed", seed, 0, 2**63 - 1)
    _whole("parties", parties, int(p["least_parties"]), MOST_PARTIES)
    _whole("evaders", evaders, 0, int(parties / p["least_parties_per_evader"]), f" among {parties:,} parties")
    if file_format not in FORMATS:
        raise InputError("format", f"one of {', '.join(FORMATS)}", file_format)
    if not _EARLIEST <= as_of <= _LATEST:
        raise InputError("as-of", f"a day from {_EARLIEST} to {_LATEST}", str(as_of))


def _whole(name: str, value: int, least: int, most: int, among: str = "") -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise InputError(name, f"a whole number from {least:,} to {most:,}{among}", value)


def _draw_world(seed: int, parties: int, evaders: int, as_of: datetime.date) -> World:
    """The world: its people, then evaders and near-misses one by one, then everybody else at once."""
    rng = np.random.default_rng(seed)
    today = int(np.datetime64(as_of, "D").astype(np.int64))
    seconds = round(parameters()["share_second_entries"] * parties)
    words = lexicon()
    world = World(rng, words, goods(), draw_population(rng, words, parties - seconds, today), today)
    add_makers_and_sellers(world, parties)
    add_near_misses(world, parties)
    add_evaders(world, parties, evaders, seed)
    add_ordinary_holders(world, parties)
    add_ordinary_owners(world)
    return world


def _second_entries(world: World, parties: int) -> Ints:
    """Entities that stand in the register a second time: those an evader wanted, and by oversight any."""
    count = parties - len(world.people)
    wanted = np.array(world.aliases[:count], np.int64)
    kind = world.people.kind
    firms = world.rng.random(count - len(wanted)) < parameters()["share_second_entries_of_companies"]
    more = np.where(
        firms,
        world.rng.choice(np.flatnonzero(kind == COMPANY), len(firms)),
        world.rng.choice(np.flatnonzero(kind == PERSON), len(firms)),
    )
    return np.concatenate([wanted, more])


def _tables(world: World, parties: int) -> Iterator[tuple[str, pa.Table | Truth]]:
    """The tables one by one, so that the memory of one is free before the next; the truth last."""
    lots, sites, edges = world.lots.columns(), world.sites.columns(), world.edges.columns()
    lots["made"] = made_on(world, lots)
    first, own = number_serials(lots)
    mentions = shown.Mentions(world, _second_entries(world, parties), len(world.sites))
    yield "parties", shown.parties_table(world, mentions)
    yield "ownership", shown.ownership_table(world, mentions, edges)
    yield "chips", shown.chips_table(world, lots, first, own)

    events, stays = follow_lots(world, lots)
    told = events._replace(giver=mentions.entries(events.giver), taker=mentions.entries(events.taker))
    custody, slipped = expand(world, lots, told, stays)
    slips = Slips.of_custody(custody, slipped)
    yield "custody", shown.custody_table(mentions, custody)
    del custody, events, told

    site_line = line_of_sites(world, lots, stays, len(world.sites))
    declared = declare(world, lots, stays, sites, site_line)
    yield "declarations", shown.declarations_table(world, mentions, declared)
    power, most_kw = meter(world, lots, stays, sites, site_line)
    yield "power", shown.power_table(mentions, power)
    site_table, latitude, longitude, wrong = shown.sites_table(world, mentions, sites, most_kw)
    yield "sites", site_table
    pings = ping(world, sites, latitude, longitude)
    yield "pings", shown.pings_table(mentions, pings, _answering(world, lots, stays, first, own, pings["site"]))
    invoices = write_invoices(world, lots, parties)
    yield "purchases", shown.purchases_table(world, mentions, invoices)
    slips.late_declarations, slips.estimated_readings = int(declared["late"].sum()), int(power["estimated"].sum())
    slips.wrong_coordinates = wrong
    yield "truth", tell_truth(world, mentions, lots, stays, invoices, slips)


def _answering(world: World, lots: Columns, stays: Stays, first: Ints, own: Ints, site: Ints) -> Ints:
    """For every ping the serial of the chip that answered, or ``NONE`` where the site itself did."""
    here = present(stays, world.as_of - 1) & (own[stays.lot] > 0) & (lots["seen"][stays.lot] == WHOLE)
    chip_at = np.full(len(world.sites), NONE)
    chip_at[stays.site[here]] = first[stays.lot[here]]
    by_chip = world.rng.random(len(site)) < parameters()["share_pings_by_chip"]
    return np.where(by_chip, chip_at[site], NONE)
