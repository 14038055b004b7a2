"""What is bought: chips of the catalog, what they count under the rule, cost and draw, and the words of invoices for them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import pyarrow as pa

from thresher.catalog import chips
from thresher.records.samples._tables import NONE, Floats, Ints, numbers, parameters, rows
from thresher.regime import load_regime

REGIME = "miri-2025"
"""The rule whose line the evaders of the sample stay under at each site."""


@dataclass(frozen=True, slots=True)
class Goods:
    """Chips of the sample (rows of ``sample_mix.csv``) and what invoices call them (rows of ``sample_goods.csv``).

    ``line_share`` is what one chip is of the rule's line, at a clause with a grouping over networks; ``price_usd`` and
    ``draw_w`` fall back on parameters where the catalog is blank; ``released`` is a day since 1970.
    """

    ids: list[str]
    makers: list[str]
    line_share: Floats
    price_usd: Floats
    draw_w: Floats
    released: Ints
    texts: pa.Array
    text_chip: Ints
    text_each: Ints
    text_price_usd: Floats

    def weights(self, who: str) -> Floats:
        """The mix of chips of a group: a column of ``sample_mix.csv``."""
        return numbers("mix", who)

    def most_under_the_line(self, chip: int) -> int:
        """The most chips of a type that one site can hold without being covered."""
        return int(np.floor(1.0 / self.line_share[chip]))

    def describe(self, rng: np.random.Generator, chip: Ints, count: Ints) -> Ints:
        """A text of an invoice for every lot: one whose pieces divide the lot, or one of single chips."""
        found = self._any_text(rng, chip, self.text_chip)
        each = self.text_each[found]
        odd = count % np.maximum(each, 1) != 0
        single = np.where(self.text_each == 1, self.text_chip, NONE)
        alone = self._any_text(rng, chip[odd], single)
        # a type that is only sold in larger pieces keeps them
        found[odd] = np.where(alone == NONE, found[odd], alone)
        return found

    def _any_text(self, rng: np.random.Generator, chip: Ints, text_chip: Ints) -> Ints:
        order = np.argsort(text_chip, kind="stable")
        start = np.searchsorted(text_chip[order], chip)
        stop = np.searchsorted(text_chip[order], chip, side="right")
        at = start + (rng.random(len(chip)) * (stop - start)).astype(np.int64)
        return np.where(stop == start, NONE, order[np.minimum(at, len(order) - 1)])


@cache
def goods() -> Goods:
    """The goods of the sample, checked against the catalog."""
    p = parameters()
    known = chips()
    mix = [known[row["chip"]] for row in rows("mix")]
    regime = load_regime(REGIME)
    measures = [next(iter(regime.measure_nodes(one, np.ones(1)).values())) for one in mix]
    line_share = np.array([float(one.value[0]) / one.threshold for one in measures])
    price = np.array(
        [one.price_usd or p["price_of_the_line_usd"] * share for one, share in zip(mix, line_share, strict=True)]
    )
    row_of = {one.chip: i for i, one in enumerate(mix)}
    texts = rows("goods")
    return Goods(
        ids=[one.chip for one in mix],
        makers=[one.maker for one in mix],
        line_share=line_share,
        price_usd=price,
        draw_w=np.array([one.tdp_w or p["draw_where_unknown_w"] for one in mix]),
        released=np.array([_day(one.release_date) for one in mix]),
        texts=pa.array([row["description"] for row in texts]),
        text_chip=np.array([row_of[row["chip"]] if row["chip"] else NONE for row in texts]),
        text_each=np.array([int(row["chips_each"] or 0) for row in texts]),
        text_price_usd=numbers("goods", "price_usd"),
    )


def _day(date: str) -> int:
    """The day of a release date that may lack its day or month, since 1970."""
    return int(np.datetime64(date, "D").astype(np.int64))
