"""Planted evaders: owners of more than the line allows, in sites that each stay under it, in the styles of ``sample_styles.csv``.

They exist to measure a search against a known truth. What they do is what published cases of sanctions and tax evasion
show of shells, nominees and structuring, at the coarseness of a register; nothing here is a plan.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from thresher.records.samples._tables import NONE, parameters, rows
from thresher.records.samples.places import distances_km
from thresher.records.samples.population import COMPANY, PERSON
from thresher.records.samples.world import (
    CONTROL,
    MOVE,
    NOMINEE,
    REBORN,
    SALE_UNREPORTED,
    SHAREHOLDING,
    UNKNOWN_TO_REGISTER,
    WHOLE,
    Actor,
    World,
)

JUST_UNDER_HALF = 0.499
JUST_UNDER_A_QUARTER = 0.249


@dataclass(slots=True)
class Plot:
    """One evader while it is being planted: its style, its shells, and the lots of every site."""

    world: World
    style: Mapping[str, str]
    actor: Actor
    shells: list[int]
    lots: list[list[int]]

    def has(self, sign: str) -> bool:
        """Whether a sign shows this time."""
        return bool(self.world.rng.random() < float(self.style[sign]))

    def record(self, owner: int, owned: int, share: float, interest: int = SHAREHOLDING, behalf: int = NONE) -> None:
        """An interest that the register shows with the style's probability."""
        if self.has("recorded"):
            self.world.own(owner, owned, share, interest, behalf=behalf)
        elif owned not in self.actor.unrecorded:
            self.actor.unrecorded.append(owned)

    def company(self, abroad: bool = False) -> int:
        """One more company of the evader."""
        entity = self.world.claim(COMPANY, None if abroad else self.world.country(self.actor.owner))
        self.actor.entities.append(entity)
        return entity

    def helper(self) -> int:
        """A person who lends the evader a name."""
        entity = self.world.claim(PERSON, self.world.country(self.actor.owner))
        self.actor.helpers.append(entity)
        return entity

    def share(self, what: str, company: int) -> None:
        """Note that a company shares something with the others."""
        self.actor.shared.setdefault(what, []).append(company)


def add_evaders(world: World, parties: int, evaders: int, seed: int) -> None:
    """Plant evaders, the styles in turn; which style comes first depends on the seed, so that ten seeds show all."""
    styles = rows("styles")
    for number in range(evaders):
        style = styles[(seed * evaders + number) % len(styles)]
        owner = world.claim(PERSON)
        plot = Plot(world, style, Actor(style["style"], owner, [owner]), [], [])
        nodes = _nodes(world, parties)
        chip, days = _calendar(plot, nodes)
        _found_shells(plot, days)
        front = STRUCTURES[style["structure"]](plot)
        _tie(plot)
        _equip(plot, chip, days, front)
        _rotate(plot)
        _destroy_on_paper(plot)
        _clone(plot)
        world.evaders.append(plot.actor)


def _nodes(world: World, parties: int) -> int:
    """How many sites: few in a small jurisdiction, so that chips stay in proportion."""
    p = parameters()
    growth = np.clip(np.log10(parties / 2000) / 2, 0, 1)
    least = p["evader_sites_least_small"] + growth * (p["evader_sites_least_large"] - p["evader_sites_least_small"])
    most = p["evader_sites_most_small"] + growth * (p["evader_sites_most_large"] - p["evader_sites_most_small"])
    return int(world.rng.integers(round(least), round(most) + 1))


def _calendar(plot: Plot, nodes: int) -> tuple[int, list[int]]:
    """The type of chip, and the day of the first purchase for every site."""
    p = parameters()
    world = plot.world
    chip = world.goods.ids.index(plot.style["chip"]) if plot.style["chip"] else world.chip("evaders")
    start = world.day(chip, int(p["evader_last_start_days"]), int(p["evader_first_start_days"]))
    gap = min(p["evader_days_between_sites"], (world.as_of - int(p["evader_settled_days"]) - start) / nodes)
    return chip, [int(start + node * gap + world.rng.integers(0, max(1, int(gap)))) for node in range(nodes)]


def _found_shells(plot: Plot, days: list[int]) -> None:
    """Companies that will hold the chips, one or two sites each, founded some weeks or months before their first purchase."""
    p = parameters()
    rng = plot.world.rng
    several = plot.style["structure"] != "alias"
    count = int(np.ceil(len(days) / rng.uniform(1.0, p["sites_per_shell_most"]))) if several else 1
    for number in range(count):
        shell = plot.company()
        plot.world.people.born[shell] = days[number] - rng.integers(30, int(p["shell_age_at_first_purchase_days"]))
        plot.shells.append(shell)


