"""A map while it is worked out: which combinations are done, what they cost so far, and which comes next."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from thresher.catalog import chip
from thresher.lab.map_of_lines.asked import Asked
from thresher.lab.pages import workshop
from thresher.lab.work import SLOW, Progress
from thresher.thresholds.answers import Design
from thresher.thresholds.cells import work_out
from thresher.thresholds.lines import Cell, label
from thresher.thresholds.sweep import Sweep, weigh, with_stricter_plans

PIECE_SECONDS = 1.0
"""After so long a piece of the work ends with the combination it is at, and the page shows what there is."""
MOST_KEPT = 8
"""Maps kept, finished or not, for those who go back to them."""


@dataclass(slots=True, eq=False)
class Drawing:
    """A sweep that is worked out piece by piece, each piece while somebody waits for it; nobody waits, and it rests.

    ``costs`` is, by the name of each combination done, what evasion costs at least in every draw, with the plans of the stricter
    ones that are done; ``design`` is there when all are. ``by_nodes`` is what was worked out, by the largest unseen node of every
    chip: all else is the same throughout a sweep of sites' lines.
    """

    sweep: Sweep
    order: tuple[str, ...]
    done: dict[str, Mapping[str, np.ndarray]] = field(default_factory=dict)
    costs: Mapping[str, np.ndarray] = field(default_factory=dict)
    design: Design | None = None
    by_nodes: dict[tuple[int | None, ...], Mapping[str, np.ndarray]] = field(default_factory=dict)

    def go_on(self, progress: Progress) -> None:
        """Work out the next combinations for about ``PIECE_SECONDS``, one at least; weigh them when they are all there."""
        until = time.monotonic() + PIECE_SECONDS
        for name in self.order:
            if name not in self.done:
                self.done[name] = self._work_out(name, progress)
                if time.monotonic() > until:
                    break
        progress("weighing the combinations")
        self.costs = self._costs()
        if len(self.done) == len(self.order):
            self.design = weigh(self.sweep, self.done)

    def _work_out(self, name: str, progress: Progress) -> Mapping[str, np.ndarray]:
        """A combination; one that leaves the same nodes unseen as one that is done leaves the same plans."""
        task = self.sweep.tasks[name]
        nodes = tuple(task.regime.largest_uncovered_count(chip(one)) for one in task.chips)
        if nodes not in self.by_nodes:
            self.by_nodes[nodes] = work_out(task, progress)
        return self.by_nodes[nodes]

    def _costs(self) -> dict[str, np.ndarray]:
        cells = [cell for cell in self.sweep.cells if label(cell) in self.done]
        found = with_stricter_plans(self.sweep.axes, cells, [self.done[label(cell)] for cell in cells])
        return {label(cell): arrays["cost_usd"][0] for cell, arrays in zip(cells, found, strict=True)}


async def drawing_of(request: Request, asked: Asked) -> Drawing:
    """The map that is asked for, as far as it is: one for all who ask the same."""
    kept = _kept(request)
    sweep = await run_in_threadpool(asked.sweep)
    key = hashlib.sha256("".join(map(repr, sweep.tasks.values())).encode()).hexdigest()
    if key not in kept:
        kept[key] = Drawing(sweep, tuple(map(label, coarse_first(sweep))))
    kept.move_to_end(key)
    while len(kept) > MOST_KEPT:
        kept.popitem(last=False)
    return kept[key]


def _kept(request: Request) -> OrderedDict[str, Drawing]:
    state = request.app.state
    if not hasattr(state, "maps"):
        state.maps = OrderedDict()
    found: OrderedDict[str, Drawing] = state.maps
    return found


async def advance(request: Request, drawing: Drawing) -> None:
    """Wait for the next piece of a map; nothing where it is finished.

    Raises
    ------
    Cancelled
        The asker has gone.
    """
    if drawing.design is None:
        key = ("map", drawing, len(drawing.done))
        await workshop(request).run(request, key, drawing.go_on, SLOW)


def coarse_first(sweep: Sweep) -> list[Cell]:
    """The rule as written and its amendment, the corners, the middles, and so on: a coarse picture first."""
    turns = {axis.name: dict(zip(axis.values, _turns(len(axis.values)), strict=True)) for axis in sweep.axes}
    first = [label(cell) for cell in sweep.anchors.values()]

    def turn(cell: Cell) -> tuple[int, int, int]:
        # an anchor off the grid has no turn, and is first anyway
        found = [turns[name].get(line, 0) for name, line in cell.items()]
        return (0 if label(cell) in first else 1, max(found), sum(found))

    return sorted(sweep.cells, key=turn)


def _turns(count: int) -> Sequence[int]:
    """For each of some places in a row, in which turn it comes when the ends come first and then the middles of what is left."""
    found = dict.fromkeys((0, count - 1), 0)
    turn = 0
    while len(found) < count:
        turn += 1
        places = sorted(found)
        found |= {(low + high) // 2: turn for low, high in pairwise(places) if high - low > 1}
    return [found[place] for place in range(count)]
