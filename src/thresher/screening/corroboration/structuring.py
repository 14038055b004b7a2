"""Structuring: whether a buyer's orders bunch just under the rule's line more than those of comparable buyers do.

Sizes heap at round numbers whether or not there is a rule (chips come in boards of eight, and two boards of 80 GB chips
end on the line), and buyers keep to a size. A test that expects a smooth spread of sizes, or that takes the orders of one
buyer for independent, cries wolf several times as often as it says. Here the null deals the sizes that were really
ordered anew among the buyers of the same chip, and deals a buyer sizes that resemble each other as much as orders of one
buyer do in the whole population: Polya's urn, whose distribution of the number just under the line is beta-binomial, so
that no permutation need be drawn.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import ibis
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.special import betaln

from thresher.catalog import chips
from thresher.errors import InputError
from thresher.regime import Regime
from thresher.screening.corroboration.common import Period, as_citations, from_first_level, in_words, quantities
from thresher.screening.engine import Engine, Findings

FINDING = "purchases_under_the_line"

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_NEARLY_ONE = 1 - 1e-6


class Luck(NamedTuple):
    """How likely chance alone puts so many orders under the line, buyer by buyer.

    ``buyer`` numbers, ``orders`` and how many of them are ``under``, the ``expected`` share, the ``likeness`` (correlation
    between two orders of one buyer, among the others) and the mid-p ``probability``, each of shape (buyers,).
    """

    buyer: Integers
    orders: Floats
    under: Floats
    expected: Floats
    likeness: Floats
    probability: Floats


def upper_tail(orders: Floats, under: Floats, expected: Floats, likeness: Floats) -> Floats:
    """Mid-p of a beta-binomial count: P(T > t) + P(T = t) / 2, for t = ``under`` of k = ``orders``.

    T is the number of marked balls in k draws from Polya's urn with share m = ``expected`` and likeness r: the
    beta-binomial with a = m (1 - r) / r, b = (1 - m)(1 - r) / r (Skellam 1948); its variance is k m (1 - m)(1 + (k - 1) r).
    With r = 0 it is the binomial, with r = 1 all or nothing: P = m / 2 for t = k. All of shape (n,); likeness in (0, 1).
    """
    width = (orders - under).astype(np.int64) + 1
    first = np.cumsum(width) - width
    row = np.repeat(np.arange(len(width)), width)
    count = under[row] + np.arange(len(row)) - first[row]
    precision = ((1.0 - likeness) / likeness)[row]
    k, a, b = orders[row], expected[row] * precision, (1.0 - expected[row]) * precision
    chance = np.exp(
        betaln(count + a, k - count + b) - betaln(a, b) - betaln(k - count + 1.0, count + 1.0) - np.log(k + 1.0)
    )
    chance[first] *= 0.5
    return np.minimum(np.add.reduceat(chance, first), 1.0) if len(row) else np.zeros(0)


def luck(buyer: Integers, kind: Integers, orders: Floats, under: Floats, given: Mapping[str, float]) -> Luck:
    """The chance of each buyer's orders under the line, given those of comparable buyers.

    Parameters
    ----------
    buyer, kind
        Who ordered which kind of chip, as numbers from 0; a pair at most once, shape (n,).
    orders, under
        Orders of the pair, and those just under the line, shape (n,).
    given
        Parameters: ``orders_at_least``, ``comparable_orders_at_least``, ``pooled_orders``, ``prior_likeness``,
        ``prior_buyers``.

    Returns
    -------
    A row for each buyer with enough orders, of chips of which others ordered enough. The share expected of a buyer is the
    mean over its orders of each chip's share among the others' orders, ``pooled_orders`` of all chips' share added; the
    likeness is the moment estimate of the others' intraclass correlation, drawn to its prior. No probability is below
    1 / (n + 1), n being all orders: so many cannot show a rarer one.
    """
    buyers, kinds = int(buyer.max(initial=-1)) + 1, int(kind.max(initial=-1)) + 1
    if not buyers:
        return Luck(buyer, *np.zeros((5, 0)))
    weight = given["pooled_orders"]
    overall = under.sum() / orders.sum()
    all_orders, all_under = np.bincount(kind, orders, kinds)[kind], np.bincount(kind, under, kinds)[kind]
    of_others = (all_under - under + weight * overall) / (all_orders - orders + weight)
    total, hits = (np.bincount(buyer, part, buyers).astype(np.float64) for part in (orders, under))
    expected = np.bincount(buyer, orders * of_others, buyers) / np.maximum(total, 1.0)
    others = np.bincount(buyer, orders * (all_orders - orders), buyers) / np.maximum(total, 1.0)
    likeness = _likeness(buyer, orders, under, (all_under + weight * overall) / (all_orders + weight), given)
    enough = (total >= given["orders_at_least"]) & (others >= given["comparable_orders_at_least"])
    chosen = np.flatnonzero(enough)
    total, hits, expected, likeness = total[chosen], hits[chosen], _within(expected[chosen]), likeness[chosen]
    probability = np.maximum(upper_tail(total, hits, expected, likeness), 1.0 / (orders.sum() + 1.0))
    return Luck(chosen, total, hits, expected, likeness, probability)


def _within(share: Floats) -> Floats:
    """A share off the ends 0 and 1, where the beta-binomial is none."""
    return np.clip(share, 1.0 - _NEARLY_ONE, _NEARLY_ONE)


def _likeness(buyer: Integers, orders: Floats, under: Floats, share: Floats, given: Mapping[str, float]) -> Floats:
    """For each buyer the intraclass correlation of the others' orders: r = sum of e_i e_j / sum of s_i s_j.

    The sums run over pairs of orders of one buyer, of weight 1 / (k - 1) for a buyer of k; e is a mark (1 under the line, 0
    not) less its chip's share m, s = sqrt(m (1 - m)) (Karlin, Cameron and Williams 1981). The buyer itself is left out, so
    that whoever keeps just under the line does not excuse itself.
    """
    spread = np.sqrt(share * (1.0 - share))
    total, off, own_off, scale, own_scale = (
        np.bincount(buyer, part)
        for part in (
            orders,
            under - orders * share,
            under * (1.0 - share) ** 2 + (orders - under) * share**2,
            orders * spread,
            orders * spread**2,
        )
    )
    each = (total > 1) / np.maximum(total - 1.0, 1.0)
    seen, possible = (off**2 - own_off) * each, (scale**2 - own_scale) * each
    # the scale of usual buyers with two orders, so that the prior weighs as so many of them
    prior = max(given["prior_buyers"] * 2.0 * float((orders * spread**2).sum() / orders.sum()), 1.0 - _NEARLY_ONE)
    return _within((seen.sum() - seen + prior * given["prior_likeness"]) / (possible.sum() - possible + prior))


def counts_by_the_line(regime: Regime, just_under: float, just_over: float) -> pa.Table:
    """``chip, count, side``: the counts of each chip that lie just under (``under``) or just over a line of a rule.

    A clause's line is the most chips of one type that it does not cover; just under is the ``just_under`` share of it that
    ends there, just over the ``just_over`` share above. A count that is just under one clause's line and just over that of
    another is ``under``. Clauses that do not bound a chip, and lines so low that just under is a single count, give none.
    """
    sides: dict[tuple[str, int], str] = {}
    for clause in regime.cluster_clauses:
        alone = replace(regime, clauses=(clause,))
        for one in chips().values():
            try:
                most = alone.largest_uncovered_count(one) or 0
            except InputError:  # the catalog lacks the figure that the clause sums
                continue
            least, end = math.ceil((1.0 - just_under) * most), math.floor((1.0 + just_over) * most)
            if least < most:
                sides.update({(one.chip, count): "under" for count in range(least, most + 1)})
                sides = {(one.chip, count): "over" for count in range(most + 1, end + 1)} | sides
    names, counts = zip(*sides, strict=True) if sides else ((), ())
    columns = (pa.array(names, pa.string()), pa.array(counts, pa.int64()), pa.array(sides.values(), pa.string()))
    return pa.table(dict(zip(("chip", "count", "side"), columns, strict=True)))


def orders_by_the_line(engine: Engine, period: Period, regime: Regime, owners: ibis.Table | None = None) -> ibis.Table:
    """The purchases of the look-back of chips with a line: ``row_id, entity, buyer, chip``, and the order of each.

    The ``buyer`` is the owner of the entity, where ``owners`` (``entity, owner``) knows one. ``single`` and ``grouped`` say
    whether the purchase, and its order, lie just under the line; an order is the buyer's purchases of one chip that
    follow each other within ``days_of_one_order``, and ``opens`` marks its first; ``over`` says that the purchase lies
    just over.
    """
    given = quantities()
    sides = counts_by_the_line(regime, given["just_under_share"].value, given["just_over_share"].value)
    sides = engine.keep("corroborated_counts", sides)
    bought = engine.table("purchases_resolved")
    bought = bought.filter(bought.date >= period.start, bought.date < period.end, bought.chips > 0)
    bought = bought.filter(bought.entity.notnull()).select("row_id", "entity", "chip", "date", "chips")
    bought = bought.semi_join(sides, "chip")
    if owners is None:
        bought = bought.mutate(buyer=bought.entity)
    else:
        bought = bought.left_join(owners.group_by("entity").agg(owner=owners.owner.min()), "entity").drop(
            "entity_right"
        )
        bought = bought.mutate(buyer=ibis.coalesce(bought.owner, bought.entity)).drop("owner")
    so_far = ibis.window(group_by=["buyer", "chip"], order_by=["date", "row_id"], preceding=None, following=0)
    before = bought.date.lag().over(ibis.window(group_by=["buyer", "chip"], order_by=["date", "row_id"]))
    gap = bought.date.delta(before, unit="day")
    bought = bought.mutate(opens=gap.isnull() | (gap > int(given["days_of_one_order"].value)))
    bought = bought.mutate(order=bought.opens.cast("int64").sum().over(so_far))
    bought = bought.mutate(ordered=bought.chips.sum().over(ibis.window(group_by=["buyer", "chip", "order"])))
    by_order = sides.select("chip", ordered=sides["count"].cast("float64"), order_side="side")
    by_size = sides.select("chip", chips=sides["count"].cast("float64"), side="side")
    marked = bought.left_join(by_size, ["chip", "chips"]).drop("chip_right", "chips_right")
    marked = marked.left_join(by_order, ["chip", "ordered"])
    return marked.select(
        "row_id", "entity", "buyer", "chip", "opens",
        single=(marked.side == "under").fill_null(False),
        grouped=(marked.order_side == "under").fill_null(False),
        over=(marked.side == "over").fill_null(False),
    )  # fmt: skip


def bunching(orders: ibis.Table) -> ibis.Table:
    """How many purchases of each chip stand just under its line and just over, and the excess in standard errors.

    ``chip, under, over, excess``: excess = (under - over) / sqrt(under + over), about a standard normal where sizes run
    smoothly through the line (the idea of McCrary 2008 and of Kleven 2016); they do not where round sizes heap on one
    side, so compare chips and periods, and do not read it alone.
    """
    counted = orders.group_by("chip").agg(under=orders.single.cast("int64").sum(), over=orders.over.cast("int64").sum())
    seen = ibis.greatest(counted.under + counted.over, 1)
    return counted.mutate(excess=(counted.under - counted.over) / seen.cast("float64").sqrt())


def corroborate_structuring(
    engine: Engine, period: Period, regime: Regime, owners: ibis.Table | None = None
) -> Findings:
    """Finding ``purchases_under_the_line``, of buyers with enough orders in the look-back.

    The strength is -log10 of twice the smaller of two probabilities (Bonferroni): of the buyer's single purchases, and of
    its purchases grouped to orders, just under the line of the regime. With ``owners`` the purchases of all entities of an
    owner are read together, and each entity that bought has what is found.
    """
    orders = engine.keep("corroborated_orders", orders_by_the_line(engine, period, regime, owners))
    luck_of = engine.keep("corroborated_luck", _luck_of_buyers(orders))
    entities = orders.select("buyer", "entity").distinct()
    together = entities.group_by("buyer").agg(companies=entities.count())
    found = entities.join(luck_of, "buyer").join(together, "buyer")
    detail = (
        in_words(found.under) + " of " + in_words(found.orders)
        + ibis.ifelse(found.by_order, " orders (purchases of a few days taken together)", " purchases")
        + ibis.ifelse(found.companies > 1, " of " + in_words(found.companies) + " buyers with one owner", "")
        + " lie just under the line, where " + in_words(found.expected * 100) + "% of those of comparable buyers do: p = "
        + in_words(found.probability, 4) + "."
    )  # fmt: skip
    findings = found.select(
        "entity", finding=ibis.literal(FINDING), strength=0.0 - found.probability.log10(), detail=detail
    )
    near = orders.join(luck_of.select("buyer", "by_order"), "buyer")
    near = near.filter(ibis.ifelse(near.by_order, near.grouped, near.single)).mutate(finding=ibis.literal(FINDING))
    return Findings(from_first_level(findings), as_citations(near, "purchases"))


def _luck_of_buyers(orders: ibis.Table) -> pa.Table:
    """``buyer, orders, under, expected, probability, by_order``: the less likely of the two ways to count."""
    opened, marked = orders.opens.cast("int64"), (orders.opens & orders.grouped).cast("int64")
    pairs = (
        orders.group_by("buyer", "chip")
        .agg(
            singles=orders.count(),
            single_under=orders.single.cast("int64").sum(),
            groups=opened.sum(),
            under=marked.sum(),
        )
        .order_by("buyer", "chip")
        .to_pyarrow()
    )
    names, kinds = (pairs[name].combine_chunks().dictionary_encode() for name in ("buyer", "chip"))
    buyer, kind = (np.asarray(one.indices).astype(np.int64) for one in (names, kinds))
    counts = {
        name: np.asarray(pairs[name]).astype(np.float64) for name in ("singles", "single_under", "groups", "under")
    }
    given = quantities().values_only()
    singly = luck(buyer, kind, counts["singles"], counts["single_under"], given)
    by_order = luck(buyer, kind, counts["groups"], counts["under"], given)
    # whoever has enough orders has enough purchases
    other = np.ones(len(names.dictionary))
    other[by_order.buyer] = by_order.probability
    grouped = other[singly.buyer] < singly.probability
    chosen = np.isin(by_order.buyer, singly.buyer[grouped])
    both = [np.concatenate([one[~grouped], two[chosen]]) for one, two in zip(singly, by_order, strict=True)]
    number, total, under, expected, _, probability = both
    return pa.table(
        {
            "buyer": names.dictionary.take(pa.array(number)),
            "orders": total.astype(np.int64),
            "under": under.astype(np.int64),
            "expected": expected,
            "probability": np.minimum(2.0 * probability, 1.0),
            "by_order": np.arange(len(number)) >= np.count_nonzero(~grouped),
        }
    )
