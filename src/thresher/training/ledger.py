"""The ledger of a node's physical links: every flow booked once against capacity; also the node's traffic signature."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import reduce

from thresher.arrays import Array, namespace


@dataclass(frozen=True, slots=True)
class Link:
    """One physical link of a node: capacity up and down in Mbit/s."""

    name: str
    up_mbps: Array
    down_mbps: Array


@dataclass(slots=True)
class Ledger:
    """Mean flows of one node by link and purpose, in Mbit/s.

    Book every flow on the link it crosses; ``load`` is what the link carries over what it can, the worse direction.
    """

    links: dict[str, Link]
    flows: dict[str, dict[str, tuple[Array, Array]]] = field(default_factory=dict)
    totals: dict[str, tuple[Array, Array]] = field(default_factory=dict)

    def book(self, link: str, purpose: str, *, up_mbps: Array, down_mbps: Array) -> None:
        """Add one flow; a second one of the same purpose adds to the first."""
        entries = self.flows.setdefault(link, {})
        before_up, before_down = entries.get(purpose, (0.0, 0.0))
        entries[purpose] = (before_up + up_mbps, before_down + down_mbps)
        total_up, total_down = self.totals.get(link, (0.0, 0.0))
        self.totals[link] = (total_up + up_mbps, total_down + down_mbps)

    def mean_mbps(self, link: str) -> tuple[Array, Array]:
        """All flows of a link together, up and down."""
        return self.totals.get(link, (0.0, 0.0))

    def load(self, link: str) -> Array:
        """The link's mean traffic over its capacity, in the busier direction."""
        up, down = self.mean_mbps(link)
        xp = namespace(up, down, self.links[link].up_mbps)
        return xp.maximum(up / self.links[link].up_mbps, down / self.links[link].down_mbps)

    def busiest_load(self) -> Array:
        """The load of the link that has the most."""
        loads = [self.load(link) for link in self.links]
        return reduce(namespace(*loads).maximum, loads)
