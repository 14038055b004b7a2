"""The plans an adversary has to choose from once it may be detected: cheap ones, but also short, small and few, in every draw."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from typing import Any

import numpy as np

from thresher.countermeasures.parameters import document
from thresher.evasion.best_response import Arena
from thresher.evasion.evaluation import Choices, Evaluated, Goal
from thresher.evasion.footprint import OUTCOMES, Footprint, footprint
from thresher.evasion.search import best_on_grid, refine
from thresher.evasion.space import NUMBER_FORMATS, Hardware, Setting, columns_of, in_worlds, lines_of
from thresher.simulation import default
from thresher.simulation.draws import Worlds, of_rows


@cache
def settings() -> Mapping[str, Any]:
    """The numerical settings of the game, from ``data/game.yaml``."""
    found: Mapping[str, Any] = document("game.yaml")
    return found


@dataclass(frozen=True, slots=True)
class Pool:
    """Plans side by side: what each is, its footprint in every draw, and what it reaches there.

    ``footprint`` has fields of shape (plans, draws); ``flop_quality`` too; ``line_chips`` (plans,) is the fewest chips at one
    site that the rule would cover.
    """

    modes: tuple[str, ...]
    hardware: tuple[Hardware, ...]
    nodes: np.ndarray
    footprint: Footprint
    flop_quality: np.ndarray
    line_chips: np.ndarray

    def __len__(self) -> int:
        return len(self.modes)

    def take(self, rows: np.ndarray) -> Pool:
        """Some of the plans."""
        return Pool(
            tuple(self.modes[at] for at in rows),
            tuple(self.hardware[at] for at in rows),
            self.nodes[rows],
            Footprint(*(getattr(self.footprint, item.name)[rows] for item in fields(Footprint))),
            self.flop_quality[rows],
            self.line_chips[rows],
        )

    def describe(self, at: int) -> str:
        """One plan in a line."""
        item, days = self.hardware[at], float(np.median(self.footprint.duration_days[at]))
        return (
            f"{self.nodes[at]:,.0f} nodes of {item.chips_per_node} {item.chip.chip}, {item.precision}, {self.modes[at]},"
            f" {days:,.0f} days"
        )


def pool_of(grids: Sequence[Evaluated], target: float, worlds: Worlds, parameters: Mapping[str, float]) -> Pool | None:
    """The plans worth considering to reach a capability, in every draw; None where none reaches it anywhere.

    The cheapest of every mode, format, length of run, size and number of nodes on the grid, and those that the search at central
    values refines; then those that no other beats at everything that matters.

    Parameters
    ----------
    grids
        The adversary's grids at central values, by mode (``Arena.unseen``; ``(Arena.declared,)`` where no line bounds a site).
    target
        Quality-adjusted FLOP to reach.
    worlds
        Draws of the world.
    parameters
        Central values, for the refined plans.
    """
    some = np.unique(np.linspace(0, len(worlds) - 1, min(settings()["pool_draws"], len(worlds))).astype(int))
    candidates = [part for grid in grids for part in _candidates(grid, target, parameters)]
    scouted = joined([_in_worlds(setting, choices, worlds, some) for setting, choices in candidates])
    if scouted is None:
        return None
    kept = _unbeaten(scouted, np.mean(scouted.flop_quality >= target, axis=1))
    parts, start = [], 0
    for setting, choices in candidates:
        mine = kept[(kept >= start) & (kept < start + len(choices["nodes"]))] - start
        start += len(choices["nodes"])
        if len(mine):
            chosen = {name: values[mine] for name, values in choices.items()}
            parts.append(_in_worlds(setting, chosen, worlds, np.arange(len(worlds))))
    return joined(parts)


def _candidates(grid: Evaluated, target: float, parameters: Mapping[str, float]) -> Iterator[tuple[Setting, Choices]]:
    """Plans of one grid as columns of choices: the cheapest of each kind, and the refined."""
    rows, counts = _cheapest(grid, target)
    if len(rows):
        yield (
            grid.setting,
            {name: values[rows] for name, values in grid.choices.items()} | {"nodes": grid.counts[counts]},
        )
    goal = Goal(target_flop_quality=target)
    refined = refine(best_on_grid(grid, goal, settings()["refined"]), goal, parameters)
    if refined:
        own = {name: np.asarray([best.choices[name] for best in refined]) for name in refined[0].choices}
        yield grid.setting, own | {"hardware": own["hardware"].astype(int)}


def _cheapest(grid: Evaluated, target: float) -> tuple[np.ndarray, np.ndarray]:
    """Rows and node counts of a grid: the cheapest of each format, length of run, size of node and number of nodes that
    reaches so many times the target at central values, for the fewest such numbers: those that aim higher are surer."""
    quality, cost = grid.values["flop_quality"], grid.values["cost_usd"]
    hardware = grid.choices["hardware"]
    sizes = np.asarray([item.chips_per_node for item in grid.setting.hardware], dtype=float)[hardware]
    formats = np.asarray([NUMBER_FORMATS.index(item.precision) for item in grid.setting.hardware], dtype=float)[
        hardware
    ]
    kinds, kind = np.unique(np.stack([grid.choices["duration_days"], sizes, formats]), axis=1, return_inverse=True)
    found: list[tuple[int, int]] = []
    for which in range(kinds.shape[1]):
        rows = np.flatnonzero(kind == which)
        for margin in settings()["pool_margins"]:
            reached = np.where(quality[rows] >= margin * target, cost[rows], np.inf)
            best, at = reached.min(axis=0), rows[np.argmin(reached, axis=0)]
            able = np.flatnonzero(np.isfinite(best))[: settings()["pool_counts"]]
            found += [(int(at[count]), int(count)) for count in able]
    pairs = np.unique(np.asarray(found, dtype=int).reshape(-1, 2), axis=0)
    return pairs[:, 0], pairs[:, 1]


def _in_worlds(setting: Setting, choices: Choices, worlds: Worlds, draws: np.ndarray) -> Pool:
    """Plans of one setting, each in every one of some draws."""
    p = worlds.parameters
    keep, hardware = np.unique(choices["hardware"], return_inverse=True)
    here = in_worlds(setting, keep, p)
    shape = (len(choices["nodes"]), len(draws))
    plan, draw = (index.ravel() for index in np.broadcast_arrays(np.arange(shape[0])[:, None], draws))
    crossed = {name: values[plan] for name, values in choices.items()} | {"hardware": hardware[plan], "draw": draw}
    columns, parameters = columns_of(here, crossed), of_rows(p, draw)
    with np.errstate(all="ignore"):
        out = default.simulate(columns, parameters, mode=here.mode, wanted=(*OUTCOMES, "flop_quality", "feasible"))
    left = footprint(
        out, chips_per_node=columns["chips_per_node"], nodes=columns["nodes"], parameters=parameters,
        one_site=here.mode == "datacenter",
    )  # fmt: skip
    shaped = Footprint(*(_filled(np.reshape(getattr(left, item.name), shape)) for item in fields(Footprint)))
    items = tuple(here.hardware[at] for at in hardware)
    lines = lines_of(here)[hardware]
    quality = np.where(out["feasible"] > 0, out["flop_quality"], 0.0).reshape(shape)
    return Pool((here.mode,) * shape[0], items, choices["nodes"], shaped, quality, lines)


def _filled(values: np.ndarray) -> np.ndarray:
    """Where a plan cannot run, the median of the draws in which it can: it succeeds in none of the others."""
    known = np.isfinite(values)
    some = np.where(known.any(axis=1, keepdims=True), np.where(known, values, np.nan), 1.0)
    return np.where(known, values, np.nanmedian(some, axis=1, keepdims=True))


def joined(parts: Sequence[Pool]) -> Pool | None:
    """Pools as one; None where there are none."""
    if not parts:
        return None
    return Pool(
        tuple(mode for part in parts for mode in part.modes),
        tuple(item for part in parts for item in part.hardware),
        np.concatenate([part.nodes for part in parts]),
        Footprint(
            *(np.concatenate([getattr(part.footprint, item.name) for part in parts]) for item in fields(Footprint))
        ),
        np.concatenate([part.flop_quality for part in parts]),
        np.concatenate([part.line_chips for part in parts]),
    )


def _unbeaten(pool: Pool, chance: np.ndarray) -> np.ndarray:
    """Plans that no other beats at everything that matters: dollars, sites, chips, people, days, power, and the chance to
    reach the target. Where there are many, those that are among the first for their chance, for dollars a chance, or for few
    sites."""
    f = pool.footprint
    worse = [f.cost_usd, f.sites, f.chips, f.people, f.duration_days, f.power_kw_per_site]
    table = np.stack([*(np.median(values, axis=1) for values in worse), -chance], axis=1)
    no_worse = np.all(table[:, None] <= table, axis=2)  # the first beats or equals the second at everything
    beaten = np.any(no_worse & np.any(table[:, None] < table, axis=2), axis=0)
    left = np.flatnonzero(~beaten & (chance > 0.0))
    virtues = (-chance[left], table[left, 0] / chance[left], table[left, 1] / chance[left])
    rank = np.min([np.argsort(np.argsort(one, kind="stable"), kind="stable") for one in virtues], axis=0)
    return np.sort(left[np.argsort(rank, kind="stable")][: settings()["pool_plans"]])


def unseen_pool(arena: Arena, target: float, worlds: Worlds) -> Pool | None:
    """The plans below the lines of the regime."""
    return pool_of(arena.unseen, target, worlds, arena.parameters)


def unbounded_pool(arena: Arena, target: float, worlds: Worlds) -> Pool | None:
    """One ordinary site, where no rule bounds it."""
    return pool_of([arena.declared], target, worlds, arena.parameters)
