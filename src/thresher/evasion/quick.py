"""The adversary's best response answered quickly: coarse grids, the quick search, and open datacentres kept between calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from thresher.catalog import Chip, NetworkProfile
from thresher.evasion.best_response import (
    AdversaryPlan,
    Arena,
    Reply,
    describe,
    known_chips,
    open_site,
    prepare,
    replies_of,
)
from thresher.evasion.evaluation import Evaluated, Goal, evaluate_grid
from thresher.evasion.quick_search import effort, search_quickly
from thresher.evasion.search import Best
from thresher.evasion.space import DISTRIBUTED_MODES, NUMBER_FORMATS, settings
from thresher.evasion.worlds import Progress, silent
from thresher.regime import Regime
from thresher.simulation import default

KEPT = 64
"""Open datacentres that are kept, and their answers: they do not depend on the rule."""


@dataclass(frozen=True, slots=True)
class OpenSite:
    """All that an openly declared datacentre depends on; the rule is not among it."""

    network: NetworkProfile
    chips: tuple[Chip, ...]
    precisions: tuple[str, ...]
    longest_days: float
    node_limit: float


def site_of(arena: Arena) -> OpenSite:
    """The open datacentre of an arena."""
    return OpenSite(arena.network, arena.chips, arena.precisions, arena.longest_days, arena.node_limit)


@lru_cache(maxsize=KEPT)
def open_grid(site: OpenSite) -> Evaluated:
    """The coarse grid of an open datacentre at central values; the last few are kept."""
    p = default.parameters()
    setting = open_site(
        site.network, site.chips, site.precisions, longest_days=site.longest_days, node_limit=site.node_limit, parameters=p
    )  # fmt: skip
    return evaluate_grid(setting, p, effort()["grid"])


@lru_cache(maxsize=KEPT)
def declared_plans(site: OpenSite, targets: tuple[float, ...], chips_only: bool) -> tuple[AdversaryPlan | None, ...]:
    """The cheapest open datacentre for each target; the last few are kept."""
    p = default.parameters()
    found = search_quickly([open_grid(site)], targets, p, chips_only=chips_only)
    return tuple(describe(plans[0], p) if plans and plans[0].reached else None for plans in found)


def prepare_quickly(
    regime: Regime,
    network: NetworkProfile,
    *,
    longest_days: float,
    node_limit: float | None = None,
    chips: Sequence[str] | None = None,
    precisions: Sequence[str] = NUMBER_FORMATS,
    modes: Sequence[str] = DISTRIBUTED_MODES,
    progress: Progress = silent,
) -> Arena:
    """The coarse grids of a rule at central values; arguments and refusals are those of ``best_response.prepare``."""
    limit = float(node_limit or settings()["most_nodes"])
    site = OpenSite(network, tuple(known_chips(chips)), tuple(precisions), longest_days, limit)
    return prepare(
        regime, network, longest_days=longest_days, node_limit=limit, chips=chips, precisions=precisions, modes=modes,
        changes=effort()["grid"], declared=open_grid(site), progress=progress,
    )  # fmt: skip


def replies(
    arena: Arena, targets: Sequence[float], found: Sequence[Sequence[Best]], *, chips_only: bool
) -> list[Reply]:
    """The best plan found for each target, and the best of each mode and number format that the search looked into."""
    goals = [Goal(target_flop_quality=target, chips_only=chips_only) for target in targets]
    return replies_of(arena, goals, found)