def _chain(plot: Plot) -> int:
    """The owner, one or two holdings, and shells wholly owned by the last."""
    rng = plot.world.rng
    above = plot.actor.owner
    for _ in range(int(rng.integers(1, 3))):
        holding = plot.company(abroad=plot.world.coin())
        plot.record(above, holding, 1.0)
        above = holding
    for shell in plot.shells:
        plot.record(above, shell, 1.0)
    return NONE


def _nominee(plot: Plot) -> int:
    """Shells held in name by a few persons; the register sometimes says for whom."""
    nominees = [plot.helper() for _ in range(max(1, len(plot.shells) // 3))]
    for number, shell in enumerate(plot.shells):
        known = plot.world.rng.random() < parameters()["share_nominators_known"]
        plot.record(nominees[number % len(nominees)], shell, 1.0, NOMINEE, behalf=plot.actor.owner if known else NONE)
    return NONE


def _split(plot: Plot) -> int:
    """Shares under a quarter, or two of just under half, among relatives at one address."""
    world = plot.world
    relatives = [plot.helper() for _ in range(world.between("relatives"))]
    for one in relatives:
        world.people.family[one] = world.people.family[plot.actor.owner]
        if world.rng.random() < parameters()["share_relatives_at_home"]:
            world.same_address(one, plot.actor.owner)
    holders = [plot.actor.owner, *relatives]
    for shell in plot.shells:
        if world.coin():
            shares = [(int(one), JUST_UNDER_HALF) for one in world.rng.choice(holders, 2, replace=False)]
        else:
            shares = [(one, round(min(JUST_UNDER_A_QUARTER, 1 / len(holders)), 3)) for one in holders]
        for one, share in shares:
            plot.record(one, shell, share)
    return NONE


def _circular(plot: Plot) -> int:
    """Holdings that own each other in a circle; the owner controls one of them."""
    p = parameters()
    circle = [plot.company(abroad=True) for _ in range(3)]
    for above, below in zip(circle, circle[1:] + circle[:1], strict=True):
        plot.record(above, below, p["circle_share"])
    plot.record(plot.actor.owner, circle[0], round(1 - p["circle_share"], 3), CONTROL)
    for number, shell in enumerate(plot.shells):
        plot.record(circle[number % 3], shell, 1.0)
    return NONE


def _front(plot: Plot) -> int:
    """A reseller of its own sells to the shells."""
    front = plot.company()
    for company in (front, *plot.shells):
        plot.record(plot.actor.owner, company, 1.0)
    return front


def _alias(plot: Plot) -> int:
    """One company under many spellings, some of them in the register a second time."""
    plot.record(plot.actor.owner, plot.shells[0], 1.0)
    plot.world.aliases += plot.shells * plot.world.between("evader_aliases")
    return NONE


def _unknown(plot: Plot) -> int:
    """No interest is recorded at all."""
    plot.actor.unrecorded += plot.shells
    return NONE


STRUCTURES: dict[str, Callable[[Plot], int]] = {
    "chain": _chain,
    "nominee": _nominee,
    "split": _split,
    "circular": _circular,
    "front": _front,
    "alias": _alias,
    "unknown": _unknown,
}
"""What stands between the owner and the shells; each gives the reseller of its own that sells to them, or ``NONE``."""


def _tie(plot: Plot) -> None:
    """What shells share: a telephone, an address, an officer."""
    world, first = plot.world, plot.shells[0]
    clerk = plot.helper()
    for shell in plot.shells:
        if plot.has("shared"):
            world.people.phone[shell] = world.people.phone[first]
            plot.share("phone", shell)
        if plot.has("shared") and world.rng.random() < parameters()["share_shells_at_one_address"]:
            world.same_address(shell, first)
            plot.share("address", shell)
        if plot.has("shared"):
            world.officer(clerk, shell)
            plot.share("officer", shell)
        else:
            world.officer(plot.helper(), shell)


def _equip(plot: Plot, chip: int, days: list[int], front: int) -> None:
    """Bring every site to just under the line, at once or in a few purchases."""
    p = parameters()
    world, shells, owner = plot.world, plot.shells, plot.actor.owner
    rng = world.rng
    most = world.goods.most_under_the_line(chip)
    for node, day in enumerate(days):
        shell = shells[node % len(shells)]
        site = _site(plot, shell)
        count = most - int(rng.integers(0, 1 + max(2, most // 20)))
        structured = plot.has("structured")
        parts = [count] if structured else _in_parts(world, count)
        pays = plot.has("shared")
        if pays:
            plot.share("payer", shell)
        values = {
            "strength": p["evader_mention_strength"] if plot.has("aliases") else 1.0,
            "payer": shell if not pays else owner if front == NONE else front,
            "noticed": float(plot.style["notice"]),
            "seen": _seen(plot),
            "structured": structured,
            "markup": float(plot.style["markup"]),
            "actor": len(world.evaders),
        }
        if front != NONE:
            values |= {"seller": front, "via": int(rng.choice(world.distributors))}
        later = np.cumsum(rng.integers(1, 15, len(parts)))
        plot.lots.append([
            world.buy(shell, site, chip, part, day + int(wait), **values) for part, wait in zip(parts, later, strict=True)
        ])  # fmt: skip


def _site(plot: Plot, shell: int) -> int:
    """A site of a shell in its country, at an address of its own."""
    p = parameters()
    world = plot.world
    rng = world.rng
    place = world.another_place(shell)
    stands_in = _far_city(world, place["city"]) if plot.has("wrong_place") else NONE
    dim = plot.has("dim_meter")
    site = world.site_of(
        shell,
        **place,
        stands_in=stands_in,
        pinged=1 if stands_in != NONE else -1,
        interconnect=float(rng.choice([np.nan, 1.0, 10.0, 10.0])),
        metered=1 if dim else -1,
        meter_scale=rng.uniform(p["dim_meter_low"], p["dim_meter_high"]) if dim else 1.0,
        declares=int(plot.has("declared")),
        declared_share=float(rng.choice([0.25, 0.5, 1.0])),
        actor=len(world.evaders),
    )
    plot.actor.sites.append(site)
    return site


def _far_city(world: World, city: int) -> int:
    """A city far enough away that a ping can tell."""
    far = np.flatnonzero(distances_km()[city] > parameters()["wrong_place_at_least_km"])
    return int(world.rng.choice(far))


def _in_parts(world: World, count: int) -> list[int]:
    """A site's chips in two to four purchases."""
    parts = np.bincount(world.rng.integers(0, int(world.rng.integers(2, 5)), count))
    return [int(part) for part in parts if part]


def _seen(plot: Plot) -> int:
    if not plot.has("unseen"):
        return WHOLE
    return SALE_UNREPORTED if plot.world.coin() else UNKNOWN_TO_REGISTER


def _rotate(plot: Plot) -> None:
    """Some sites pass all their chips on to the next, all on one day, so that none is ever over the line."""
    p = parameters()
    world = plot.world
    turning = [node for node in range(len(plot.lots)) if plot.has("rotation")]
    turns = world.between("evader_turns") if len(turning) > 1 else 0
    for turn in range(1, turns + 1):
        back = p["last_turn_days"] + (turns - turn) * p["days_between_turns"] + world.rng.integers(0, 15)
        for position, node in enumerate(turning):
            target = world.lots.row(plot.lots[turning[(position + turn) % len(turning)]][0])
            for lot in plot.lots[node]:
                world.moves.add(
                    lot=lot, day=world.as_of - int(back), holder=target["holder"], site=target["site"], kind=MOVE
                )


def _destroy_on_paper(plot: Plot) -> None:
    """Some sites report their chips destroyed; the same serial numbers are installed at a new site months later."""
    world = plot.world
    for here in list(plot.lots):
        lots = [world.lots.row(lot) for lot in here]
        day = max(one["day"] for one in lots) + int(world.rng.integers(40, 80))
        if plot.has("reborn") and day < world.as_of - parameters()["last_turn_days"]:
            site = _site(plot, lots[0]["holder"])
            for lot in here:
                world.moves.add(lot=lot, day=day, holder=lots[0]["holder"], site=site, kind=REBORN)


def _clone(plot: Plot) -> None:
    """Some lots carry the serial numbers of a lot of the same owner at another site, which no other lot copies."""
    world = plot.world
    originals: list[int] = []
    for here in plot.lots:
        seen = [lot for lot in here if world.lots.row(lot)["seen"] == WHOLE]
        copies = []
        for lot in seen:
            count = world.lots.row(lot)["count"]
            enough = [one for one in originals if world.lots.row(one)["count"] >= count]
            if enough and plot.has("clone"):
                world.lots.row(lot)["clone_of"] = enough[0]
                originals.remove(enough[0])
                copies.append(lot)
        originals += [lot for lot in seen if lot not in copies]
